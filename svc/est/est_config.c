/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the configuration (est_config.h).  What can be wrong with it is said now, with its line, and not to the first client. */
#include "est/est_config.h"

#include <stdatomic.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/toml.h"

#define ISSUERS_MAX 16
#define LABELS_MAX 64
#define CHAIN_MAX 16
#define DAY_S INT64_C(86400)
#define DAYS_MAX 36500
#define WITHOUT_LABEL "est" /* the profile's name in the journal */

struct est_config {
	struct est_issuer issuers[ISSUERS_MAX];
	struct est_label labels[LABELS_MAX];
	size_t n_issuers, n_labels;
	atomic_int n_refs;
};

static void
label_clear(struct est_label *l)
{
	mem_free(l->name);
	anchors_free(l->bootstrap);
	est_names_clear(&l->may);
	est_names_clear(&l->bootstrap_may);
}

static void
issuer_clear(struct est_issuer *i)
{
	mem_free(i->name);
	ca_signer_free(i->signer);
	certs_clear(&i->shown);
	anchors_free(i->anchors);
}

struct est_config *
est_config_ref(struct est_config *c)
{
	atomic_fetch_add(&c->n_refs, 1);
	return c;
}

void
est_config_free(struct est_config *c)
{
	if (!c || atomic_fetch_sub(&c->n_refs, 1) > 1)
		return;
	for (size_t i = 0; i < c->n_labels; i++)
		label_clear(&c->labels[i]);
	for (size_t i = 0; i < c->n_issuers; i++)
		issuer_clear(&c->issuers[i]);
	mem_free(c);
}

/* -- Files: relative to the folder of the configuration ------------------------------------------------------------------------------ */

static char *
place(const struct toml *at, const char *path)
{
	const char *end = strrchr(at->file, '/');
	OWN_TEXT dir = end ? mem_textn(at->file, (size_t)(end - at->file)) : NULL;

	return dir && path[0] != '/' ? file_join(dir, path) : mem_text(path);
}

/* NULL and no error: it is not given. */
static char *
find_path(const struct toml *table, const char *key, struct err *err)
{
	const char *text = NULL;

	return toml_find_text(table, key, &text, err) == 0 && text ? place(table, text) : NULL;
}

/* -- Issuers ------------------------------------------------------------------------------------------------------------------------- */

static void
add_all(struct certs *to, const struct certs *from)
{
	for (size_t i = 0; i < from->n; i++)
		certs_add(to, from->item[i]);
}

static int
add_file(struct certs *to, const struct toml *table, const char *key, struct err *err)
{
	OWN_TEXT path = find_path(table, key, err);
	struct certs more = { 0 };
	int done;

	if (!path)
		return err->kind == ERR_NONE ? 0 : -1;
	done = certs_load(&more, path, CHAIN_MAX, err);
	if (done == 0)
		add_all(to, &more);
	certs_clear(&more);
	return done;
}

/* /cacerts has the root and all between (RFC 7030 4.1.3): who trusts it then can follow each certificate to it. */
static int
gather_shown(struct est_issuer *i, const struct toml *table, struct err *err)
{
	const struct certs *chain = ca_signer_chain(i->signer);
	const struct cert *top;

	add_all(&i->shown, chain);
	if (add_file(&i->shown, table, "root", err) < 0)
		return -1;
	top = i->shown.item[i->shown.n - 1];
	if (!cert_is_self_issued(top))
		return toml_err(
			table, err, "the chain of the CA ends with %s, which is no root: give it as `root`", cert_subject(top));
	for (size_t n = 0; n + 1 < i->shown.n; n++)
		if (!cert_is_issued_by(i->shown.item[n], i->shown.item[n + 1]))
			return toml_err(table, err, "%s was not issued by %s", cert_subject(i->shown.item[n]),
				cert_subject(i->shown.item[n + 1]));
	return add_file(&i->shown, table, "rollover", err);
}

static int
make_anchors(struct est_issuer *i, struct err *err)
{
	struct certs ca = { .item = ca_signer_chain(i->signer)->item, .n = 1 };

	i->anchors = anchors_new(&ca, err);
	return i->anchors ? 0 : -1;
}

static int
load_issuer(struct est_issuer *i, const struct toml *table, struct err *err)
{
	static const char *const known[] = { "certificate", "key", "root", "rollover" };
	const char *cert_path, *key_path;
	OWN_TEXT cert = NULL;
	OWN_TEXT key = NULL;

	i->name = mem_text(table->key);
	if (toml_check_keys(table, known, COUNT(known), err) < 0 || toml_get_text(table, "certificate", &cert_path, err) < 0 ||
		toml_get_text(table, "key", &key_path, err) < 0)
		return -1;
	cert = place(table, cert_path);
	key = place(table, key_path);
	i->signer = ca_signer_load(cert, key, err);
	return i->signer && gather_shown(i, table, err) == 0 ? make_anchors(i, err) : -1;
}

