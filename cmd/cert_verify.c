/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge cert verify: the decision of the servers (pki/chain.c) on files, for people and for the conformance suites.
 *
 * Exit status: 0 accepted, 1 refused (also when a certificate cannot be read), 2 called wrongly or asked for what we do not judge.  With --batch each line of
 * standard input is a case, "ID<tab>OPTION<tab>OPTION...", answered by "ID<tab>SUCCESS|FAILURE|SKIPPED<tab>REASON". */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/rd.h"
#include "base/text.h"
#include "cert.h"
#include "cert_openssl.h"
#include "page.h"
#include "pki/chain.h"
#include "wire/uri.h"

#define FILE_MAX (4 * 1024 * 1024)
#define LINE_SIZE 65536
#define WORDS_MAX 64

enum answer { ACCEPTED = 0, REFUSED = 1, NOT_JUDGED = 2 };

struct options {
	const char *trusted, *untrusted, *leaf, *crls, *time, *dns, *ip, *email, *purpose, *ku, *connect_to, *password;
	int64_t depth;
	bool partial, batch, json, quiet, show_openssl;
};

static const struct option_row rows[] = {
	{ "trusted", 'r', "FILE", "the roots to trust", OPTION_TEXT, offsetof(struct options, trusted), 0, 0 },
	{ "untrusted", 'u', "FILE", "further certificates to build the chain of", OPTION_TEXT, offsetof(struct options, untrusted),
		0, 0 },
	{ "leaf", 'l', "FILE",
		"the certificate to judge: a file, - (standard input), or a server, https://HOST; what comes with it counts as "
		"--untrusted",
		OPTION_TEXT, offsetof(struct options, leaf), 0, 0 },
	{ "crls", 0, "FILE", "revocation lists; with them each issuer must have a good one", OPTION_TEXT,
		offsetof(struct options, crls), 0, 0 },
	{ "time", 't', "TIME", "judge as of then: seconds since 1970, RFC 3339, or now (default)", OPTION_TEXT,
		offsetof(struct options, time), 0, 0 },
	{ "dns", 'n', "NAME", "it must be for this host name", OPTION_TEXT, offsetof(struct options, dns), 0, 0 },
	{ "ip", 0, "ADDRESS", "it must be for this address", OPTION_TEXT, offsetof(struct options, ip), 0, 0 },
	{ "email", 0, "ADDRESS", "it must be for this mail address", OPTION_TEXT, offsetof(struct options, email), 0, 0 },
	{ "purpose", 'p', "PURPOSE", "server, client or any (default)", OPTION_TEXT, offsetof(struct options, purpose), 0, 0 },
	{ "ku", 0, "USAGE", "keyUsage, if there is one, must allow digitalSignature", OPTION_TEXT, offsetof(struct options, ku), 0,
		0 },
	{ "depth", 0, "N", "at most so many intermediates (8)", OPTION_INT, offsetof(struct options, depth), 0, 1000 },
	{ "partial", 0, NULL, "CAs that are not self-signed may be trusted as roots", OPTION_FLAG,
		offsetof(struct options, partial), 0, 0 },
	{ "json", 0, NULL, "the verdict in JSON", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ "quiet", 'q', NULL, "say nothing but the reason of a refusal", OPTION_FLAG, offsetof(struct options, quiet), 0, 0 },
	OPENSSL_ROW(struct options),
	CERT_SOURCE_ROWS(struct options),
	{ "batch", 0, NULL, "judge the cases of standard input, one a line", OPTION_FLAG, offsetof(struct options, batch), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge cert verify",
	.arguments = "[LEAF]",
	.summary = "Is this certificate to be trusted?  The same function decides here, in the hub, in the gateway and in devices.",
	.more = "Exit status: 0 accepted, 1 refused (the last line on standard error is the reason), 2 called wrongly or not to be "
		"judged here.\n"
		"With --batch: ID<tab>OPTION<tab>VALUE... a line, answered by ID<tab>SUCCESS, FAILURE or SKIPPED<tab>REASON.",
	.rows = rows,
};

/* One question, with what its files hold. */
struct question {
	struct options o;
	struct certs trusted, untrusted, leaf;
	struct anchors *anchors;
	struct verdict *verdict;
	struct chain_query query;
	char *host; /* of a leaf that a server shows */
};

static void
question_clear(struct question *q)
{
	certs_clear(&q->trusted);
	certs_clear(&q->untrusted);
	certs_clear(&q->leaf);
	anchors_free(q->anchors);
	verdict_free(q->verdict);
	mem_free(q->host);
}

/* Files that cannot be opened mean that the question was put wrongly; what cannot be read in them is refused.  Roots and intermediates may be none. */
static enum answer
load(struct certs *out, const char *path, bool may_be_empty, const struct options *o, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(FILE_MAX);

	if (cert_source_is_url(path))
		return cert_source_read(
			       out, &(struct cert_source){ .where = path, .connect_to = o->connect_to, .proven = true }, err) < 0
			       ? NOT_JUDGED
			       : ACCEPTED;
	if (cert_source_bytes(&text, path, err) < 0)
		return NOT_JUDGED;
	if (text.len == 0 && may_be_empty)
		return ACCEPTED;
	return cert_source_decode(out, &text, &(struct cert_source){ .where = path, .password = o->password }, err) == 0 ? ACCEPTED
															 : REFUSED;
}

static enum answer
load_crls(struct question *q, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(FILE_MAX);

	if (!q->o.crls)
		return ACCEPTED;
	if (file_load(&text, q->o.crls, err) < 0)
		return NOT_JUDGED;
	if (anchors_add_crls(q->anchors, buf_text(&text), text.len, err) == 0)
		return ACCEPTED;
	(void)err_wrap(err, "%s", q->o.crls);
	return REFUSED;
}

static enum answer
load_all(struct question *q, struct err *err)
{
	enum answer answer;

	if (!q->o.trusted || !q->o.leaf) {
		(void)err_set(err, ERR_INVALID, "--trusted FILE and --leaf FILE are needed; --help tells more");
		return NOT_JUDGED;
	}
	answer = load(&q->trusted, q->o.trusted, true, &q->o, err);
	if (answer == ACCEPTED && q->o.untrusted)
		answer = load(&q->untrusted, q->o.untrusted, true, &q->o, err);
	if (answer == ACCEPTED)
		answer = load(&q->leaf, q->o.leaf, false, &q->o, err);
	if (answer != ACCEPTED)
		return answer;
	for (size_t i = 1; i < q->leaf.n; i++)
		certs_add(&q->untrusted, q->leaf.item[i]);
	q->anchors = anchors_new(&q->trusted, err);
	return q->anchors ? load_crls(q, err) : REFUSED;
}

static bool
parse_time(const char *text, int64_t *now)
{
	*now = clock_wall();
	return !text || text_is(text, "now") || text_to_i64(text, INT64_MIN / 2, INT64_MAX / 2, now) || clock_parse(text, now);
}

static bool
parse_purpose(const char *text, enum chain_purpose *purpose)
{
	*purpose = text_is(text, "server") ? CHAIN_SERVER : text_is(text, "client") ? CHAIN_CLIENT : CHAIN_ANY;
	return *purpose != CHAIN_ANY || !text || text_is(text, "any");
}

/* Who names a server means it: unless another name is given, that of its URL is what it has to prove, as a server. */
static int
take_server(struct question *q, struct err *err)
{
	struct options *o = &q->o;
	int port;

	if (!cert_source_is_url(o->leaf))
		return 0;
	if (cert_source_host(o->leaf, &q->host, &port, err) < 0)
		return -1;
	if (!o->dns && !o->ip && !o->email)
		*(uri_is_ip(q->host) ? &o->ip : &o->dns) = q->host;
	o->purpose = o->purpose ? o->purpose : "server";
	return 0;
}

static int
fill_query(struct question *q, struct err *err)
{
	const struct options *o = &q->o;

	if (take_server(q, err) < 0)
		return -1;
	q->query = (struct chain_query){ .untrusted = &q->untrusted,
		.host = o->ip ? o->ip : o->dns,
		.partial = o->partial,
		.must_sign = o->ku != NULL,
		.max_depth = o->depth == 0  ? CHAIN_NO_INTERMEDIATES
			     : o->depth < 0 ? 0
					    : (int)o->depth };
	if (!!o->dns + !!o->ip + !!o->email > 1)
		return err_set(err, ERR_INVALID, "one of --dns, --ip and --email");
	if (o->ku && !text_is(o->ku, "digitalSignature"))
		return err_set(err, ERR_INVALID, "--ku: only digitalSignature is judged, not '%s'", o->ku);
	if (!parse_purpose(o->purpose, &q->query.purpose))
		return err_set(err, ERR_INVALID, "--purpose: server, client or any, not '%s'", o->purpose);
	if (!parse_time(o->time, &q->query.now))
		return err_set(err, ERR_INVALID, "--time: '%s' is no time", o->time);
	return 0;
}

/* q->verdict is there when the question could be put. */
static enum answer
judge(struct question *q, struct err *err)
{
	enum answer answer;

	if (fill_query(q, err) < 0)
		return NOT_JUDGED;
	answer = load_all(q, err);
	if (answer != ACCEPTED)
		return answer;
	q->query.leaf = q->leaf.item[0];
	q->verdict = verdict_new("cert verify", "Is this certificate to be trusted?", cert_subject(q->query.leaf));
	chain_verify(q->verdict, q->anchors, &q->query);
	if (q->o.email)
		name_check_email(q->verdict, q->query.leaf, q->o.email);
	return verdict_accepted(q->verdict) ? ACCEPTED : REFUSED;
}

/* -- One case of a batch ------------------------------------------------------------------------------------------------------------ */

static enum answer
judge_words(struct question *q, int argc, char **argv, struct err *err)
{
	int n;

	q->o.depth = -1;
	n = option_parse(&usage, &q->o, argc, argv, err);
	if (n < 0)
		return NOT_JUDGED;
	if (n > 1 || (n == 1 && q->o.leaf)) {
		(void)err_set(err, ERR_INVALID, "one certificate at a time");
		return NOT_JUDGED;
	}
	if (n == 1)
		q->o.leaf = argv[0];
	return q->o.batch || q->o.show_openssl ? ACCEPTED : judge(q, err);
}

static void
answer_line(char *line)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "SKIPPED" };
	CLEAR(question) q = { 0 };
	struct err err = ERR_INIT;
	char *argv[WORDS_MAX + 1], *rest = line;
	OWN_TEXT said = NULL;
	enum answer answer;
	int argc = 0;

	while (argc < WORDS_MAX && rest)
		argv[argc++] = strsep(&rest, "\t");
	argv[argc] = NULL;
	answer = judge_words(&q, argc, argv, &err);
	said = q.verdict && answer == REFUSED ? verdict_sentence(q.verdict) : mem_text(err.text);
	printf("%s\t%s\t%s\n", line, words[answer], said);
	fflush(stdout);
}

