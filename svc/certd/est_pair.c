/* SPDX-License-Identifier: Apache-2.0 */
/* Two stores, and no transaction over both: the certificate waits under its temporary id before its key moves, so that at no point the only pair is one that doesn't belong together. */
#include "base/mem.h"
#include "certd/est_pair.h"

#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 64

void
est_pair_clear(struct est_pair *pair)
{
	certs_clear(&pair->chain);
	key_free(pair->key);
	*pair = (struct est_pair){ 0 };
}

char *
est_pair_temp_id(const char *id)
{
	return mem_textf("%s-temp", id);
}

static int
load_chain(struct certs *out, const struct est_context *ctx, const char *id, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(certs) all = { 0 };

	if (cert_store_load(ctx->store, id, &pem, err) < 0)
		return -1;
	if (certs_parse(&all, buf_text(&pem), pem.len, CHAIN_MAX, err) < 0) {
		err->kind = ERR_MISSING; /* what can't be read is as good as nothing */
		return err_wrap(err, "%s", id);
	}
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || !cert_is_self_issued(all.item[i]))
			certs_add(out, all.item[i]);
	return 0;
}

static int
save_chain(const struct est_context *ctx, const char *id, const struct certs *chain, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	certs_put_pem(chain, &pem);
	return cert_store_save(ctx->store, id, buf_text(&pem), pem.len, err);
}

int
est_pair_load(struct est_pair *out, const struct est_context *ctx, const char *cert_id, const char *key_id, struct err *err)
{
	CLEAR(est_pair) pair = { .key = keyd_client_load_pair(ctx->keyd, key_id, err) };

	if (!pair.key || load_chain(&pair.chain, ctx, cert_id, err) < 0)
		return -1;
	if (!cert_matches_key(pair.chain.item[0], pair.key))
		return err_set(err, ERR_MISSING, "the certificate %s does not belong to the key %s", cert_id, key_id);
	*out = pair;
	pair = (struct est_pair){ 0 };
	return 0;
}

/* The key has moved and the certificate has not.  Where it can't be moved either, it is used from where it is. */
static int
finish_install(struct est_pair *out, const struct est_context *ctx, const char *cert_id, const char *key_id)
{
	OWN_TEXT temp = est_pair_temp_id(cert_id);
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	struct err why = ERR_INIT;

	if (est_pair_load(out, ctx, temp, key_id, &why) < 0)
		return -1;
	if (cert_store_load(ctx->store, temp, &pem, &why) == 0 &&
		cert_store_save(ctx->store, cert_id, buf_text(&pem), pem.len, &why) == 0)
		cert_store_delete(ctx->store, temp, &why);
	return 0;
}

int
est_pair_recover(struct est_pair *out, const struct est_context *ctx, const char *cert_id, const char *key_id, struct err *err)
{
	if (est_pair_load(out, ctx, cert_id, key_id, err) == 0)
		return 0;
	if (err->kind != ERR_MISSING || finish_install(out, ctx, cert_id, key_id) < 0)
		return -1;
	*err = (struct err)ERR_INIT;
	return 0;
}

int
est_pair_install(const struct est_context *ctx, const char *cert_id, const char *key_id, const char *new_key_id,
	const struct certs *chain, struct err *err)
{
	OWN_TEXT temp = est_pair_temp_id(cert_id);

	if (!new_key_id)
		return save_chain(ctx, cert_id, chain, err);
	if (save_chain(ctx, temp, chain, err) < 0 || keyd_client_move_pair(ctx->keyd, new_key_id, key_id, err) < 0 ||
		save_chain(ctx, cert_id, chain, err) < 0)
		return -1;
	return cert_store_delete(ctx->store, temp, err);
}
