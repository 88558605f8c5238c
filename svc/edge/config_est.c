/* SPDX-License-Identifier: Apache-2.0 */
/* EST in config.toml: read, checked where it stands, and put down as certd reads it. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "common/renewal.h"
#include "edge/config_est.h"
#include "edge/config_keys.h"
#include "wire/json.h"
#include "wire/uri.h"

#define TRUSTED_MAX 64

void
config_est_init(struct config_est *e)
{
	*e = (struct config_est){ .issuance = json_object(), .certs = json_object(), .keys = json_object() };
}

void
config_est_clear(struct config_est *e)
{
	json_decref(e->issuance);
	json_decref(e->certs);
	json_decref(e->keys);
}

static int
set_text(json_t *into, const char *key, const struct toml *table, struct err *err)
{
	const char *text = NULL;

	if (toml_find_text(table, key, &text, err) < 0)
		return -1;
	if (text)
		json_object_set_new(into, key, json_string(text));
	return 0;
}

/* -- Servers ------------------------------------------------------------------------------------------------------------------------------ */

/* The place of the operations: HTTPS, and nothing behind the path. */
static int
check_url(const struct toml *value, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(uri) uri = value->type == TOML_STRING ? uri_parse(value->text, &why) : NULL;

	if (!uri)
		return toml_err(value, err, "%s", *why.text ? why.text : "an https:// URL is expected");
	if (uri->scheme != URI_HTTPS)
		return toml_err(value, err, "an EST server is asked over https:// only");
	return strchr(uri->path, '?') ? toml_err(value, err, "the URL of an EST server has no question mark") : 0;
}

static int
set_url(json_t *into, const char *key, const struct toml *value, struct err *err)
{
	if (check_url(value, err) < 0)
		return -1;
	json_object_set_new(into, key, json_string(value->text));
	return 0;
}

static int
take_urls(json_t *est, const struct toml *table, struct err *err)
{
	const struct toml *urls = NULL;
	json_t *into = json_object();

	json_object_set_new(est, "urls", into);
	if (toml_find_table(table, "urls", &urls, err) < 0)
		return -1;
	for (size_t i = 0; urls && i < urls->n; i++)
		if (set_url(into, urls->item[i]->key, urls->item[i], err) < 0)
			return -1;
	return 0;
}

static int
take_trusted(struct config_est *e, json_t *into, const struct toml *table, struct err *err)
{
	const struct toml *list = NULL;
	json_t *ids;

	if (toml_find_array(table, "trusted_certs", &list, err) < 0)
		return -1;
	if (!list)
		return 0;
	ids = json_array();
	json_object_set_new(into, "trusted_certs", ids);
	for (size_t i = 0; i < list->n; i++) {
		const struct toml *value = list->item[i];
		struct err why = ERR_INIT;
		OWN_TEXT path = value->type == TOML_STRING ? uri_file_path(value->text, &why) : NULL;
		OWN_TEXT id = mem_textf("est-server-ca-%zu", ++e->n_trusted);

		if (!path || e->n_trusted > TRUSTED_MAX)
			return toml_err(value, err, "%s",
				!path ? (*why.text ? why.text : "a file URI is expected") : "too many certificates");
		json_object_set_new(e->certs, id, json_string(path));
		json_array_append_new(ids, json_string(id));
	}
	return 0;
}

/* -- Credentials -------------------------------------------------------------------------------------------------------------------------- */

/* A certificate and its key as files: preloaded under the id. */
static int
take_pair(struct config_est *e, const struct toml *table, const char *cert, const char *pk, const char *id, bool *given,
	struct err *err)
{
	const char *cert_text = NULL, *pk_text = NULL;
	OWN_TEXT path = NULL;
	OWN_TEXT place = NULL;
	struct err why = ERR_INIT;

	if (toml_find_text(table, cert, &cert_text, err) < 0 || toml_find_text(table, pk, &pk_text, err) < 0)
		return -1;
	*given = cert_text && pk_text;
	if (!cert_text != !pk_text)
		return toml_err(toml_find(table, cert_text ? cert : pk), err, "%s is missing beside it", cert_text ? pk : cert);
	if (!*given)
		return 0;
	path = uri_file_path(cert_text, &why);
	if (!path)
		return toml_err(toml_find(table, cert), err, "%s", why.text);
	if (config_keys_take_place(&place, toml_find(table, pk), err) < 0)
		return -1;
	json_object_set_new(e->certs, id, json_string(path));
	json_object_set_new(e->keys, id, json_string(place));
	return 0;
}

static int
check_user(const struct toml *table, struct err *err)
{
	const struct toml *user = toml_find(table, "username"), *password = toml_find(table, "password");

	if (user && user->type == TOML_STRING && strchr(user->text, ':'))
		return toml_err(user, err, "a user name of HTTP has no colon");
	return password && !user ? toml_err(password, err, "username is missing beside it") : 0;
}

static void
set_ids(json_t *auth, const char *cert, const char *pk, const char *id)
{
	json_object_set_new(auth, cert, json_string(id));
	json_object_set_new(auth, pk, json_string(id));
}

