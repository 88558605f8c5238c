/* SPDX-License-Identifier: Apache-2.0 */
/* The workload API (edge-services 2): what a module gets from its edge device.  Each module has a socket; a request is answered when the process at the other end is the module's and still
 * lives, and the module and generation in the path are those of the socket. */
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/client.h"
#include "diag/reason.h"
#include "edged/edged.h"
#include "pki/issue.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/pem.h"

#define PEM_MAX (1024 * 1024)
#define DATA_MAX (1024 * 1024)
#define TRUST_BUNDLE_ID "aziot-edged-trust-bundle"

/* -- Who calls? --------------------------------------------------------------------------------------------------------------------- */

static const char *
bare(const char *module_id)
{
	return module_id[0] == '$' ? module_id + 1 : module_id;
}

static int
forbidden(const struct route_call *call, enum reason reason, const char *why, struct err *err)
{
	const struct edged_door *door = call->door;

	log_warn("%s: module socket of %s, process %d of user %u: %s", reason_row(reason)->code, door->module->id,
		call->process.pid, call->process.uid, why);
	return err_set(err, ERR_DENIED, "forbidden");
}

static bool
has_ended(const struct peer_process *process)
{
	struct pollfd p = { .fd = process->pidfd, .events = POLLIN };

	return process->pidfd < 0 || poll(&p, 1, 0) != 0;
}

/* The attributes are those of the process that connected; whether it still lives is asked last, so that nothing about it can change meanwhile (atk-14). */
static int
authorize(const struct route_call *call, struct err *err)
{
	const struct module *module = ((const struct edged_door *)call->door)->module;

	if (!text_is(bare(call->var[0]), bare(module->id)))
		return forbidden(call, CALLER_NOT_ALLOWED, "asks as another module", err);
	if (!call->has_process || call->process.uid != module->uid)
		return forbidden(call, CALLER_NOT_ALLOWED, "is another user than the module's", err);
	if (has_ended(&call->process))
		return forbidden(call, CALLER_UNKNOWN, "has ended since it connected", err);
	return 0;
}

static int
authorize_generation(const struct route_call *call, struct err *err)
{
	const struct module *module = ((const struct edged_door *)call->door)->module;

	if (authorize(call, err) < 0)
		return -1;
	if (!atomic_load(&module->has_identity))
		return err_set(err, ERR_UNAVAILABLE, "the module %s has no identity yet: the hub could not be asked", module->id);
	if (!text_is(call->var[1], module->generation_id))
		return err_set(err, ERR_MISSING, "there is no generation \"%.60s\" of the module %s", call->var[1], module->id);
	return 0;
}

static const struct module *
module_of(const struct route_call *call)
{
	return ((const struct edged_door *)call->door)->module;
}

static struct edged *
edged_of(const struct route_call *call)
{
	return ((const struct edged_door *)call->door)->edged;
}

static int
need_body(const struct route_call *call, struct err *err)
{
	return call->body ? 0 : err_set(err, ERR_INVALID, "missing request body");
}

/* -- Certificates ------------------------------------------------------------------------------------------------------------------- */

static bool
may_have_name(const struct module *module, const char *name)
{
	if (text_is_nocase(name, bare(module->id)))
		return true;
	for (size_t i = 0; i < module->n_names; i++)
		if (text_is_nocase(name, module->names[i]))
			return true;
	return false;
}

static int
check_name(const struct module *module, const char *name, struct err *err)
{
	if (may_have_name(module, name))
		return 0;
	log_warn("CALLER_NOT_ALLOWED: module %s asks for a certificate for the name '%s', which is none of its own (hostname, "
		 "[gateway] names)",
		module->id, name);
	return err_set(err, ERR_DENIED, "the module %s may not have a certificate for the name '%.100s'", module->id, name);
}

/* A CSR brought along: each name in it must be the module's. */
static int
check_csr(const struct module *module, const char *text, struct err *err)
{
	OWN(csr) csr = csr_parse(text, strlen(text), err);
	char *names[ISSUE_NAMES_MAX];
	size_t n;
	int status;

	if (!csr)
		return err_wrap(err, "invalid parameter: csr");
	status = check_name(module, csr_common_name(csr) ? csr_common_name(csr) : "", err);
	n = csr_names(csr, names, ISSUE_NAMES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (status == 0)
			status = check_name(module, names[i], err);
		mem_free(names[i]);
	}
	return status;
}

struct made_key {
	struct key *key;
	struct buf csr;
};

/* A key made for this answer: returned once, never kept. */
static int
make_csr(struct made_key *m, const char *common_name, const char *const *names, size_t n_names, struct err *err)
{
	m->key = key_generate(KEY_EC_P256, err);
	if (!m->key)
		return err_wrap(err, "failed to generate csr keys");
	return issue_csr(&m->csr, m->key, common_name, names, n_names, err) < 0 ? err_wrap(err, "failed to generate csr") : 0;
}

