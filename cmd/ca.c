/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge ca: what a CA of ours has issued, from its journal, and what of that is revoked, whether its server runs or not. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "ca/ca_crl.h"
#include "cert.h"
#include "cert_source.h"
#include "cmd.h"
#include "common/service.h"
#include "hub/client.h"
#include "page.h"
#include "verbs.h"
#include "wire/codec.h"
#include "wire/json.h"

#define BATCH 256
#define EXITS "Exit status: 0 done, 1 not done, 2 called wrongly."

struct options {
	const char *state, *journal, *requester, *reason, *cert, *key, *out, *connect_to, *password, *ca;
	struct key_source_config keys;
	int64_t days;
	bool json, all, accept;
};

#define ROWS_PLACE                                                                                                                 \
	{ "state", 's', "DIR", "the hub's folder (/var/lib/rootedge/hub)", OPTION_TEXT, offsetof(struct options, state), 0, 0 },   \
	{                                                                                                                          \
		"journal", 'j', "FILE", "the journal itself, instead of a hub's", OPTION_TEXT, offsetof(struct options, journal),  \
			0, 0                                                                                                       \
	}
#define ROW_CA                                                                                                                     \
	{                                                                                                                          \
		"ca", 0, "FILE", "the CA that issued it, PEM: where several in one journal have given the same serial number",     \
			OPTION_TEXT, offsetof(struct options, ca), 0, 0                                                            \
	}
#define ROW_JSON                                                                                                                   \
	{                                                                                                                          \
		"json", 0, NULL, "for programs: an object a line", OPTION_FLAG, offsetof(struct options, json), 0, 0               \
	}

static const struct option_row issued_rows[] = { ROWS_PLACE,
	{ "requester", 'r', "ID", "only what this device or registration got", OPTION_TEXT, offsetof(struct options, requester), 0,
		0 },
	ROW_JSON, { 0 } };
static const struct option_row place_rows[] = { ROWS_PLACE, ROW_JSON, { 0 } };
static const struct option_row show_rows[] = { ROWS_PLACE, ROW_CA, ROW_JSON, { 0 } };
#define ROW_REASON                                                                                                                 \
	{                                                                                                                          \
		"reason", 0, "WORD",                                                                                               \
			"keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn (none is said)",  \
			OPTION_TEXT, offsetof(struct options, reason), 0, 0                                                        \
	}
static const struct option_row cert_revoke_rows[] = { ROWS_PLACE, ROW_REASON, CERT_SOURCE_ROWS(struct options), ROW_JSON, { 0 } };
static const struct option_row revoke_rows[] = { ROWS_PLACE, ROW_CA, ROW_REASON,
	{ "all", 0, NULL, "all that have not ended of those that were issued to this id", OPTION_FLAG,
		offsetof(struct options, all), 0, 0 },
	ROW_JSON, { 0 } };
static const struct option_row crl_rows[] = { ROWS_PLACE,
	{ "cert", 'c', "FILE", "the CA, with those above it, PEM", OPTION_TEXT, offsetof(struct options, cert), 0, 0 },
	{ "key", 'k', "FILE", "its private key: a file, pkcs11:... or tpm:handle=...", OPTION_TEXT, offsetof(struct options, key),
		0, 0 },
	KEY_SOURCE_OPTION_ROWS(struct options, keys),
	{ "days", 0, "N", "until the next list is due (7)", OPTION_INT, offsetof(struct options, days), 1, 365 },
	{ "out", 'o', "FILE", "where to put it, DER", OPTION_TEXT, offsetof(struct options, out), 0, 0 }, { 0 } };
static const struct option_usage issued_usage = { "rootedge ca issued", "",
	"List the certificates that the CA has issued, oldest first.", EXITS, issued_rows };
static const struct option_usage show_usage = { "rootedge ca show", "WHICH",
	"Show one certificate with its chain, by serial number, SHA-256 fingerprint, or the id that it was issued to (the newest).",
	EXITS, show_rows };
