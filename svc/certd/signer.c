/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller names wrongly is his to hear of; what is wrong with the configuration is the operator's. */
#include "base/text.h"
#include "certd/local_ca.h"
#include "certd/signer.h"
#include "wire/json.h"

void
signer_clear(struct signer *s)
{
	certs_clear(&s->chain);
	key_free(s->key);
}

static int
load_named(struct signer *s, const struct signer_query *q, struct err *err)
{
	if (cert_store_load_certs(q->store, q->issuer_id, &s->chain, err) < 0) {
		if (err->kind == ERR_MISSING)
			return err_set(err, ERR_MISSING, "parameter \"issuer.certId\" has an invalid value\ncaused by: not found");
		return err_wrap(err, "parameter \"issuer.certId\" has an invalid value\ncaused by: invalid issuer");
	}
	s->key = keyd_client_pair_of_handle(q->keyd, q->issuer_handle, err);
	return s->key ? 0 : err_wrap(err, "parameter \"issuer.privateKeyHandle\" has an invalid value\ncaused by");
}

static int
load_local_ca(struct signer *s, const struct signer_query *q, struct err *err)
{
	if (cert_store_load_certs(q->store, LOCAL_CA_ID, &s->chain, err) == 0)
		s->key = keyd_client_load_pair(q->keyd, LOCAL_CA_ID, err);
	if (s->key)
		return 0;
	if (err->kind == ERR_MISSING)
		return err_set(err, ERR_BROKEN,
			"cert \"%s\" is configured to be issued by local CA, but local CA is not configured", q->id);
	err->kind = ERR_BROKEN;
	return err_wrap(err, "the local CA");
}

static bool
is_for(const struct csr *csr, const struct key *key)
{
	return EVP_PKEY_eq(csr_public_key(csr), key_pkey(key)) == 1;
}

static int
load_key(struct signer *s, const struct signer_query *q, const char *key_id, struct err *err)
{
	s->key = keyd_client_load_pair(q->keyd, key_id, err);
	if (s->key)
		return 0;
	err->kind = ERR_BROKEN;
	return err_wrap(err, "self-signing %s", q->id);
}

/* What signs itself and follows another has a key of its own, or goes on with the other's. */
static int
load_own_key(struct signer *s, const struct signer_query *q, struct err *err)
{
	int status = load_key(s, q, q->id, err);

	if ((status == 0 && is_for(q->csr, s->key)) || text_is(q->name, q->id))
		return status;
	key_free(s->key);
	*err = (struct err)ERR_INIT;
	return load_key(s, q, q->name, err);
}

int
signer_choose(struct signer *s, const struct signer_query *q, struct err *err)
{
	const char *method;

	if (q->issuer_id)
		return load_named(s, q, err);
	if (!q->config)
		return err_set(err, ERR_BROKEN, "nothing says how to issue %s: no issuer in the request and no cert_issuance entry",
			q->id);
	if (json_get_text(q->config, "method", &method, err) < 0)
		return -1;
	if (text_is(method, "local_ca"))
		return load_local_ca(s, q, err);
	if (text_is(method, "self_signed"))
		return load_own_key(s, q, err);
	return err_set(err, ERR_BROKEN, "cert \"%s\" is configured to be issued by '%s': est, local_ca or self_signed are known",
		q->id, method);
}
