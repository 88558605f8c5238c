/* SPDX-License-Identifier: Apache-2.0 */
/* Local identities (local_identity.h). */
#include "identityd/local_identity.h"

#include <string.h>

#include "auth/identity.h"
#include "base/clock.h"
#include "base/mem.h"
#include "certd/client.h"
#include "identityd/failure.h"
#include "pki/issue.h"

#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 16

/* certd knows by the id what the certificate is for. */
static int
issue(struct buf *chain, const struct local_identities *l, const char *module_id, enum local_use use, const struct key *key,
	const char *name, struct err *err)
{
	OWN_TEXT id = mem_textf("aziot-identityd/local/%s:%s", module_id, local_use_name(use));
	CLEAR(buf) csr = BUF_INIT(65536);

	if (issue_csr_wish(&csr, key,
		    &(struct csr_wish){ .common_name = name,
			    .names = &name,
			    .n_names = 1,
			    .use = use == LOCAL_CLIENT ? CSR_USE_CLIENT : CSR_USE_ANY },
		    err) < 0)
		return -1;
	return certd_client_create(l->certd_socket, id, buf_text(&csr), NULL, NULL, chain, err);
}

/* "2026-03-01T00:00:00+00:00" */
static char *
expiration_of(const struct buf *chain, struct err *err)
{
	CLEAR(certs) certs = { 0 };
	char text[CLOCK_TEXT_LEN];

	if (certs_parse(&certs, buf_text(chain), chain->len, CHAIN_MAX, err) < 0)
		return NULL;
	clock_text(cert_not_after(certs.item[0]), text);
	return mem_textf("%.*s+00:00", (int)strcspn(text, "Z"), text);
}

static json_t *
identity_json(const char *module_id, const struct key *key, const struct buf *chain, struct err *err)
{
	OWN_TEXT expiration = expiration_of(chain, err);
	struct buf pem = BUF_INIT(65536);
	json_t *json = NULL;

	if (expiration && key_to_pem(key, &pem, err) == 0)
		json = json_pack("{s:s, s:{s:s, s:{s:s, s:s, s:s}}}", "type", "local", "spec", "moduleId", module_id, "auth",
			"privateKey", buf_text(&pem), "certificate", buf_text(chain), "expiration", expiration);
	buf_wipe(&pem);
	return json;
}

json_t *
local_identity_make(const struct local_identities *l, const char *module_id, enum local_use use, struct err *err)
{
	OWN_TEXT name = mem_textf("%s.%s.%s", module_id, l->hostname ? l->hostname : "", l->domain ? l->domain : "");
	CLEAR(buf) chain = BUF_INIT(PEM_MAX);
	OWN(key) key = NULL;

	if (!l->domain || !l->hostname)
		return err_null(
			err, ERR_INVALID, "module identity not found\ncaused by: there are no local identities: no [localid]");
	if (!identity_id_is_valid(module_id) || !issue_is_host(name) || strlen(name) > ISSUE_COMMON_NAME_MAX)
		return err_null(err, ERR_INVALID,
			"parameter \"moduleId\" has an invalid value\ncaused by: '%.100s' is no host name of up to %d characters",
			name, ISSUE_COMMON_NAME_MAX);
	key = key_generate(KEY_EC_P256, err);
	if (!key)
		return NULL;
	if (issue(&chain, l, module_id, use, key, name, err) < 0) {
		failure_cause(err, "Certificate client error", ERR_BROKEN);
		return NULL;
	}
	return identity_json(module_id, key, &chain, err);
}
