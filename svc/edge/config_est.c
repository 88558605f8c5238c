/* SPDX-License-Identifier: Apache-2.0 */
/* EST in config.toml (edge-services 5.2): servers, credentials, and what a certificate has of its own in place of them. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_issuance.h"
#include "edge/config_keys.h"
#include "wire/json.h"
#include "wire/uri.h"

#define TRUSTED_MAX 64

/* -- Servers ------------------------------------------------------------------------------------------------------------------------------ */

static void
take_urls(json_t *est, const struct config_at *at)
{
	struct config_at urls = config_table(at, "urls");
	json_t *into = json_object();

	json_object_set_new(est, "urls", into);
	for (size_t i = 0; urls.table && i < urls.table->n; i++) {
		const char *id = urls.table->item[i]->key, *url = config_text(&urls, id);

		if (url)
			json_object_set_new(into, id, json_string(url));
	}
}

static void
take_trusted(struct config_issuance *e, json_t *into, const struct config_at *at)
{
	const struct toml *list = config_list(at, "trusted_certs");
	struct err ignored = ERR_INIT;
	json_t *ids;

	if (!list)
		return;
	ids = json_array();
	json_object_set_new(into, "trusted_certs", ids);
	for (size_t i = 0; i < list->n; i++) {
		OWN_TEXT path = uri_file_path(list->item[i]->text, &ignored);
		OWN_TEXT id = mem_textf("est-server-ca-%zu", ++e->n_trusted);

		if (e->n_trusted > TRUSTED_MAX) {
			config_wrong(at, "trusted_certs", "more than %d certificates of EST servers", TRUSTED_MAX);
			return;
		}
		json_object_set_new(e->certs, id, json_string(path));
		json_array_append_new(ids, json_string(id));
	}
}

/* -- Credentials -------------------------------------------------------------------------------------------------------------------------- */

/* A certificate and its key as files: preloaded under the id. */
static bool
take_pair(struct config_issuance *e, const struct config_at *at, const char *cert, const char *pk, const char *id)
{
	OWN_TEXT path = config_file(at, cert);
	OWN_TEXT place = config_place(at, pk);

	if (config_has(at, cert) != config_has(at, pk))
		config_wrong(at, config_has(at, cert) ? cert : pk, "%s is missing beside it", config_has(at, cert) ? pk : cert);
	if (!path || !place)
		return false;
	json_object_set_new(e->certs, id, json_string(path));
	json_object_set_new(e->keys, id, json_string(place));
	return true;
}

static void
take_user(json_t *auth, const struct config_at *at)
{
	const char *user = config_text(at, "username"), *password = config_text(at, "password");

	if (user && strchr(user, ':'))
		config_wrong(at, "username", "a user name of HTTP has no colon");
	if (password && !config_has(at, "username"))
		config_wrong(at, "password", "username is missing beside it");
	if (user)
		json_object_set_new(auth, "username", json_string(user));
	if (password)
		json_object_set_new(auth, "password", json_string(password));
}

static void
set_ids(json_t *auth, const char *cert, const char *pk, const char *id)
{
	json_object_set_new(auth, cert, json_string(id));
	json_object_set_new(auth, pk, json_string(id));
}

/* NULL when the table has none of the keys.  suffix: "" or "-<certificate's id>", as the original names what is for one certificate. */
static json_t *
take_auth(struct config_issuance *e, const struct config_at *at, const char *suffix)
{
	OWN_TEXT id = mem_textf("est-id%s", suffix);
	OWN_TEXT bootstrap_id = mem_textf("est-bootstrap-id%s", suffix);
	OWN_LIB(json_t) made = json_object();
	bool has_pair = take_pair(e, at, "identity_cert", "identity_pk", id);
	bool has_bootstrap = take_pair(e, at, "bootstrap_identity_cert", "bootstrap_identity_pk", bootstrap_id);

	take_user(made, at);
	if (has_pair && has_bootstrap)
		config_wrong(at, "identity_cert", "either a ready identity, or a bootstrap identity that gets one");
	if (has_pair || has_bootstrap)
		set_ids(made, "identity_cert", "identity_pk", id);
	if (has_bootstrap)
		set_ids(made, "bootstrap_identity_cert", "bootstrap_identity_pk", bootstrap_id);
	return json_object_size(made) > 0 ? json_incref(made) : NULL;
}

/* -- Tables ------------------------------------------------------------------------------------------------------------------------------- */

void
config_est_take(struct config_issuance *e, const struct config_at *root)
{
	struct config_at tables = config_table(root, "cert_issuance"), at = config_table(&tables, "est");
	struct config_at auth_at = config_table(&at, "auth"), renewal = config_table(&at, "identity_auto_renew");
	json_t *est = json_object(), *auth;

	json_object_set_new(e->tables, "est", est);
	if (!at.table)
		return;
	take_urls(est, &at);
	take_trusted(e, est, &at);
	if (renewal.table)
		json_object_set_new(est, "identity_auto_renew", config_issuance_renewal(&renewal));
	if (!auth_at.table)
		return;
	auth = take_auth(e, &auth_at, "");
	json_object_set_new(est, "auth", auth ? auth : json_object()); /* an empty one asks without a credential */
}

static bool
has_server(const struct config_issuance *e, const json_t *own, const char *id)
{
	const json_t *urls = json_object_get(json_object_get(e->tables, "est"), "urls");

	return json_object_get(own, "url") || json_object_get(urls, id) || json_object_get(urls, "default");
}

void
config_est_take_request(struct config_issuance *e, const struct config_at *at, const char *id, json_t *own)
{
	OWN_TEXT suffix = mem_textf("-%s", id);
	const char *url = config_text(at, "url");
	json_t *auth = take_auth(e, at, suffix);

	if (url)
		json_object_set_new(own, "url", json_string(url));
	take_trusted(e, own, at);
	if (auth)
		json_object_set_new(own, "auth", auth);
	if (!config_has(at, "url") && !has_server(e, own, id))
		config_wrong(at, "method", "no EST server is configured: url here, or cert_issuance.est.urls.default");
	if (!auth && !json_object_get(json_object_get(e->tables, "est"), "auth"))
		config_wrong(at, "method", "no EST auth is configured: here, or in cert_issuance.est.auth");
}