/* *auth: NULL when the table has none of the keys.  suffix: "" or "-<certificate's id>", as the original names what is for one certificate. */
static int
take_auth(struct config_est *e, const struct toml *table, const char *suffix, json_t **auth, struct err *err)
{
	OWN_TEXT id = mem_textf("est-id%s", suffix);
	OWN_TEXT bootstrap_id = mem_textf("est-bootstrap-id%s", suffix);
	OWN_LIB(json_t) made = json_object();
	bool has_pair, has_bootstrap;

	if (check_user(table, err) < 0 || set_text(made, "username", table, err) < 0 ||
		set_text(made, "password", table, err) < 0 ||
		take_pair(e, table, "identity_cert", "identity_pk", id, &has_pair, err) < 0 ||
		take_pair(e, table, "bootstrap_identity_cert", "bootstrap_identity_pk", bootstrap_id, &has_bootstrap, err) < 0)
		return -1;
	if (has_pair && has_bootstrap)
		return toml_err(
			toml_find(table, "identity_cert"), err, "either a ready identity, or a bootstrap identity that gets one");
	if (has_pair || has_bootstrap)
		set_ids(made, "identity_cert", "identity_pk", id);
	if (has_bootstrap)
		set_ids(made, "bootstrap_identity_cert", "bootstrap_identity_pk", bootstrap_id);
	*auth = json_object_size(made) > 0 ? json_incref(made) : NULL;
	return 0;
}

/* -- Renewal ------------------------------------------------------------------------------------------------------------------------------ */

static int
check_span(const struct toml *table, const char *key, struct err *err)
{
	struct renewal_span span;
	struct err why = ERR_INIT;
	const char *text = NULL;

	if (toml_find_text(table, key, &text, err) < 0)
		return -1;
	return !text || renewal_span_parse(&span, text, &why) == 0 ? 0 : toml_err(toml_find(table, key), err, "%s", why.text);
}

static int
take_renewal(json_t *into, const struct toml *root, const char *path, struct err *err)
{
	const struct toml *table = NULL;
	json_t *made;
	bool rotate = true;

	if (toml_find_table(root, path, &table, err) < 0)
		return -1;
	if (!table)
		return 0;
	made = json_object();
	json_object_set_new(into, path, made);
	if (check_span(table, "threshold", err) < 0 || check_span(table, "retry", err) < 0 ||
		set_text(made, "threshold", table, err) < 0 || set_text(made, "retry", table, err) < 0 ||
		toml_find_bool(table, "rotate_key", &rotate, err) < 0)
		return -1;
	json_object_set_new(made, "rotate_key", json_boolean(rotate));
	return 0;
}

/* -- Tables ------------------------------------------------------------------------------------------------------------------------------- */

int
config_est_take(struct config_est *e, const struct toml *root, struct err *err)
{
	const struct toml *table = NULL, *auth_table = NULL;
	json_t *est = json_object(), *auth = NULL;

	json_object_set_new(e->issuance, "est", est);
	if (toml_find_table(root, "cert_issuance.est", &table, err) < 0)
		return -1;
	if (!table)
		return 0;
	if (take_urls(est, table, err) < 0 || take_trusted(e, est, table, err) < 0 ||
		toml_find_table(table, "auth", &auth_table, err) < 0 || take_renewal(est, table, "identity_auto_renew", err) < 0)
		return -1;
	if (!auth_table)
		return 0;
	if (take_auth(e, auth_table, "", &auth, err) < 0)
		return -1;
	json_object_set_new(est, "auth", auth ? auth : json_object()); /* an empty one asks without a credential */
	return 0;
}

static bool
has_server(const struct config_est *e, const json_t *own, const char *cert_id)
{
	const json_t *urls = json_object_get(json_object_get(e->issuance, "est"), "urls");

	return json_object_get(own, "url") || json_object_get(urls, cert_id) || json_object_get(urls, "default");
}

int
config_est_take_request(struct config_est *e, const struct toml *table, const char *cert_id, struct err *err)
{
	const struct toml *url = toml_find(table, "url"), *method = toml_find(table, "method");
	OWN_TEXT suffix = mem_textf("-%s", cert_id);
	json_t *own = json_pack("{s:s}", "method", "est"), *auth = NULL;

	json_object_set_new(e->issuance, cert_id, own);
	if ((url && set_url(own, "url", url, err) < 0) || take_trusted(e, own, table, err) < 0 ||
		take_auth(e, table, suffix, &auth, err) < 0)
		return -1;
	if (auth)
		json_object_set_new(own, "auth", auth);
	if (!has_server(e, own, cert_id))
		return toml_err(method, err, "no EST server is configured: url here, or cert_issuance.est.urls.default");
	if (!auth && !json_object_get(json_object_get(e->issuance, "est"), "auth"))
		return toml_err(method, err, "no EST auth is configured: here, or in cert_issuance.est.auth");
	return 0;
}