static const struct option_usage audit_usage = { "rootedge ca audit", "",
	"Check that each entry of the journal is as it was written.  Keep the last digest elsewhere: a later audit of a journal "
	"that was cut off, or "
	"written anew, gives another one for so many entries.",
	"Exit status: 0 sound, 1 not sound or not to be read, 2 called wrongly.", place_rows };

static const struct option_usage revoke_usage = { "rootedge ca revoke", "WHICH",
	"Revoke one certificate, named as for rootedge ca show.  It stays revoked.  A server that runs refuses it, and publishes a "
	"new list, within seconds.",
	EXITS, revoke_rows };
static const struct option_usage cert_revoke_usage = { "rootedge cert revoke", "FILE|URL",
	"Revoke the certificate of a file, of standard input (\"-\"), or the one that a server shows, which a CA of ours has "
	"issued.  "
	"rootedge ca revoke does it by name.",
	EXITS, cert_revoke_rows };
static const struct option_usage revoked_usage = { "rootedge ca revoked", "",
	"List the certificates that were revoked, oldest first.", EXITS, place_rows };
static const struct option_usage crl_usage = { "rootedge ca crl", "",
	"Make the revocation list of a CA, for one that no server publishes the list of.", EXITS, crl_rows };

static const struct option_row clock_rows[] = { ROWS_PLACE,
	{ "accept", 0, NULL, "the clock is right now, and what the journal has of later dates was issued while it was wrong",
		OPTION_FLAG, offsetof(struct options, accept), 0, 0 },
	{ 0 } };
static const struct option_usage clock_usage = { "rootedge ca clock", "",
	"Does the CA issue, by its clock?  It issues nothing while that is behind what it has issued before (CA_CLOCK_BEHIND).  "
	"--accept "
	"ends that, at once, whether its server runs or not; look for certificates that begin in the future, and revoke them.",
	"Exit status: 0 it issues, 1 it does not, 2 called wrongly.", clock_rows };

/* -- One entry -------------------------------------------------------------------------------------------------------------------- */

static json_t *
entry_json(const struct ca_entry *e)
{
	char when[CLOCK_TEXT_LEN];
	OWN_TEXT cert_text = cert_json(e->cert);
	struct err err = ERR_INIT;
	json_t *cert = json_parse(cert_text, strlen(cert_text), &err);

	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:o*}", "sequence", (json_int_t)e->sequence, "issued",
		clock_text(e->issued, when), "profile", e->profile, "requester", e->requester, "request", e->request, "certificate",
		cert);
}

static void
put_json(struct buf *page, const struct ca_entry *e)
{
	OWN_LIB(json_t) json = entry_json(e);
	OWN_TEXT line = json_line(json);

	buf_putf(page, "%s\n", line);
}

