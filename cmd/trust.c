/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge trust: one root follows another, and nobody who relies on the old one is left behind (docs/trust.md).  The rules are ca/rollover.c's, the folder ca/trust_dir.c's, who has heard of
 * the new root trust_census.c's. */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "ca/trust_dir.h"
#include "cert.h"
#include "cmd.h"
#include "hub_tool.h"
#include "page.h"
#include "trust_census.h"
#include "verbs.h"

#define DAY_S INT64_C(86400)
#define NAMES_SHOWN 20
#define EXITS "Exit status: 0 done, 1 not done, 2 called wrongly."

struct options {
	struct hub_tool_options tool;
	const char *dir, *key, *key_out, *key_alg, *out;
	struct option_list est, except, issuers;
	int64_t days, ended_days;
	bool force, all, cross;
};

#define ROW(name, letter, value, help, type, field, min, max)                                                                      \
	{                                                                                                                          \
		name, letter, value, help, type, offsetof(struct options, field), min, max                                         \
	}
#define ROW_DIR ROW("dir", 'd', "DIR", "the folder of the roots (" TRUST_DIR_DEFAULT ")", OPTION_TEXT, dir, 0, 0)
#define ROWS_CENSUS                                                                                                                \
	ROW("est", 'e', "DIR",                                                                                                     \
		"who relies on the roots: those with a certificate of the EST server with this state; may be given "               \
		"several times",                                                                                                   \
		OPTION_LIST, est, 0, 0),                                                                                           \
		ROW("hub", 'H', "STRING", "and the devices of the hub with this connection string ($ROOTEDGE_HUB)", OPTION_TEXT,   \
			tool.hub, 0, 0),                                                                                           \
		ROW("ca", 0, "FILE", "the root that the hub's certificate is trusted by ($ROOTEDGE_CA)", OPTION_TEXT, tool.ca, 0,  \
			0),                                                                                                        \
		ROW("connect-to", 0, "ADDRESS", "TCP to the hub goes there; the name is still checked ($ROOTEDGE_CONNECT_TO)",     \
			OPTION_TEXT, tool.connect_to, 0, 0),                                                                       \
		ROW("except", 'x', "PATTERN", "don't wait for these ids (* and ?); may be given several times", OPTION_LIST,       \
			except, 0, 0),                                                                                             \
		ROW("ended-days", 0, "N", "wait for those, too, whose certificate ended at most so long ago (0)", OPTION_INT,      \
			ended_days, 0, 36500)
#define ROW_JSON ROW("json", 0, NULL, "JSON, for programs", OPTION_FLAG, tool.json, 0, 0)

static const struct option_row init_rows[] = { ROW_DIR, { 0 } };
static const struct option_row rotate_rows[] = { ROW_DIR,
	ROW("key", 'k', "FILE", "the private key of the active root (NAME.key.pem in DIR)", OPTION_TEXT, key, 0, 0),
	ROW("key-out", 0, "FILE", "where the new one's goes, readable by you alone (NAME.key.pem in DIR)", OPTION_TEXT, key_out, 0,
		0),
	ROW("key-alg", 0, "ALG", "its kind: ec-p256 (default), ec-p384, rsa-2048, rsa-3072, rsa-4096, ed25519", OPTION_TEXT,
		key_alg, 0, 0),
	ROW("days", 0, "N", "how long it is valid (3650)", OPTION_INT, days, 1, 36500), { 0 } };
static const struct option_row activate_rows[] = { ROW_DIR, { 0 } };
static const struct option_row retire_rows[] = { ROW_DIR, ROWS_CENSUS,
	ROW("issuer", 'i', "FILE",
		"the certificate of a CA that issues: refused while it is under the old root; may be given several times",
		OPTION_LIST, issuers, 0, 0),
	ROW("force", 'f', NULL, "even when some don't hold the new root: they are named, and lose trust", OPTION_FLAG, force, 0, 0),
	ROW("all", 'a', NULL, "name all of them, not the first few", OPTION_FLAG, all, 0, 0), { 0 } };
static const struct option_row status_rows[] = { ROW_DIR, ROWS_CENSUS,
	ROW("all", 'a', NULL, "name all who are missing, not the first few", OPTION_FLAG, all, 0, 0), ROW_JSON, { 0 } };