static json_t *
private_key_json(const struct key *key)
{
	struct buf pem = BUF_INIT(65536);
	struct err err = ERR_INIT;
	json_t *json;

	if (!key)
		return json_pack("{s:s, s:s}", "type", "ref", "ref", "csr"); /* it stayed with the caller */
	key_to_pem(key, &pem, &err);
	json = json_pack("{s:s, s:s}", "type", "key", "bytes", buf_text(&pem));
	buf_wipe(&pem);
	return json;
}

/* "2026-12-31T00:00:00+00:00" of the first certificate. */
static int
put_expiration(struct buf *out, const struct buf *chain_pem, struct err *err)
{
	char until[CLOCK_TEXT_LEN];
	struct pem pem;
	int64_t end = 0;
	bool found;

	pem_init(&pem, buf_text(chain_pem), chain_pem->len);
	found = pem_next(&pem, err) > 0 && cert_read_not_after(pem.der.data, pem.der.len, &end);
	pem_clear(&pem);
	if (!found)
		return err_set(err, ERR_BROKEN, "certd: a certificate that has no end");
	clock_text(end, until);
	buf_putf(out, "%.*s+00:00", (int)strcspn(until, "Z"), until);
	return 0;
}

static int
answer_certificate(const struct route_call *call, const char *cert_id, const char *csr, const struct key *key, json_t **answer,
	struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(buf) until = BUF_INIT(2 * CLOCK_TEXT_LEN);

	if (edge_ca_issue(edged_of(call), &(struct leaf_request){ .cert_id = cert_id, .csr = csr }, &pem, err) < 0 ||
		put_expiration(&until, &pem, err) < 0)
		return -1;
	*answer = json_pack("{s:o, s:s, s:s}", "privateKey", private_key_json(key), "certificate", buf_text(&pem), "expiration",
		buf_text(&until));
	return 201;
}

static int
server_certificate(const struct route_call *call, json_t **answer, struct err *err)
{
	const struct module *module = module_of(call);
	struct made_key made = { .csr = BUF_INIT(65536) };
	const char *common_name, *csr, *names[2];
	OWN_TEXT cert_id = mem_textf("aziot-edged/module/%s:%s:server", bare(module->id), module->generation_id);
	int status;

	if (authorize_generation(call, err) < 0 || need_body(call, err) < 0 ||
		json_get_text(call->body, "commonName", &common_name, err) < 0 || json_find_text(call->body, "csr", &csr, err) < 0)
		return -1;
	if (csr) {
		status = check_csr(module, csr, err);
	} else {
		names[0] = common_name;
		names[1] = bare(module->id);
		status = check_name(module, common_name, err);
		if (status == 0)
			status = make_csr(&made, common_name, names, text_is_nocase(names[0], names[1]) ? 1 : 2, err);
	}
	if (status == 0)
		status = answer_certificate(call, cert_id, csr ? csr : buf_text(&made.csr), made.key, answer, err);
	key_free(made.key);
	buf_clear(&made.csr);
	return status;
}

static int
identity_certificate(const struct route_call *call, json_t **answer, struct err *err)
{
	const struct module *module = module_of(call);
	const struct edged *e = edged_of(call);
	struct made_key made = { .csr = BUF_INIT(65536) };
	OWN_TEXT cert_id = mem_textf("aziot-edged/module/%s:identity", module->id);
	OWN_TEXT uri = mem_textf("URI:azureiot://%s/devices/%s/modules/%s", e->hub_name, e->device_id, module->id);
	const char *names[] = { bare(module->id), uri };
	int status;

	if (authorize(call, err) < 0)
		return -1;
	status = make_csr(&made, module->id, names, COUNT(names), err);
	if (status == 0)
		status = answer_certificate(call, cert_id, buf_text(&made.csr), made.key, answer, err);
	key_free(made.key);
	buf_clear(&made.csr);
	return status;
}

/* -- Signing and encrypting --------------------------------------------------------------------------------------------------------- */

static int
get_bytes(const json_t *body, const char *name, struct buf *out, struct err *err)
{
	const char *text;

	if (json_get_text(body, name, &text, err) < 0)
		return -1;
	return base64_decode(out, text, strlen(text), BASE64_STRICT)
		       ? 0
		       : err_set(err, ERR_INVALID, "invalid parameter: %s is not base64", name);
}

static json_t *
bytes_json(const char *name, const void *data, size_t len)
{
	struct buf text = BUF_INIT(DATA_MAX * 2);
	json_t *json;

	base64_encode(&text, data, len);
	json = json_pack("{s:s}", name, buf_text(&text));
	buf_wipe(&text);
	return json;
}

