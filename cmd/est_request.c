/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge est ping, cacerts, enroll, reenroll: an EST client for people and scripts.  The exchange is net/est_client.h, and so is what is believed of an answer (pki/issued.h). */
#include "est_request.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cert.h"
#include "net/est_client.h"
#include "page.h"
#include "password.h"
#include "pki/issued.h"

#define CHAIN_MAX (256 * 1024)
#define EXITS "Exit status: 0 done, 1 not done, 2 called wrongly."

struct options {
	const char *ca, *connect_to, *cert, *key, *user, *key_alg, *out, *key_out;
	struct option_list san;
	int64_t wait_s;
	bool force, new_key, roots;
};

#define ROW(name, letter, value, help, type, field, max)                                                                           \
	{                                                                                                                          \
		name, letter, value, help, type, offsetof(struct options, field), 0, max                                           \
	}
#define ROWS_SERVER                                                                                                                \
	ROW("ca", 0, "FILE", "the roots that the server is trusted by, PEM", OPTION_TEXT, ca, 0),                                  \
		ROW("connect-to", 0, "ADDRESS", "reach the server at this address instead of its name", OPTION_TEXT, connect_to,   \
			0)
#define ROW_WAIT ROW("wait", 0, "SECONDS", "how long to come back while somebody decides (0)", OPTION_INT, wait_s, 86400)
#define ROW_FORCE ROW("force", 'f', NULL, "replace these files when they exist", OPTION_FLAG, force, 0)

static const struct option_row ping_rows[] = { ROWS_SERVER, { 0 } };
static const struct option_row cacerts_rows[] = { ROWS_SERVER,
	ROW("cert", 'c', "FILE", "the certificate of who fetches them, which the server then knows to hold the roots", OPTION_TEXT,
		cert, 0),
	ROW("key", 'k', "FILE", "its private key", OPTION_TEXT, key, 0),
	ROW("roots", 'r', NULL, "the roots alone, which are to be trusted from then on; --out may be the file of --ca", OPTION_FLAG,
		roots, 0),
	ROW("out", 'o', "FILE", "where they go (standard output)", OPTION_TEXT, out, 0), { 0 } };
static const struct option_row enroll_rows[] = { ROWS_SERVER,
	ROW("cert", 'c', "FILE", "the certificate to show, with its intermediates, PEM", OPTION_TEXT, cert, 0),
	ROW("key", 'k', "FILE", "its private key", OPTION_TEXT, key, 0),
	ROW("user", 'u', "NAME", "a user, whose password is the first line of standard input; \"\" for a one-time password",
		OPTION_TEXT, user, 0),
	ROW("san", 'n', "NAME", "a DNS name, IP address or URI:... it is for; may be given several times", OPTION_LIST, san, 0),
	ROW("key-alg", 0, "ALG", "make a key of this kind, instead of what the server wishes: ec-p256, ec-p384, rsa-2048, ...",
		OPTION_TEXT, key_alg, 0),
	ROW_WAIT, ROW("out", 'o', "FILE", "where the certificate goes, with those above it (NAME.cert.pem)", OPTION_TEXT, out, 0),
	ROW("key-out", 0, "FILE", "where its private key goes (NAME.key.pem), readable by you alone", OPTION_TEXT, key_out, 0),
	ROW_FORCE, { 0 } };
static const struct option_row reenroll_rows[] = { ROWS_SERVER,
	ROW("cert", 'c', "FILE", "the certificate to renew, with its intermediates, PEM", OPTION_TEXT, cert, 0),
	ROW("key", 'k', "FILE", "its private key", OPTION_TEXT, key, 0),
	ROW("new-key", 0, NULL, "for another key, which needs --out and --key-out", OPTION_FLAG, new_key, 0),
	ROW("key-alg", 0, "ALG", "of what kind", OPTION_TEXT, key_alg, 0), ROW_WAIT,
	ROW("out", 'o', "FILE", "where the new one goes, with those above it (it replaces the old one)", OPTION_TEXT, out, 0),
	ROW("key-out", 0, "FILE", "where its private key goes", OPTION_TEXT, key_out, 0), ROW_FORCE, { 0 } };