static void
put_line(struct buf *page, const struct ca_entry *e)
{
	char from[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	OWN_TEXT serial = cert_serial(e->cert);

	buf_putf(page, "%6lld  %.16s  %.16s  %-16s  %-24s  %s\n", (long long)e->sequence, clock_text(e->issued, from),
		clock_text(cert_not_after(e->cert), until), e->profile, e->requester, serial);
}

/* -- Verbs ------------------------------------------------------------------------------------------------------------------------ */

struct listing {
	const struct options *o;
	struct buf *page;
	int64_t last, n;
};

static void
take(void *arg, const struct ca_entry *e)
{
	struct listing *l = arg;

	l->last = e->sequence;
	if (l->o->requester && !text_is(l->o->requester, e->requester))
		return;
	if (l->o->json)
		put_json(l->page, e);
	else if (l->n == 0)
		buf_putf(l->page, "%6s  %-16s  %-16s  %-16s  %-24s  %s\n", "entry", "issued (UTC)", "until", "profile", "for",
			"serial number");
	if (!l->o->json)
		put_line(l->page, e);
	l->n++;
}

static int
issued(struct ca_journal *j, const struct options *o, const char *operand, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	struct listing l = { .o = o, .page = &page };
	int n;

	(void)operand;
	while ((n = ca_journal_list(j, l.last, BATCH, take, &l, err)) > 0)
		page_print(&page);
	return n;
}

/* The same number with colons, in either case. */
static char *
bare_hex(const char *text)
{
	char *bare = mem_text(text), *to = bare;

	for (const char *from = text; *from; from++)
		if (*from != ':')
			*to++ = *from >= 'a' && *from <= 'f' ? (char)(*from - 'a' + 'A') : *from;
	*to = '\0';
	return bare;
}

/* The CA that --ca names, or NULL. */
static int
load_ca(struct certs *out, const struct options *o, struct err *err)
{
	if (!o->ca || certs_load(out, o->ca, CERTS_MAX, err) == 0)
		return 0;
	return err_wrap(err, "--ca");
}

/* A serial number is a CA's own: what two have given names nothing. */
static int
check_is_alone(struct ca_journal *j, const struct ca_entry *e, const char *serial, struct err *err)
{
	OWN(ca_entry) other = NULL;

	if (e->chain.n == 0)
		return 0;
	if (ca_journal_find_of_another(j, e->chain.item[0], serial, &other, err) < 0)
		return -1;
	return other ? err_set(err, ERR_CONFLICT,
			       "%s and %s have both given the serial number %.100s: name one by --ca, or the certificate by its "
			       "fingerprint",
			       cert_subject(e->chain.item[0]), cert_subject(other->chain.item[0]), serial)
		     : 0;
}

static int
find_by_serial(struct ca_journal *j, const struct cert *ca, const char *serial, struct ca_entry **out, struct err *err)
{
	if (ca)
		return ca_journal_find_of_ca(j, ca, serial, out, err);
	if (ca_journal_find(j, CA_BY_SERIAL, serial, out, err) < 0)
		return -1;
	return *out ? check_is_alone(j, *out, serial, err) : 0;
}

static int
find_any(struct ca_journal *j, const struct cert *ca, const char *which, struct ca_entry **out, struct err *err)
{
	OWN_TEXT hex = bare_hex(which);

	if (ca_journal_find(j, CA_BY_REQUESTER, which, out, err) < 0 || *out)
		return *out ? 0 : -1;
	if (find_by_serial(j, ca, hex, out, err) < 0 || *out)
		return *out && err->kind == ERR_NONE ? 0 : -1;
	if (ca_journal_find(j, CA_BY_FINGERPRINT, hex, out, err) < 0 || *out)
		return *out ? 0 : -1;
	return err_set(err, ERR_MISSING, "the journal has no certificate with the serial number, fingerprint or id %.100s%s", which,
		ca ? ", of this CA" : "");
}

/* *out is to be freed in any case. */
static int
find(struct ca_journal *j, const struct options *o, const char *which, struct ca_entry **out, struct err *err)
{
	CLEAR(certs) cas = { 0 };
	const struct cert *ca;

	if (load_ca(&cas, o, err) < 0)
		return -1;
	ca = cas.n > 0 ? cas.item[0] : NULL;
	if (find_any(j, ca, which, out, err) < 0)
		return -1;
	if (ca && ((*out)->chain.n == 0 || !cert_is_same_ca((*out)->chain.item[0], ca)))
		return err_set(err, ERR_MISSING, "the newest certificate of %.100s is of another CA than %s: name it by its number",
			which, cert_subject(ca));
	return 0;
}

static int
show(struct ca_journal *j, const struct options *o, const char *which, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	OWN(ca_entry) e = NULL;

	if (find(j, o, which, &e, err) < 0)
		return -1;
	if (o->json) {
		put_json(&page, e);
	} else {
		cert_print(e->cert, clock_wall(), &page, page_has_colour());
		buf_putf(&page, "  %-14s %s\n  %-14s %s\n\n", "profile", e->profile, "issued for", e->requester);
		cert_put_pem(e->cert, &page);
		certs_put_pem(&e->chain, &page);
	}
	page_print(&page);
	return 0;
}

static int
audit(struct ca_journal *j, const struct options *o, const char *operand, struct err *err)
{
	struct ca_journal_finding found;

	(void)operand;
	if (ca_journal_verify(j, &found, err) < 0)
		return -1;
	if (o->json)
		printf("{\"entries\":%lld,\"digest\":\"%s\"}\n", (long long)found.n, found.head);
	else
		printf("%lld entries, each as it was written; the last digest is %s\n", (long long)found.n, found.head);
	return 0;
}

/* -- Revocation -------------------------------------------------------------------------------------------------------------------- */

static char *
journal_path(const struct options *o)
{
	return o->journal ? mem_text(o->journal) : hub_client_journal_path(o->state);
}

static struct ca_revoked *
open_revoked(const struct options *o, struct err *err)
{
	OWN_TEXT journal = journal_path(o);
	OWN_TEXT path = ca_revoked_path(journal);

	return ca_revoked_open(path, err);
}

static int
revoke_one(struct ca_revoked *r, const struct ca_entry *e, enum crl_reason reason, const struct options *o, struct err *err)
{
	OWN_TEXT serial = cert_serial(e->cert);

	if (ca_revoked_add(r, e, reason, clock_wall(), err) < 0)
		return -1;
	if (o->json)
		printf("{\"serial\":\"%s\",\"reason\":\"%s\"}\n", serial, crl_reason_name(reason));
	else
		printf("%s, serial number %s, is revoked\n", cert_subject(e->cert), serial);
	return 0;
}

struct search {
	const char *requester;
	struct certs found;
	int64_t last;
};

static void
collect(void *arg, const struct ca_entry *e)
{
	struct search *s = arg;

	s->last = e->sequence;
	if (text_is(e->requester, s->requester) && cert_not_after(e->cert) > clock_wall())
		certs_add(&s->found, e->cert);
}

static int
revoke_cert(struct ca_journal *j, struct ca_revoked *r, const struct cert *cert, enum crl_reason reason, const struct options *o,
	struct err *err)
{
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	OWN(ca_entry) e = NULL;

	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	if (ca_journal_find(j, CA_BY_FINGERPRINT, buf_text(&hex), &e, err) < 0)
		return -1;
	return e ? revoke_one(r, e, reason, o, err) : err_set(err, ERR_BROKEN, "the journal has lost a certificate");
}

/* Those that are revoked already are passed over. */
static int
revoke_all(struct ca_journal *j, struct ca_revoked *r, const char *requester, enum crl_reason reason, const struct options *o,
	struct err *err)
{
	struct search s = { .requester = requester };
	size_t n_done = 0;
	int n, done = 0;

	while ((n = ca_journal_list(j, s.last, BATCH, collect, &s, err)) > 0)
		;
	for (size_t i = 0; n == 0 && done == 0 && i < s.found.n; i++) {
		done = revoke_cert(j, r, s.found.item[i], reason, o, err);
		n_done += done == 0;
		if (done < 0 && err->kind == ERR_CONFLICT) {
			*err = (struct err)ERR_INIT;
			done = 0;
		}
	}
	certs_clear(&s.found);
	if (n < 0 || done < 0)
		return -1;
	return n_done > 0 ? 0 : err_set(err, ERR_MISSING, "nothing of %.100s is valid any more", requester);
}

static int
revoke_which(struct ca_journal *j, struct ca_revoked *r, const char *which, enum crl_reason reason, const struct options *o,
	struct err *err)
{
	OWN(ca_entry) e = NULL;

	if (o->all && o->ca)
		return err_set(err, ERR_INVALID, "--all is of all CAs: there is no --ca beside it");
	if (o->all)
		return revoke_all(j, r, which, reason, o, err);
	return find(j, o, which, &e, err) == 0 ? revoke_one(r, e, reason, o, err) : -1;
}

static int
revoke(struct ca_journal *j, const struct options *o, const char *which, struct err *err)
{
	enum crl_reason reason = CRL_UNSPECIFIED;
	struct ca_revoked *r;
	int done;

	if (o->reason && !crl_reason_parse(o->reason, &reason))
		return err_set(err, ERR_INVALID, "'%.60s' is no reason; rootedge ca revoke --help lists them", o->reason);
	r = open_revoked(o, err);
	done = r ? revoke_which(j, r, which, reason, o, err) : -1;
	ca_revoked_close(r);
	return done;
}

/* Of one that is shown: by what it is, not by what it is called. */
static int
revoke_shown(struct ca_journal *j, const struct options *o, const char *where, struct err *err)
{
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	CLEAR(certs) certs = { 0 };

	if (cert_source_read(&certs, &(struct cert_source){ where, o->connect_to, o->password, .proven = true }, err) < 0)
		return -1;
	hex_encode(&hex, cert_sha256(certs.item[0]), DIGEST_SHA256_LEN, true);
	return revoke(j, o, buf_text(&hex), err);
}

/* However many there are: a page holds some. */
static void
turn_page(struct buf *page)
{
	if (page->len > PAGE_MAX / 2)
		page_print(page);
}

static void
put_revoked(void *arg, const struct ca_revocation *one)
{
	struct listing *l = arg;
	char when[CLOCK_TEXT_LEN];

	clock_text(one->when, when);
	if (l->o->json) {
		OWN_LIB(json_t) json =
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "issuer", one->issuer, "serial", one->serial, "subject",
				one->subject, "requester", one->requester, "revoked", when, "reason", crl_reason_name(one->reason));
		OWN_TEXT line = json_line(json);

		buf_putf(l->page, "%s\n", line);
		turn_page(l->page);
		return;
	}
	if (l->n++ == 0)
		buf_putf(l->page, "%-16s  %-20s  %-24s  %s\n", "revoked (UTC)", "reason", "for", "serial number");
	buf_putf(l->page, "%.16s  %-20s  %-24s  %s\n", when, crl_reason_name(one->reason), one->requester, one->serial);
	turn_page(l->page);
}