static const struct option_row export_rows[] = { ROW_DIR,
	ROW("out", 'o', "FILE", "where they go, PEM (standard output)", OPTION_TEXT, out, 0, 0),
	ROW("cross", 0, NULL, "instead, the roots as signed by each other: what a server sends behind its chain", OPTION_FLAG,
		cross, 0, 0),
	{ 0 } };

static const struct option_usage init_usage = { "rootedge trust init", "ROOT",
	"Begin with a root that is there: its certificate, PEM.  It is the active one.", EXITS, init_rows };
static const struct option_usage rotate_usage = { "rootedge trust rotate", "NAME",
	"Make another root of this name, signed crosswise with the active one, and announce it: from now on it is in every bundle.",
	EXITS, rotate_rows };
static const struct option_usage activate_usage = { "rootedge trust activate", "",
	"The announced root is the active one from now on: what is issued is issued under it.  The old one stays in every bundle.",
	EXITS, activate_rows };
static const struct option_usage retire_usage = { "rootedge trust retire", "",
	"Take the old root out of every bundle.  Refused while somebody who relies on it does not hold the new one.  An announced "
	"root that "
	"is not to become active is given up so, too.",
	EXITS, retire_rows };
static const struct option_usage status_usage = { "rootedge trust status", "",
	"Which roots there are, and who does not hold the new one yet.  Devices say so by fetching /cacerts with their "
	"certificate, or in "
	"their twin's reported properties.",
	"Exit status: 0 nobody is missing, 1 somebody is, or it could not be found out, 2 called wrongly.", status_rows };
static const struct option_usage export_usage = { "rootedge trust export", "", "Print the roots that are to be trusted, PEM.",
	EXITS, export_rows };

/* -- Init, rotate, activate --------------------------------------------------------------------------------------------------------- */

static int
init(struct trust_dir *dir, const struct options *o, const char *path, struct err *err)
{
	CLEAR(certs) certs = { 0 };

	(void)o;
	if (certs_load(&certs, path, CERTS_MAX, err) < 0)
		return -1;
	if (certs.n != 1)
		return err_set(err, ERR_INVALID, "%s: one certificate is wanted, the root's", path);
	if (rollover_begin(&dir->roots, certs.item[0], clock_wall(), err) < 0 || trust_dir_save(dir, err) < 0)
		return -1;
	printf("%s is the active root\n", cert_subject(certs.item[0]));
	return 0;
}

static char *
file_of(const struct options *o, const char *name, const char *suffix)
{
	OWN_TEXT file = cert_file_path(NULL, name, suffix);

	return file_join(o->dir, file);
}

/* What a command that was killed has left is replaced, another certificate is not: names that differ may have one file. */
static int
check_file(const char *path, const struct cert *root, struct err *err)
{
	CLEAR(certs) there = { 0 };

	if (!file_exists(path))
		return 0;
	if (certs_load(&there, path, CERTS_MAX, err) < 0)
		return -1;
	if (there.n == 1 && cert_is_same_ca(there.item[0], root))
		return 0;
	return err_set(err, ERR_CONFLICT, "%s is there already, of another CA, %s: move it away, or take another name", path,
		cert_subject(there.item[0]));
}

static int
save_root(const struct trust_dir *dir, const char *path, struct err *err)
{
	const struct cert *root = rollover_find(&dir->roots, ROLLOVER_ANNOUNCED)->cert;
	struct buf pem = BUF_INIT(PAGE_MAX);

	if (check_file(path, root, err) < 0)
		return -1;
	cert_put_pem(root, &pem);
	return cert_file_save(path, &pem, err);
}

static void
tell_rotated(const struct trust_dir *dir, const char *cert, const char *key)
{
	const struct rollover *r = &dir->roots;
	const char *old = cert_subject(rollover_find(r, ROLLOVER_ACTIVE)->cert),
		   *new = cert_subject(rollover_find(r, ROLLOVER_ANNOUNCED)->cert);
	char until[CLOCK_TEXT_LEN];

	printf("%s is announced beside %s\n  valid until  %s\n  certificate  %s\n  private key  %s\n  to trust     %s/bundle.pem\n"
	       "Next: have everybody fetch it (rootedge trust status), then rootedge trust activate.\n",
		new, old, clock_text(cert_not_after(rollover_find(r, ROLLOVER_ANNOUNCED)->cert), until), cert, key, dir->path);
}