static const struct option_usage ping_usage = { "rootedge est ping", "URL", "Ask an EST server who it is and what it wishes.",
	EXITS, ping_rows };
static const struct option_usage cacerts_usage = { "rootedge est cacerts", "URL",
	"Print the certificates that an EST server issues under, PEM.", EXITS, cacerts_rows };
static const struct option_usage enroll_usage = { "rootedge est enroll", "URL NAME",
	"Make a key, and get a certificate for it.  The URL is the folder of the operations: https://HOST/.well-known/est, perhaps "
	"with a label.",
	EXITS, enroll_rows };
static const struct option_usage reenroll_usage = { "rootedge est reenroll", "URL", "Renew a certificate, which is shown for that.",
	EXITS, reenroll_rows };

/* -- Asking ---------------------------------------------------------------------------------------------------------------------------- */

/* One run of one verb. */
struct errand {
	struct options o;
	const char *url, *name;
	struct est_client client;
	struct http_session *session;
	struct certs own; /* that are shown */
	struct key *own_key;
	char password[PASSWORD_SIZE];
	/* What is asked for. */
	struct est_attributes wished;
	struct certs cas, chain;
	struct key *key;
	char *challenge;
	struct csr *csr;
};

static void
errand_clear(struct errand *e)
{
	anchors_free(e->client.anchors);
	http_session_free(e->session);
	certs_clear(&e->own);
	key_free(e->own_key);
	mem_wipe(e->password, sizeof(e->password));
	certs_clear(&e->cas);
	certs_clear(&e->chain);
	key_free(e->key);
	mem_free(e->challenge);
	csr_free(e->csr);
}

static int
load_anchors(struct errand *e, struct err *err)
{
	struct certs roots = { 0 };
	int done;

	if (!e->o.ca)
		return err_set(err, ERR_INVALID, "--ca is missing: the roots that the server is trusted by");
	if (certs_load(&roots, e->o.ca, CERTS_MAX, err) < 0)
		return -1;
	e->client.anchors = anchors_new(&roots, err);
	done = e->client.anchors ? 0 : -1;
	certs_clear(&roots);
	return done;
}

static int
load_own(struct errand *e, struct err *err)
{
	if (!e->o.cert && !e->o.key)
		return 0;
	if (!e->o.cert || !e->o.key)
		return err_set(err, ERR_INVALID, "--cert and --key go together");
	if (certs_load(&e->own, e->o.cert, CERTS_MAX, err) < 0 || !(e->own_key = key_load(e->o.key, err)))
		return -1;
	if (!cert_matches_key(e->own.item[0], e->own_key))
		return err_set(err, ERR_INVALID, "the key of %s is not that of %s", e->o.key, e->o.cert);
	e->client.chain = &e->own;
	e->client.key = e->own_key;
	return 0;
}

static int
take_password(struct errand *e, struct err *err)
{
	if (!e->o.user)
		return 0;
	e->client.username = e->o.user;
	e->client.password = e->password;
	return password_read(e->password, NULL, err);
}

static int
prepare(struct errand *e, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGPIPE, &ignore, NULL); /* libssl writes to servers that are gone */
	if (!text_starts(e->url, "https://"))
		return err_set(err, ERR_INVALID, "'%.100s' is no https:// address, such as https://HOST/.well-known/est", e->url);
	e->session = http_session_new();
	e->client.url = e->url;
	e->client.who = "rootedge est";
	e->client.connect_to = e->o.connect_to;
	e->client.session = e->session;
	return load_anchors(e, err) < 0 || load_own(e, err) < 0 ? -1 : take_password(e, err);
}

/* -- ping, cacerts ------------------------------------------------------------------------------------------------------------------------ */