static int
revoked(struct ca_journal *j, const struct options *o, const char *operand, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	struct listing l = { .o = o, .page = &page };
	struct ca_revoked *r = open_revoked(o, err);
	int done = r ? ca_revoked_each(r, NULL, put_revoked, &l, err) : -1;

	(void)j;
	(void)operand;
	ca_revoked_close(r);
	page_print(&page);
	return done;
}

static int
make_list(struct ca_journal *j, struct ca_revoked *r, const struct ca_signer *signer, const struct options *o, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(CA_CRL_MAX_BYTES);

	if (ca_crl_make(&der, signer, r, j, clock_wall(), o->days * 86400, err) < 0)
		return -1;
	return file_save(o->out, der.data, der.len, 0644, err);
}

static int
list(struct ca_journal *j, const struct options *o, const char *operand, struct err *err)
{
	OWN(key_source) keys = key_source_new(&o->keys);
	OWN(ca_signer) signer = NULL;
	struct ca_revoked *r;
	int done;

	(void)operand;
	if (!o->cert || !o->key || !o->out)
		return err_set(err, ERR_INVALID, "--cert, --key and --out are needed");
	signer = ca_signer_load(o->cert, o->key, keys, err);
	r = signer ? open_revoked(o, err) : NULL;
	done = r ? make_list(j, r, signer, o, err) : -1;
	ca_revoked_close(r);
	return done;
}