static int
load_issuers(struct est_config *c, const struct toml *root, struct err *err)
{
	const struct toml *table = NULL;

	if (toml_find_table(root, "issuer", &table, err) < 0)
		return -1;
	if (!table || table->n == 0)
		return err_set(err, ERR_INVALID, "%s: there is no [issuer.NAME], the CA that signs", root->file);
	if (table->n > ISSUERS_MAX)
		return toml_err(table, err, "at most %d issuers", ISSUERS_MAX);
	for (size_t n = 0; n < table->n; n++) {
		if (table->item[n]->type != TOML_TABLE)
			return toml_err(table->item[n], err, "expected a table, [issuer.NAME]");
		if (load_issuer(&c->issuers[c->n_issuers++], table->item[n], err) < 0)
			return err_wrap(err, "issuer %s", table->item[n]->key);
	}
	return 0;
}

/* -- Labels ---------------------------------------------------------------------------------------------------------------------------- */

static const char *const operations[] = { "cacerts", "simpleenroll", "simplereenroll", "fullcmc", "serverkeygen", "csrattrs" };

bool
est_is_operation(const char *name)
{
	for (size_t i = 0; i < COUNT(operations); i++)
		if (text_is(name, operations[i]))
			return true;
	return false;
}

static int
take_name(const struct est_config *c, struct est_label *l, const struct toml *table, struct err *err)
{
	const char *name = "";

	if (toml_find_text(table, "name", &name, err) < 0)
		return -1;
	if (*name && (est_is_operation(name) || !ca_profile_name_is_valid(name) || text_is(name, WITHOUT_LABEL)))
		return toml_err(table, err,
			"name: '%.80s' can't be a label: it has 1 to 64 letters, digits and -._, and is neither an operation nor "
			"'%s'",
			name, WITHOUT_LABEL);
	if (est_config_label(c, name))
		return toml_err(table, err, "name: there are two labels '%s'", name);
	l->name = mem_text(name);
	return 0;
}

static int
take_kind(enum ca_kind *out, const struct toml *table, struct err *err)
{
	const char *text;

	if (toml_get_text(table, "profile", &text, err) < 0)
		return -1;
	for (unsigned kind = CA_DEVICE; kind <= CA_BOOTSTRAP; kind++)
		if (text_is(text, ca_kind_name((enum ca_kind)kind))) {
			*out = (enum ca_kind)kind;
			return 0;
		}
	return toml_err(table, err, "profile: '%.80s' is none of device, server, edge-ca, bootstrap", text);
}

static int
take_keys(struct est_label *l, const struct toml *table, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(table, "keys", &list, err) < 0)
		return -1;
	if (!list)
		return 0;
	l->profile.keys = 0;
	for (size_t i = 0; i < list->n; i++) {
		enum key_alg alg;

		if (list->item[i]->type != TOML_STRING || !key_alg_parse(list->item[i]->text, &alg))
			return toml_err(
				list->item[i], err, "keys: ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096 or ed25519 is expected");
		if (i == 0)
			l->key = alg;
		l->announces_key = true;
		l->profile.keys |= CA_KEY(alg);
	}
	return l->profile.keys ? 0 : toml_err(list, err, "keys: none is named");
}

static int
take_profile(struct est_label *l, const struct toml *table, struct err *err)
{
	enum ca_kind kind;
	int64_t days, path_len;

	if (take_kind(&kind, table, err) < 0)
		return -1;
	l->profile = ca_profile_of(*l->name ? l->name : WITHOUT_LABEL, kind);
	days = l->profile.lifetime_s / DAY_S;
	path_len = l->profile.path_len;
	if (toml_find_int(table, "days", 1, DAYS_MAX, &days, err) < 0 ||
		toml_find_int(table, "path_length", 0, 8, &path_len, err) < 0)
		return -1;
	l->profile.lifetime_s = days * DAY_S;
	l->profile.path_len = (int)path_len;
	return take_keys(l, table, err);
}