static int
ping(struct errand *e, struct err *err)
{
	if (est_client_cas(&e->client, &e->cas, err) < 0 || est_client_attributes(&e->client, &e->wished, err) < 0)
		return -1;
	printf("%s is an EST server, and issues under\n", e->url);
	for (size_t i = 0; i < e->cas.n; i++) {
		OWN_TEXT line = cert_line(e->cas.item[i]);

		printf("  %s\n", line);
	}
	if (e->wished.has_key)
		printf("wished for: keys of the kind %s\n", key_alg_name(e->wished.key));
	if (e->wished.challenge_password)
		printf("demanded: that requests say which TLS session they are of\n");
	return 0;
}

static bool
put_cas(struct buf *out, const struct errand *e)
{
	for (size_t i = 0; i < e->cas.n; i++)
		if (!e->o.roots || cert_is_issued_by(e->cas.item[i], e->cas.item[i]))
			cert_put_pem(e->cas.item[i], out);
	return out->len > 0;
}

static int
show_cas(struct errand *e, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(CHAIN_MAX);

	e->client.keeps_roots = e->o.cert != NULL; /* who says who he is */
	if (est_client_cas(&e->client, &e->cas, err) < 0)
		return -1;
	if (!put_cas(&pem, e))
		return err_set(err, ERR_INVALID, "the EST server %s sends no root", e->url);
	if (e->o.out)
		return file_save(e->o.out, pem.data, pem.len, 0644, err);
	fwrite(pem.data, 1, pem.len, stdout);
	return 0;
}

/* -- enroll, reenroll ----------------------------------------------------------------------------------------------------------------------- */

static int
make_key(struct errand *e, struct err *err)
{
	enum key_alg alg = e->wished.has_key ? e->wished.key : KEY_EC_P256;

	if (e->o.key_alg && !key_alg_parse(e->o.key_alg, &alg))
		return err_set(err, ERR_INVALID, "--key-alg: '%.40s' is no kind of key", e->o.key_alg);
	e->key = key_generate(alg, err);
	return e->key ? 0 : -1;
}

/* renewed: whose names it has. */
static int
make_request(struct errand *e, const struct cert *renewed, struct err *err)
{
	struct csr_wish wish = { .common_name = e->name,
		.names = e->o.san.items,
		.n_names = e->o.san.n,
		.as = renewed,
		.digest_bits = e->wished.digest_bits };
	CLEAR(buf) pem = BUF_INIT(65536);

	if (e->wished.challenge_password && !(e->challenge = est_client_challenge(&e->client, err)))
		return -1;
	wish.challenge = e->challenge;
	if (issue_csr_wish(&pem, e->key, &wish, err) < 0)
		return -1;
	e->csr = csr_parse(buf_text(&pem), pem.len, err);
	return e->csr ? 0 : -1;
}

/* What ends it early is a signal, which ends the command. */
static void
pause_s(int64_t seconds)
{
	(void)poll(NULL, 0, (int)(seconds * 1000));
}

/* The same request each time: somebody decides about this one. */
static int
send_request(struct errand *e, const char *operation, struct certs *answer, struct err *err)
{
	struct est_request request = { .operation = operation, .csr = e->csr, .is_bound = e->challenge != NULL };
	int64_t until = clock_boot_ms() + e->o.wait_s * 1000;
	int64_t after_s = 0;
	enum est_outcome outcome;

	while ((outcome = est_client_enroll(&e->client, &request, answer, &after_s, err)) == EST_PENDING &&
		clock_boot_ms() + after_s * 1000 <= until) {
		fprintf(stderr, "%s\n", err->text);
		*err = (struct err)ERR_INIT;
		pause_s(after_s);
	}
	return outcome == EST_ISSUED ? 0 : -1;
}

static int
believe(struct errand *e, const struct certs *answer, struct err *err)
{
	struct issued_query query = { .csr = e->csr, .use = ISSUED_LEAF, .answer = answer, .cas = &e->cas, .now = clock_wall() };
	OWN(verdict) v = verdict_new("rootedge est", "Is this what was asked for?", csr_common_name(e->csr));
	OWN_TEXT sentence = NULL;

	issued_judge(&e->chain, v, &query);
	if (verdict_accepted(v))
		return 0;
	sentence = verdict_sentence(v);
	return err_set(err, ERR_DENIED, "what the server answers is not believed: %s", sentence);
}

