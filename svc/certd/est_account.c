/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of EST, read for one certificate (edge-services 8.1): its own entries first, then what holds for all. */
#include "base/mem.h"
#include "certd/est_account.h"
#include "wire/json.h"

static int
take_auth(struct est_account *a, const json_t *auth, struct err *err)
{
	const struct {
		const char *key, **out;
	} rows[] = {
		{ "username", &a->username },
		{ "password", &a->password },
		{ "identity_cert", &a->identity_cert },
		{ "identity_pk", &a->identity_pk },
		{ "bootstrap_identity_cert", &a->bootstrap_cert },
		{ "bootstrap_identity_pk", &a->bootstrap_pk },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (json_find_text(auth, rows[i].key, rows[i].out, err) < 0)
			return err_wrap(err, "EST auth");
	if (!a->identity_cert != !a->identity_pk || !a->bootstrap_cert != !a->bootstrap_pk ||
		(a->bootstrap_cert && !a->identity_cert))
		return err_set(err, ERR_INVALID,
			"EST auth: a certificate without its key, or a bootstrap identity without the identity that it is for");
	return 0;
}

int
est_account_find(struct est_account *out, const json_t *cert_issuance, const char *id, struct err *err)
{
	const json_t *own = json_object_get(cert_issuance, id), *est = json_object_get(cert_issuance, "est"), *auth;
	struct est_account a = { 0 };

	if ((own && json_find_text(own, "url", &a.url, err) < 0))
		return -1;
	if (!a.url)
		a.url = json_string_value(json_object_get(json_object_get(est, "urls"), id));
	if (!a.url)
		a.url = json_string_value(json_object_get(json_object_get(est, "urls"), "default"));
	if (!a.url)
		return err_set(err, ERR_BROKEN, "cert \"%s\" is configured to be issued by EST, but EST URL is not configured", id);
	auth = json_object_get(own, "auth"); /* one's own replaces the common one whole */
	if (!auth)
		auth = json_object_get(est, "auth");
	if (!auth)
		return err_set(
			err, ERR_BROKEN, "cert \"%s\" is configured to be issued by EST, but EST auth is not configured", id);
	if (take_auth(&a, auth, err) < 0)
		return -1;
	a.trusted = json_object_get(own, "trusted_certs");
	if (!a.trusted)
		a.trusted = json_object_get(est, "trusted_certs");
	*out = a;
	return 0;
}

void
est_account_turn_to_identity(struct est_account *a, const json_t *cert_issuance, bool renews)
{
	const json_t *est = json_object_get(cert_issuance, "est"), *urls = json_object_get(est, "urls");
	const char *url = json_string_value(json_object_get(urls, a->identity_cert));

	if (!url && renews)
		url = json_string_value(json_object_get(urls, "default"));
	if (!url)
		return;
	a->url = url;
	a->trusted = json_object_get(est, "trusted_certs");
}