static int
rotate(struct trust_dir *dir, const struct options *o, const char *name, struct err *err)
{
	const struct rollover_root *active = rollover_find(&dir->roots, ROLLOVER_ACTIVE);
	const char *active_name = active ? cert_common_name(active->cert) : NULL;
	OWN_TEXT active_key = o->key ? mem_text(o->key) : file_of(o, active_name ? active_name : "", ".key.pem");
	OWN_TEXT key = o->key_out ? mem_text(o->key_out) : file_of(o, name, ".key.pem");
	OWN_TEXT cert = file_of(o, name, ".cert.pem");
	struct trust_wish wish = { name, key, active_key, o->key_alg, clock_wall() + o->days * DAY_S };

	/* The certificate's file before the state, which counts: after a kill the same command makes both again. */
	if (trust_dir_announce(dir, &wish, clock_wall(), err) < 0 || save_root(dir, cert, err) < 0 || trust_dir_save(dir, err) < 0)
		return -1;
	tell_rotated(dir, cert, key);
	return 0;
}

static int
activate(struct trust_dir *dir, const struct options *o, const char *operand, struct err *err)
{
	(void)o;
	(void)operand;
	if (rollover_activate(&dir->roots, clock_wall(), err) < 0 || trust_dir_save(dir, err) < 0)
		return -1;
	printf("%s is active; %s stays in every bundle until it retires\n",
		cert_subject(rollover_find(&dir->roots, ROLLOVER_ACTIVE)->cert),
		cert_subject(rollover_find(&dir->roots, ROLLOVER_OUTGOING)->cert));
	return 0;
}

/* -- Who holds it? ------------------------------------------------------------------------------------------------------------------ */

/* The root that everybody is to hold before the next step. */
static const struct cert *
wanted(const struct rollover *r)
{
	const struct rollover_root *announced = rollover_find(r, ROLLOVER_ANNOUNCED);

	return (announced ? announced : rollover_find(r, ROLLOVER_ACTIVE))->cert;
}

static int
ask_hub(struct census *census, const struct options *o, const struct cert *root, struct err *err)
{
	struct hub_session session;
	int done = hub_session_open(&session, o->tool.hub, o->tool.ca, o->tool.connect_to, err);

	if (done < 0)
		return -1;
	done = trust_census_hub(census, &session, root, err);
	hub_session_clear(&session);
	return done;
}

static int
take_census(struct census *census, const struct options *o, const struct rollover *roots, const struct cert *root, struct err *err)
{
	for (size_t i = 0; i < o->est.n; i++)
		if (trust_census_est(census, o->est.items[i], roots, root, o->ended_days * DAY_S, err) < 0)
			return -1;
	if (o->tool.hub && ask_hub(census, o, root, err) < 0)
		return -1;
	for (size_t i = 0; i < o->except.n; i++)
		census_except(census, o->except.items[i]);
	return 0;
}

static bool
is_asked(const struct options *o)
{
	return o->est.n > 0 || o->tool.hub;
}

struct naming {
	struct buf *page;
	size_t n, max;
};

static void
put_name(void *arg, const char *id)
{
	struct naming *naming = arg;

	if (naming->n++ < naming->max)
		buf_putf(naming->page, "  %s\n", id);
}

static void
put_missing(struct buf *page, struct census *census, const struct options *o)
{
	struct naming naming = { page, 0, o->all ? SIZE_MAX : NAMES_SHOWN };

	census_each_missing(census, put_name, &naming);
	if (naming.n > naming.max)
		buf_putf(page, "  and %zu more; --all names them\n", naming.n - naming.max);
}

/* -- Retire ------------------------------------------------------------------------------------------------------------------------- */

static int
refuse(const struct census_count *count, const struct cert *root, struct census *census, const struct options *o, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(64 * PAGE_MAX);

	if (!is_asked(o))
		return err_set(err, ERR_DENIED, "who relies on the roots? --est DIR and --hub STRING tell; --force asks nobody");
	if (count->all == 0)
		return err_set(err, ERR_DENIED,
			"nobody was found who relies on the roots (%zu are not waited for), so who holds %s is not known: "
			"is another --est or --hub to be asked? --force does it all the same",
			count->except, cert_subject(root));
	put_missing(&page, census, o);
	page_print(&page);
	return err_set(err, ERR_DENIED,
		"%zu of %zu don't hold %s yet, and would trust nothing any more that it issues; --force does it all the same",
		count->all - count->hold, count->all, cert_subject(root));
}