static int
obtain(struct errand *e, const char *operation, const struct cert *renewed, struct err *err)
{
	struct certs answer = { 0 };
	int done;

	if (est_client_cas(&e->client, &e->cas, err) < 0 || est_client_attributes(&e->client, &e->wished, err) < 0)
		return -1;
	if (renewed && !e->o.new_key)
		e->key = key_ref(e->own_key);
	else if (make_key(e, err) < 0)
		return -1;
	if (make_request(e, renewed, err) < 0)
		return -1;
	done = send_request(e, operation, &answer, err) == 0 ? believe(e, &answer, err) : -1;
	certs_clear(&answer);
	return done;
}

static int
save(struct errand *e, const char *out, const char *key_out, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(CHAIN_MAX);
	OWN_TEXT line = cert_line(e->chain.item[0]);

	certs_put_pem(&e->chain, &pem);
	if ((key_out && key_save(e->key, key_out, err) < 0) || file_save(out, pem.data, pem.len, 0644, err) < 0)
		return -1;
	printf("%s\n  certificate  %s\n", line, out);
	if (key_out)
		printf("  private key  %s\n", key_out);
	return 0;
}

static int
enroll(struct errand *e, struct err *err)
{
	OWN_TEXT out = cert_file_path(e->o.out, e->name, ".cert.pem");
	OWN_TEXT key_out = cert_file_path(e->o.key_out, e->name, ".key.pem");

	if (cert_file_check(out, e->o.force, err) < 0 || cert_file_check(key_out, e->o.force, err) < 0)
		return -1;
	return obtain(e, "simpleenroll", NULL, err) == 0 ? save(e, out, key_out, err) : -1;
}

/* Of two files one would be replaced first: so a new key goes to another place, and its owner changes over. */
static int
reenroll(struct errand *e, struct err *err)
{
	const char *out = e->o.out ? e->o.out : e->o.cert;

	if (e->own.n == 0)
		return err_set(err, ERR_INVALID, "--cert and --key are needed: the certificate to renew");
	if (e->o.new_key && (!e->o.out || !e->o.key_out))
		return err_set(err, ERR_INVALID, "--new-key needs --out and --key-out");
	if (e->o.out && cert_file_check(e->o.out, e->o.force, err) < 0)
		return -1;
	if (e->o.new_key && cert_file_check(e->o.key_out, e->o.force, err) < 0)
		return -1;
	if (obtain(e, "simplereenroll", e->own.item[0], err) < 0)
		return -1;
	return save(e, out, e->o.new_key ? e->o.key_out : NULL, err);
}

/* -- Calling them ---------------------------------------------------------------------------------------------------------------------------- */

static int
run(const struct option_usage *usage, int n_operands, int (*verb)(struct errand *e, struct err *err), int argc, char **argv)
{
	struct errand e = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(usage, &e.o, argc, argv, &err), done;

	if (n >= 0 && n != n_operands)
		n = err_set(&err, ERR_INVALID, "give %s", usage->arguments);
	if (n < 0)
		return page_failure(usage->command, &err, 2);
	e.url = argv[0];
	e.name = n_operands > 1 ? argv[1] : NULL;
	done = prepare(&e, &err) == 0 ? verb(&e, &err) : -1;
	errand_clear(&e);
	return done < 0 ? page_failure(usage->command, &err, 1) : 0;
}

int
est_verb_ping(int argc, char **argv)
{
	return run(&ping_usage, 1, ping, argc, argv);
}

int
est_verb_cacerts(int argc, char **argv)
{
	return run(&cacerts_usage, 1, show_cas, argc, argv);
}

int
est_verb_enroll(int argc, char **argv)
{
	return run(&enroll_usage, 2, enroll, argc, argv);
}

int
est_verb_reenroll(int argc, char **argv)
{
	return run(&reenroll_usage, 1, reenroll, argc, argv);
}