static int
answer_batch(void)
{
	static char line[LINE_SIZE];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			answer_line(line);
	}
	return 0;
}

/* -- One case for people --------------------------------------------------------------------------------------------------------------- */

static void
tell(const struct question *q)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	OWN_TEXT json = q->o.json ? verdict_json(q->verdict) : NULL;
	OWN_TEXT said = verdict_sentence(q->verdict);

	if (json)
		puts(json);
	else if (!q->o.quiet) {
		verdict_print(q->verdict, &page, page_has_colour());
		page_print(&page);
	}
	if (!verdict_accepted(q->verdict))
		fprintf(stderr, "%s\n", said);
}

/* -- The same asked of openssl ------------------------------------------------------------------------------------------------------ */

static void
put_option(struct buf *out, const char *option, const char *value)
{
	if (!value)
		return;
	buf_putf(out, "%s ", option);
	openssl_put_word(out, value);
}

static void
put_limits(struct buf *out, const struct question *q)
{
	const struct options *o = &q->o;

	buf_puts(out, q->query.purpose == CHAIN_SERVER	 ? " -purpose sslserver"
		      : q->query.purpose == CHAIN_CLIENT ? " -purpose sslclient"
							 : "");
	put_option(out, " -verify_hostname", o->dns);
	put_option(out, " -verify_ip", o->ip);
	put_option(out, " -verify_email", o->email);
	put_option(out, " -crl_check_all -CRLfile", o->crls);
	if (o->time)
		buf_putf(out, " -attime %lld", (long long)q->query.now);
	if (o->depth >= 0)
		buf_putf(out, " -verify_depth %lld", (long long)o->depth);
	buf_puts(out, o->partial ? " -partial_chain" : "");
}