static int
check_issuer(const char *path, const struct rollover *r, struct err *err)
{
	const struct cert *leaving = rollover_leaving(r)->cert, *active = rollover_find(r, ROLLOVER_ACTIVE)->cert;
	CLEAR(certs) chain = { 0 };

	if (certs_load(&chain, path, CERTS_MAX, err) < 0)
		return -1;
	for (size_t i = 0; i < chain.n; i++) /* the active root as signed by the old one may stand there */
		if (cert_is_issued_by(chain.item[i], leaving) && !cert_is_same_ca(chain.item[i], active))
			return err_set(err, ERR_DENIED,
				"%s: %s stands under %s still: have it signed by %s; --force retires it all the same", path,
				cert_subject(chain.item[i]), cert_subject(leaving), cert_subject(active));
	return 0;
}

static int
check_issuers(const struct options *o, const struct rollover *r, struct err *err)
{
	for (size_t i = 0; i < o->issuers.n; i++)
		if (check_issuer(o->issuers.items[i], r, err) < 0)
			return -1;
	return 0;
}

static int
retire(struct trust_dir *dir, const struct options *o, const char *operand, struct err *err)
{
	const struct rollover_root *leaving = rollover_leaving(&dir->roots);
	const struct cert *root =
		rollover_find(&dir->roots, ROLLOVER_ACTIVE) ? rollover_find(&dir->roots, ROLLOVER_ACTIVE)->cert : NULL;
	bool matters = leaving && leaving->state == ROLLOVER_OUTGOING; /* nothing stands on one that was announced only */
	OWN(census) census = census_new();
	CLEAR(buf) page = BUF_INIT(64 * PAGE_MAX);
	OWN_TEXT name = leaving ? mem_text(cert_subject(leaving->cert)) : NULL;
	struct census_count count;

	(void)operand;
	if (matters && take_census(census, o, &dir->roots, root, err) < 0)
		return -1;
	count = census_count(census);
	if (matters && !o->force && (!is_asked(o) || count.all == 0 || count.hold < count.all))
		return refuse(&count, root, census, o, err);
	if (matters && !o->force && check_issuers(o, &dir->roots, err) < 0)
		return -1;
	if (rollover_retire(&dir->roots, clock_wall(), err) < 0 || trust_dir_save(dir, err) < 0)
		return -1;
	buf_putf(&page, "%s is retired, and in no bundle any more\n", name);
	if (matters && o->issuers.n == 0)
		buf_puts(&page, "No --issuer was named: a CA that stands under it still issues what nobody trusts now.\n");
	if (count.hold < count.all) {
		buf_putf(&page, "%zu of %zu did not hold %s; they have to be given it by hand:\n", count.all - count.hold,
			count.all, cert_subject(root));
		put_missing(&page, census, o);
	}
	page_print(&page);
	return 0;
}

/* -- Status, export ----------------------------------------------------------------------------------------------------------------- */

static json_t *
root_json(const struct rollover_root *root)
{
	char since[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN], fingerprint[CERT_FINGERPRINT_LEN];

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "subject", cert_subject(root->cert), "state",
		rollover_state_name(root->state), "since", clock_text(root->since, since), "notAfter",
		clock_text(cert_not_after(root->cert), until), "sha256", cert_fingerprint(root->cert, fingerprint));
}

static void
put_json_name(void *arg, const char *id)
{
	json_array_append_new(arg, json_string(id));
}

static void
tell_json(const struct rollover *r, struct census *census, const struct options *o)
{
	OWN_LIB(json_t) json = json_pack("{s:I, s:[]}", "generation", (json_int_t)r->generation, "roots");
	struct census_count count = census_count(census);
	OWN_TEXT line = NULL;

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(json_object_get(json, "roots"), root_json(&r->roots[i]));
	if (is_asked(o)) {
		json_t *missing = json_array();

		census_each_missing(census, put_json_name, missing);
		json_object_update_new(
			json, json_pack("{s:s, s:I, s:I, s:I, s:o}", "root", cert_subject(wanted(r)), "rely", (json_int_t)count.all,
				      "hold", (json_int_t)count.hold, "excepted", (json_int_t)count.except, "missing", missing));
	}
	line = json_line(json);
	puts(line);
}

static void
put_roots(struct buf *page, const struct rollover *r)
{
	for (size_t i = 0; i < r->n; i++) {
		char since[CLOCK_TEXT_LEN];
		OWN_TEXT line = cert_line(r->roots[i].cert);

		buf_putf(page, "%-10s since %.10s  %s\n", rollover_state_name(r->roots[i].state),
			clock_text(r->roots[i].since, since), line);
	}
}

