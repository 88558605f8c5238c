/* SPDX-License-Identifier: Apache-2.0 */
/* The workload API (edge-services 2): what a module gets from its edge device, and the requests that anybody on the box may make. */
#include "base/mem.h"
#include "base/text.h"
#include "certd/client.h"
#include "edged/identity_keeper.h"
#include "edged/workload.h"

#define PEM_MAX (1024 * 1024)
#define TRUST_BUNDLE_ID "aziot-edged-trust-bundle"

static int
answer_bundle(struct buf *pem, int status, json_t **answer)
{
	if (status == 0)
		*answer = json_pack("{s:s}", "certificate", buf_text(pem));
	buf_clear(pem);
	return status < 0 ? -1 : 200;
}

static int
trust_bundle(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = edge_ca_trust_bundle(workload_edged(call), &pem, err);

	if (status < 0 && err->kind == ERR_MISSING)
		err_set(err, ERR_MISSING, "certificate \"" TRUST_BUNDLE_ID "\" not found");
	return answer_bundle(&pem, status, answer);
}

static int
manifest_trust_bundle(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = certd_client_get(workload_edged(call)->certd, "aziot-edged-manifest-trust-bundle", &pem, err);

	return answer_bundle(&pem, status < 0 && err->kind == ERR_MISSING ? 0 : status, answer);
}

static int
list_renewals(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = renewals_json(workload_edged(call)->renewals);
	return 200;
}

/* Ours: said by the gateway, which hears first when the hub is back. */
static int
hub_reached(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(module_identity) identity = { 0 };

	if (!workload_caller_of_generation(call, &identity, err))
		return workload_refuse(err);
	if (!text_is(call->var[0], "$edgeHub"))
		return err_set(err, ERR_DENIED, "only the gateway says so");
	identity_keeper_hub_reached(workload_edged(call)->keeper);
	*answer = json_object();
	return 200;
}

static int
list_modules(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = json_pack("{s:o}", "modules", edged_modules_json(workload_edged(call)));
	return 200;
}

static const struct endpoint endpoints[] = {
	{ "GET", "/modules", "2018-06-28", list_modules },
	{ "GET", "/modules/", "2018-06-28", list_modules },
	{ "POST", "/modules/{}/certificate/identity", "2018-06-28", workload_identity_certificate_of },
	{ "POST", "/modules/{}/genid/{}/certificate/server", "2018-06-28", workload_server_certificate_of },
	{ "POST", "/modules/{}/genid/{}/sign", "2018-06-28", workload_sign_for },
	{ "POST", "/modules/{}/genid/{}/encrypt", "2018-06-28", workload_encrypt_for },
	{ "POST", "/modules/{}/genid/{}/decrypt", "2018-06-28", workload_decrypt_for },
	{ "POST", "/modules/{}/genid/{}/hub-reached", "2022-08-03", hub_reached },
	{ "GET", "/trust-bundle", "2018-06-28", trust_bundle },
	{ "GET", "/manifest-trust-bundle", "2018-06-28", manifest_trust_bundle },
	{ "GET", "/renewals", "2022-08-03", list_renewals },
};

static const char *const versions[] = { "2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05", "2020-07-07", "2020-10-10",
	"2021-12-07", "2022-08-03", NULL };

/* A body that came is looked at before the caller is, as in the original. */
static const struct endpoint_body bodies[] = {
	{ "POST", "/modules/{}/genid/{}/certificate/server", "commonName csr?" },
	{ "POST", "/modules/{}/certificate/identity", "csr?" },
	{ "POST", "/modules/{}/genid/{}/sign", "data" },
	{ "POST", "/modules/{}/genid/{}/encrypt", "plaintext initializationVector" },
	{ "POST", "/modules/{}/genid/{}/decrypt", "ciphertext initializationVector" },
};

static bool
waits_for_issuer(const struct endpoint_call *call)
{
	return !edge_ca_is_ready(workload_edged(call));
}

static const struct endpoint_wait waits[] = {
	{ "POST", "/modules/{}/certificate/identity", waits_for_issuer },
	{ "POST", "/modules/{}/genid/{}/certificate/server", waits_for_issuer },
};

const struct endpoint_table workload_endpoints = {
	.endpoints = endpoints,
	.n_endpoints = COUNT(endpoints),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.waits = waits,
	.n_waits = COUNT(waits),
	.versions = versions,
	.denied_status = 403,
	.missing_status = 404,
};