static char *
pem_of(struct buf *out, const struct options *o, const char *where, const char *pass)
{
	struct cert_source source = { .where = where, .connect_to = o->connect_to };

	return where ? openssl_put_pem(out, &source, pass) : NULL;
}

static void
put_openssl(struct buf *out, const struct question *q)
{
	const struct options *o = &q->o;
	OWN_TEXT pass = openssl_put_password(out, o->password);
	OWN_TEXT trusted = pem_of(out, o, o->trusted, pass);
	OWN_TEXT untrusted = pem_of(out, o, o->untrusted, pass);
	OWN_TEXT leaf = pem_of(out, o, o->leaf, pass);

	buf_puts(out, "openssl verify -auth_level 2 -no-CApath -no-CAstore");
	put_option(out, " -CAfile", trusted);
	put_option(out, " -untrusted", untrusted);
	put_option(out, " -untrusted", leaf);
	put_limits(out, q);
	put_option(out, "", leaf);
	buf_putc(out, '\n');
}

static int
show_openssl(struct question *q, struct err *err)
{
	CLEAR(buf) script = BUF_INIT(PAGE_MAX);

	if (fill_query(q, err) < 0)
		return page_failure(usage.command, err, NOT_JUDGED);
	put_openssl(&script, q);
	page_print(&script);
	return 0;
}

int
cert_verb_verify(int argc, char **argv)
{
	CLEAR(question) q = { 0 };
	struct err err = ERR_INIT;
	enum answer answer = judge_words(&q, argc, argv, &err);

	if (answer == ACCEPTED && q.o.show_openssl)
		return show_openssl(&q, &err);

	if (answer == ACCEPTED && q.o.batch)
		return answer_batch();
	if (q.verdict)
		tell(&q);
	else
		page_failure(usage.command, &err, (int)answer);
	return (int)answer;
}