static void
tell(const struct rollover *r, struct census *census, const struct options *o)
{
	CLEAR(buf) page = BUF_INIT(64 * PAGE_MAX);
	struct census_count count = census_count(census);

	put_roots(&page, r);
	if (is_asked(o)) {
		buf_putf(&page, "%zu of %zu hold %s%s\n", count.hold, count.all, cert_subject(wanted(r)),
			count.hold < count.all ? "; not yet:" : "");
		put_missing(&page, census, o);
		if (count.except > 0)
			buf_putf(&page, "%zu are not waited for\n", count.except);
	}
	page_print(&page);
}

static int
status(struct trust_dir *dir, const struct options *o, const char *operand, struct err *err)
{
	OWN(census) census = census_new();
	struct census_count count;

	(void)operand;
	if (take_census(census, o, &dir->roots, wanted(&dir->roots), err) < 0)
		return -1;
	if (o->tool.json)
		tell_json(&dir->roots, census, o);
	else
		tell(&dir->roots, census, o);
	count = census_count(census);
	return count.hold < count.all ? 1 : 0;
}

static int export(struct trust_dir *dir, const struct options *o, const char *operand, struct err *err)
{
	struct buf pem = BUF_INIT(PAGE_MAX);
	CLEAR(certs) roots = { 0 };

	(void)operand;
	rollover_bundle(&dir->roots, &roots);
	certs_put_pem(o->cross ? &dir->roots.cross : &roots, &pem);
	if (o->out)
		return cert_file_save(o->out, &pem, err);
	page_print(&pem);
	return 0;
}

/* -- Calling them ------------------------------------------------------------------------------------------------------------------- */

struct verb {
	const char *name, *help;
	const struct option_usage *usage;
	const char *operand; /* what is to be given, or NULL */
	bool changes;
	/* 0, -1 with err, or another exit status. */
	int (*run)(struct trust_dir *dir, const struct options *o, const char *operand, struct err *err);
};

static const struct verb verbs[] = {
	{ "init", "begin with a root that is there", &init_usage, "the root's certificate", true, init },
	{ "rotate", "make another root and announce it", &rotate_usage, "the new root's name", true, rotate },
	{ "status", "which roots there are, and who does not hold the new one yet", &status_usage, NULL, false, status },
	{ "activate", "issue under the new root from now on", &activate_usage, NULL, true, activate },
	{ "retire", "take the old root out of every bundle", &retire_usage, NULL, true, retire },
	{ "export", "print the roots that are to be trusted", &export_usage, NULL, false, export },
};

static int
run_in(const struct verb *verb, const struct options *o, const char *operand, struct err *err)
{
	CLEAR(trust_dir) dir = { .lock = -1 };

	if ((verb->changes ? trust_dir_open : trust_dir_read)(&dir, o->dir, err) < 0)
		return err->kind == ERR_MISSING ? err_wrap(err, "rootedge trust init begins with a root") : -1;
	return verb->run(&dir, o, operand, err);
}

static int
run(const struct verb *verb, int argc, char **argv)
{
	struct options o = { .dir = TRUST_DIR_DEFAULT, .days = 3650, .key_alg = "ec-p256" };
	struct err err = ERR_INIT;
	int n = option_parse(verb->usage, &o, argc, argv, &err), done;

	if (n >= 0 && n != (verb->operand != NULL))
		n = verb->operand ? err_set(&err, ERR_INVALID, "%s is needed", verb->operand)
				  : err_set(&err, ERR_INVALID, "there is nothing to give but options");
	if (n < 0)
		return page_failure(verb->usage->command, &err, 2);
	o.tool.hub = hub_tool_or_environment(o.tool.hub, "ROOTEDGE_HUB");
	o.tool.ca = hub_tool_or_environment(o.tool.ca, "ROOTEDGE_CA");
	o.tool.connect_to = hub_tool_or_environment(o.tool.connect_to, "ROOTEDGE_CONNECT_TO");
	done = run_in(verb, &o, argv[0], &err);
	return done < 0 ? page_failure(verb->usage->command, &err, 1) : done;
}

int
cmd_trust(int argc, char **argv)
{
	static const struct verb_table table =
		VERB_TABLE("rootedge trust", "How one root follows another, and who does not hold the new one yet.", NULL, verbs);
	int status;
	const struct verb *verb = verb_find(&table, argc, argv, &status);

	return verb ? run(verb, argc - 1, argv + 1) : status;
}
