/* SPDX-License-Identifier: Apache-2.0 */
/* Trust is per server: one that is configured with certificates of its own is trusted by these alone, never by the system's roots too. */
#include "certd/est_server.h"

#define PEM_MAX (1024 * 1024)

static int
load_trusted(struct certs *out, const struct est_context *ctx, const json_t *ids, struct err *err)
{
	size_t i;
	json_t *id;

	json_array_foreach((json_t *)(uintptr_t)ids, i, id) {
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);

		if (cert_store_load(ctx->store, json_string_value(id), &pem, err) < 0 ||
			certs_parse(out, buf_text(&pem), pem.len, CERTS_MAX, err) < 0)
			return err_wrap(err, "trusted_certs");
	}
	return 0;
}

static struct anchors *
anchors_of(const struct est_context *ctx, const struct est_account *account, struct err *err)
{
	CLEAR(certs) roots = { 0 };
	int status;

	if (json_array_size(account->trusted) > 0)
		status = load_trusted(&roots, ctx, account->trusted, err);
	else if (ctx->system_roots)
		status = certs_load(&roots, ctx->system_roots, CERTS_MAX, err);
	else
		status = err_set(err, ERR_BROKEN, "there are no trusted_certs for it, and no roots of the system");
	return status == 0 ? anchors_new(&roots, err) : NULL;
}

int
est_server_open(struct est_server *out, const struct est_context *ctx, const struct est_account *account, const struct est_pair *as,
	struct err *err)
{
	struct anchors *anchors = anchors_of(ctx, account, err);

	if (!anchors)
		return err_wrap(err, "what to trust the EST server %s by", account->url);
	out->anchors = anchors;
	out->session = http_session_new();
	out->client = (struct est_client){ .url = account->url,
		.username = account->username,
		.password = account->password,
		.anchors = anchors,
		.chain = as ? &as->chain : NULL,
		.key = as ? as->key : NULL,
		.cancelled = &ctx->stopped,
		.session = out->session };
	return 0;
}

void
est_server_clear(struct est_server *server)
{
	certs_clear(&server->cas);
	http_session_free(server->session);
	anchors_free(server->anchors);
	*server = (struct est_server){ 0 };
}

int
est_server_cas(struct est_server *server, struct err *err)
{
	return server->cas.n > 0 ? 0 : est_client_cas(&server->client, &server->cas, err);
}