static int
sign(const struct route_call *call, json_t **answer, struct err *err)
{
	struct buf data = BUF_INIT(DATA_MAX);
	uint8_t mac[DIGEST_SHA256_LEN];
	int status;

	if (authorize_generation(call, err) < 0 || need_body(call, err) < 0)
		return -1;
	status = get_bytes(call->body, "data", &data, err);
	if (status == 0)
		status = keyd_client_hmac(edged_of(call)->keyd, module_of(call)->sign_handle, data.data, data.len, mac, err);
	if (status == 0)
		*answer = bytes_json("digest", mac, sizeof(mac));
	buf_wipe(&data);
	return status < 0 ? -1 : 200;
}

static int
do_crypt(const struct route_call *call, bool encrypting, json_t **answer, struct err *err)
{
	struct buf iv = BUF_INIT(1024), data = BUF_INIT(DATA_MAX), out = BUF_INIT(DATA_MAX + 64);
	OWN_TEXT aad = NULL;
	const struct edged *e = edged_of(call);
	int status;

	if (authorize_generation(call, err) < 0 || need_body(call, err) < 0)
		return -1;
	aad = mem_textf("%s%s", call->var[0], call->var[1]);
	status = get_bytes(call->body, "initializationVector", &iv, err);
	if (status == 0)
		status = get_bytes(call->body, encrypting ? "plaintext" : "ciphertext", &data, err);
	if (status == 0)
		status = encrypting ? keyd_client_encrypt(e->keyd, e->encryption_handle, iv.data, iv.len, aad, strlen(aad),
					      data.data, data.len, &out, err)
				    : keyd_client_decrypt(e->keyd, e->encryption_handle, iv.data, iv.len, aad, strlen(aad),
					      data.data, data.len, &out, err);
	if (status == 0)
		*answer = bytes_json(encrypting ? "ciphertext" : "plaintext", out.data, out.len);
	buf_clear(&iv);
	buf_wipe(&data);
	buf_wipe(&out);
	return status < 0 ? -1 : 200;
}

static int
encrypt_data(const struct route_call *call, json_t **answer, struct err *err)
{
	return do_crypt(call, true, answer, err);
}

static int
decrypt_data(const struct route_call *call, json_t **answer, struct err *err)
{
	return do_crypt(call, false, answer, err);
}

/* -- For everybody -------------------------------------------------------------------------------------------------------------------- */

static int
answer_bundle(struct buf *pem, int status, json_t **answer)
{
	if (status == 0)
		*answer = json_pack("{s:s}", "certificate", buf_text(pem));
	buf_clear(pem);
	return status < 0 ? -1 : 200;
}

static int
trust_bundle(const struct route_call *call, json_t **answer, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = edge_ca_trust_bundle(edged_of(call), &pem, err);

	if (status < 0 && err->kind == ERR_MISSING)
		err_set(err, ERR_MISSING, "certificate \"" TRUST_BUNDLE_ID "\" not found");
	return answer_bundle(&pem, status, answer);
}

static int
manifest_trust_bundle(const struct route_call *call, json_t **answer, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = certd_client_get(edged_of(call)->certd, "aziot-edged-manifest-trust-bundle", &pem, err);

	return answer_bundle(&pem, status < 0 && err->kind == ERR_MISSING ? 0 : status, answer);
}

static int
list_renewals(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = renewals_json(edged_of(call)->renewals);
	return 200;
}

static int
list_modules(const struct route_call *call, json_t **answer, struct err *err)
{
	const struct edged *e = edged_of(call);
	json_t *list = json_array();

	(void)err;
	for (size_t i = 0; i < e->n_modules; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:{s:{}, s:[]}, s:{s:{s:s}}}", "id", "id", "name", bare(e->modules[i].id),
				"type", "process", "config", "settings", "env", "status", "runtimeStatus", "status", "unknown"));
	*answer = json_pack("{s:o}", "modules", list);
	return 200;
}

static const struct route routes[] = {
	{ "GET", "/modules", "2018-06-28", list_modules },
	{ "GET", "/modules/", "2018-06-28", list_modules },
	{ "POST", "/modules/{}/certificate/identity", "2018-06-28", identity_certificate },
	{ "POST", "/modules/{}/genid/{}/certificate/server", "2018-06-28", server_certificate },
	{ "POST", "/modules/{}/genid/{}/sign", "2018-06-28", sign },
	{ "POST", "/modules/{}/genid/{}/encrypt", "2018-06-28", encrypt_data },
	{ "POST", "/modules/{}/genid/{}/decrypt", "2018-06-28", decrypt_data },
	{ "GET", "/trust-bundle", "2018-06-28", trust_bundle },
	{ "GET", "/manifest-trust-bundle", "2018-06-28", manifest_trust_bundle },
	{ "GET", "/renewals", "2022-08-03", list_renewals },
};

static const char *const versions[] = { "2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05", "2020-07-07", "2020-10-10",
	"2021-12-07", "2022-08-03", NULL };

const struct route_table workload_routes = {
	.routes = routes,
	.n_routes = COUNT(routes),
	.versions = versions,
	.denied_status = 403,
	.missing_status = 404,
};