static int
look_at_clock(struct ca_journal *j, const struct options *o, const char *operand, struct err *err)
{
	OWN_TEXT path = journal_path(o);
	char latest_text[CLOCK_TEXT_LEN], now_text[CLOCK_TEXT_LEN];
	int64_t n, latest, now = clock_wall();
	struct ca_journal_excuse excuse = ca_journal_excused(path);

	(void)operand;
	if (ca_journal_latest(j, &n, &latest, err) < 0)
		return -1;
	clock_text(latest, latest_text);
	clock_text(now, now_text);
	if (latest <= now) {
		printf("the clock says %s, and the latest of %lld entries is of %s\n", now_text, (long long)n,
			n > 0 ? latest_text : "never");
		return 0;
	}
	if (n <= excuse.n && now >= excuse.at) {
		printf("the clock says %s, which was accepted though the journal has an entry of %s\n", now_text, latest_text);
		return 0;
	}
	if (!o->accept)
		return err_set(err, ERR_INVALID,
			"the clock says %s, and the journal has an entry of %s: if the clock is right now, --accept", now_text,
			latest_text);
	if (ca_journal_excuse(path, &(struct ca_journal_excuse){ n, now }, err) < 0)
		return -1;
	printf("the dates of %lld entries, the latest of %s, are no reason to issue nothing any more\n", (long long)n, latest_text);
	return 0;
}

