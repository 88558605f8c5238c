/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a [[label]] (est_label.h). */
#include "est/est_label.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "est/est_path.h"

#define DAY_S INT64_C(86400)
#define DAYS_MAX 36500
#define WITHOUT_LABEL "est" /* the profile's name in the journal */

void
est_label_clear(struct est_label *l)
{
	mem_free(l->name);
	anchors_free(l->bootstrap);
	revocations_free(l->bootstrap_revoked);
	est_memo_free(l->memo);
	est_names_clear(&l->may);
	est_names_clear(&l->bootstrap_may);
}

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
take_name(struct est_label *l, const struct toml *table, struct err *err)
{
	const char *name = "";

	if (toml_find_text(table, "name", &name, err) < 0)
		return -1;
	if (*name && (est_is_operation(name) || !ca_profile_name_is_valid(name) || text_is(name, WITHOUT_LABEL)))
		return toml_err(table, err,
			"name: '%.80s' can't be a label: it has 1 to 64 letters, digits and -._, and is neither an operation nor "
			"'%s'",
			name, WITHOUT_LABEL);
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
take_issuer(struct est_label *l, const struct est_issuers *issuers, const struct toml *table, struct err *err)
{
	const char *name = issuers->n == 1 ? issuers->item[0].name : NULL;

	if (toml_find_text(table, "issuer", &name, err) < 0)
		return -1;
	for (size_t i = 0; i < issuers->n; i++)
		if (text_is(name, issuers->item[i].name))
			l->issuer = &issuers->item[i];
	if (l->issuer) {
		l->profile.crl_url = l->issuer->crl_url;
		l->profile.ocsp_url = l->issuer->ocsp_url;
		return 0;
	}
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
	OWN_TEXT path = est_path_find(table, "bootstrap", err);
	struct certs roots = { 0 };

	if (!path)
		return err->kind == ERR_NONE ? 0 : -1;
	if (certs_load(&roots, path, CERTS_MAX, err) == 0)
		l->bootstrap = anchors_new(&roots, err);
	certs_clear(&roots);
	return l->bootstrap ? 0 : err_wrap(err, "bootstrap");
}

/* The lists of those who made the bootstrap certificates. */
static int
take_bootstrap_crl(struct est_label *l, const struct toml *table, struct err *err)
{
	OWN_TEXT path = est_path_find(table, "bootstrap_crl", err);
	CLEAR(buf) text = BUF_INIT(REVOCATIONS_MAX_BYTES);

	if (!path)
		return err->kind == ERR_NONE ? 0 : -1;
	if (!l->bootstrap)
		return toml_err(table, err, "bootstrap_crl: there is no bootstrap");
	l->bootstrap_revoked = revocations_new();
	if (file_load(&text, path, err) == 0 &&
		revocations_add(l->bootstrap_revoked, text.data, text.len, anchors_certs(l->bootstrap), err) == 0)
		return 0;
	return err_wrap(err, "bootstrap_crl %s", path);
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

/* A key that is made is gone with its answer: who waits for approval would get another one each time. */
static int
take_server_key(struct est_label *l, const struct toml *table, struct err *err)
{
	const char *text = NULL;

	if (toml_find_text(table, "server_keys", &text, err) < 0)
		return -1;
	if (!text)
		return 0;
	if (!key_alg_parse(text, &l->server_key) || !(l->profile.keys & CA_KEY(l->server_key)))
		return toml_err(table, err, "server_keys: '%.80s' is not among the keys of this label", text);
	if (l->demands_approval)
		return toml_err(table, err, "server_keys: not together with manual approval");
	l->makes_keys = true;
	return 0;
}

static int
take_rules(struct est_label *l, const struct toml *table, struct err *err)
{
	int64_t expired_days = 0;

	if (toml_find_bool(table, "passwords", &l->takes_passwords, err) < 0 ||
		toml_find_bool(table, "first_thumbprint", &l->first_thumbprint, err) < 0 ||
		toml_find_int(table, "expired_days", 0, DAYS_MAX, &expired_days, err) < 0 ||
		take_word(&l->demands_linking, table, "linking", "optional", "required", err) < 0 ||
		take_word(&l->demands_approval, table, "approval", "automatic", "manual", err) < 0)
		return -1;
	l->expired_s = expired_days * DAY_S;
	return 0;
}

int
est_label_load(struct est_label *l, const struct toml *table, const struct est_issuers *issuers, struct err *err)
{
	static const char *const known[] = { "name", "profile", "issuer", "days", "path_length", "keys", "may", "bootstrap",
		"bootstrap_may", "bootstrap_crl", "passwords", "expired_days", "linking", "approval", "server_keys",
		"first_thumbprint" };

	if (table->type != TOML_TABLE)
		return toml_err(table, err, "expected a table, [[label]]");
	l->memo = est_memo_new();
	if (toml_check_keys(table, known, COUNT(known), err) < 0 || take_name(l, table, err) < 0)
		return -1;
	if (take_profile(l, table, err) < 0 || take_issuer(l, issuers, table, err) < 0 ||
		take_names(&l->may, table, "may", err) < 0 || take_names(&l->bootstrap_may, table, "bootstrap_may", err) < 0 ||
		take_bootstrap(l, table, err) < 0 || take_bootstrap_crl(l, table, err) < 0)
		return -1;
	return take_rules(l, table, err) == 0 ? take_server_key(l, table, err) : -1;
}