static int
take_issuer(struct est_label *l, const struct est_config *c, const struct toml *table, struct err *err)
{
	const char *name = c->n_issuers == 1 ? c->issuers[0].name : NULL;

	if (toml_find_text(table, "issuer", &name, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_issuers; i++)
		if (text_is(name, c->issuers[i].name))
			l->issuer = &c->issuers[i];
	if (l->issuer)
		return 0;
	return toml_err(table, err, name ? "issuer: there is no [issuer.%.80s]" : "issuer: there are several, name one%.0s",
		name ? name : "");
}

/* Absent: who shows a certificate gets one for the same name. */
static int
take_names(struct est_names *out, const struct toml *table, const char *key, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(table, key, &list, err) < 0)
		return -1;
	if (!list)
		est_names_add(out, "{id}");
	for (size_t i = 0; list && i < list->n; i++)
		if (list->item[i]->type != TOML_STRING || !est_names_add(out, list->item[i]->text))
			return toml_err(list->item[i], err, "%s: a pattern of 1 to %d characters is expected, at most %d", key,
				EST_NAME_LEN_MAX, EST_NAMES_MAX);
	return 0;
}

static int
take_bootstrap(struct est_label *l, const struct toml *table, struct err *err)
{
	OWN_TEXT path = find_path(table, "bootstrap", err);
	struct certs roots = { 0 };

	if (!path)
		return err->kind == ERR_NONE ? 0 : -1;
	if (certs_load(&roots, path, CERTS_MAX, err) == 0)
		l->bootstrap = anchors_new(&roots, err);
	certs_clear(&roots);
	return l->bootstrap ? 0 : err_wrap(err, "bootstrap");
}

/* One of two words; *out keeps its default. */
static int
take_word(bool *out, const struct toml *table, const char *key, const char *no, const char *yes, struct err *err)
{
	const char *text = *out ? yes : no;

	if (toml_find_text(table, key, &text, err) < 0)
		return -1;
	if (!text_is(text, no) && !text_is(text, yes))
		return toml_err(table, err, "%s: '%.80s' is neither %s nor %s", key, text, no, yes);
	*out = text_is(text, yes);
	return 0;
}

static int
take_rules(struct est_label *l, const struct toml *table, struct err *err)
{
	int64_t expired_days = 0;

	if (toml_find_bool(table, "passwords", &l->takes_passwords, err) < 0 ||
		toml_find_int(table, "expired_days", 0, DAYS_MAX, &expired_days, err) < 0 ||
		take_word(&l->demands_linking, table, "linking", "optional", "required", err) < 0 ||
		take_word(&l->demands_approval, table, "approval", "automatic", "manual", err) < 0)
		return -1;
	l->expired_s = expired_days * DAY_S;
	return 0;
}

static int
load_label(struct est_config *c, const struct toml *table, struct err *err)
{
	static const char *const known[] = { "name", "profile", "issuer", "days", "path_length", "keys", "may", "bootstrap",
		"bootstrap_may", "passwords", "expired_days", "linking", "approval" };
	struct est_label *l = &c->labels[c->n_labels];

	if (table->type != TOML_TABLE)
		return toml_err(table, err, "expected a table, [[label]]");
	if (toml_check_keys(table, known, COUNT(known), err) < 0 || take_name(c, l, table, err) < 0)
		return -1;
	c->n_labels++; /* from here on it is cleared with all others */
	if (take_profile(l, table, err) < 0 || take_issuer(l, c, table, err) < 0 || take_names(&l->may, table, "may", err) < 0 ||
		take_names(&l->bootstrap_may, table, "bootstrap_may", err) < 0 || take_bootstrap(l, table, err) < 0)
		return -1;
	return take_rules(l, table, err);
}

static int
load_labels(struct est_config *c, const struct toml *root, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(root, "label", &list, err) < 0)
		return -1;
	if (!list || list->n == 0)
		return err_set(err, ERR_INVALID, "%s: there is no [[label]]: nothing to give", root->file);
	if (list->n > LABELS_MAX)
		return toml_err(list, err, "at most %d labels", LABELS_MAX);
	for (size_t i = 0; i < list->n; i++)
		if (load_label(c, list->item[i], err) < 0)
			return -1;
	return 0;
}

/* -- Together -------------------------------------------------------------------------------------------------------------------------- */

struct est_config *
est_config_load(const char *path, struct err *err)
{
	static const char *const known[] = { "issuer", "label" };
	CLEAR(buf) text = BUF_INIT(TOML_MAX);
	OWN(toml) root = NULL;
	OWN(est_config) c = NEW(est_config);

	c->n_refs = 1;
	if (file_load(&text, path, err) < 0)
		return NULL;
	root = toml_parse(buf_text(&text), text.len, path, err);
	if (!root || toml_check_keys(root, known, COUNT(known), err) < 0 || load_issuers(c, root, err) < 0 ||
		load_labels(c, root, err) < 0)
		return NULL;
	return GIVE(c);
}

const struct est_label *
est_config_label(const struct est_config *c, const char *name)
{
	for (size_t i = 0; i < c->n_labels; i++)
		if (text_is(c->labels[i].name, name))
			return &c->labels[i];
	return NULL;
}

size_t
est_config_n_labels(const struct est_config *c)
{
	return c->n_labels;
}