/* -- Calling them ----------------------------------------------------------------------------------------------------------------- */

struct verb {
	const char *name, *help;
	const struct option_usage *usage;
	int n_operands;
	int (*run)(struct ca_journal *journal, const struct options *o, const char *operand, struct err *err);
};

static const struct verb verbs[] = {
	{ "issued", "list what it has issued", &issued_usage, 0, issued },
	{ "show", "show one of them, with its chain", &show_usage, 1, show },
	{ "revoke", "revoke one", &revoke_usage, 1, revoke },
	{ "revoked", "list what was revoked", &revoked_usage, 0, revoked },
	{ "crl", "make the revocation list of a CA", &crl_usage, 0, list },
	{ "clock", "does it issue, by its clock", &clock_usage, 0, look_at_clock },
	{ "audit", "check that the journal is as it was written", &audit_usage, 0, audit },
};

static struct ca_journal *
open_journal(const struct options *o, struct err *err)
{
	OWN_TEXT path = journal_path(o);

	if (!file_exists(path))
		return err_null(err, ERR_MISSING, "%s is not there: no CA has issued anything here", path);
	return ca_journal_open_reader(path, err);
}

static int
run(const struct verb *verb, int argc, char **argv)
{
	struct options o = { .state = "/var/lib/rootedge/hub", .days = CA_CRL_DAYS };
	struct err err = ERR_INIT;
	int n = option_parse(verb->usage, &o, argc, argv, &err), done;
	struct ca_journal *journal;

	if (n >= 0 && n != verb->n_operands)
		n = err_set(&err, ERR_INVALID, "%s",
			verb->n_operands ? "one certificate is to be named" : "there is nothing to give but options");
	if (n < 0)
		return page_failure(verb->usage->command, &err, 2);
	journal = open_journal(&o, &err);
	done = journal ? verb->run(journal, &o, argv[0], &err) : -1;
	ca_journal_close(journal);
	return done < 0 ? page_failure(verb->usage->command, &err, 1) : 0;
}

int
cert_verb_revoke(int argc, char **argv)
{
	static const struct verb verb = { "revoke", NULL, &cert_revoke_usage, 1, revoke_shown };

	return run(&verb, argc, argv);
}

int
cmd_ca(int argc, char **argv)
{
	static const struct verb_table table = VERB_TABLE(
		"rootedge ca", "What a CA of ours has issued, from its journal, and what of that is revoked.", NULL, verbs);
	int status;
	const struct verb *verb = verb_find(&table, argc, argv, &status);

	return verb ? run(verb, argc - 1, argv + 1) : status;
}
