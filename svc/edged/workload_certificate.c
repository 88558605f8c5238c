/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for modules (edge-services 2.3, 4.1).  With a CSR the key stays where it is, with the module or in keyd; without one it is made for this answer, and never kept. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "edged/workload.h"
#include "pki/issue.h"
#include "wire/json.h"
#include "wire/pem.h"

#define PEM_MAX (1024 * 1024)
#define CSR_MAX 65536

/* What one request is about. */
struct wanted {
	const struct module *module;
	char *cert_id;
	const char *common_name;
	const char *names[2];
	size_t n_names;
	bool (*may_have)(const struct wanted *wanted, const char *name);
};

/* -- Which names ------------------------------------------------------------------------------------------------------------------------------- */

static bool
may_have_server_name(const struct wanted *w, const char *name)
{
	return module_may_have_name(w->module, name);
}

static bool
may_have_identity_name(const struct wanted *w, const char *name)
{
	if (text_is(name, w->module->id))
		return true;
	for (size_t i = 0; i < w->n_names; i++)
		if (text_is(name, w->names[i]))
			return true;
	return false;
}

static int
check_name(const struct wanted *w, const char *name, struct err *err)
{
	if (w->may_have(w, name))
		return 0;
	log_warn("CALLER_NOT_ALLOWED: module %s asks for a certificate for the name '%s', which is none of its own (hostname, "
		 "[gateway] names, [modules] names)",
		w->module->id, name);
	return err_set(err, ERR_DENIED, "the module %s may not have a certificate for the name '%.100s'", w->module->id, name);
}

/* Each name in it must be the module's, and those that can't be told are nobody's. */
static int
check_csr(const struct wanted *w, const char *text, struct err *err)
{
	OWN(csr) csr = csr_parse(text, strlen(text), err);
	char *names[ISSUE_NAMES_MAX];
	size_t n;
	int status;

	if (!csr)
		return err_wrap(err, "invalid parameter: csr");
	status = check_name(w, csr_common_name(csr) ? csr_common_name(csr) : "", err);
	n = csr_names(csr, names, ISSUE_NAMES_MAX);
	if (status == 0 && n != csr_count_names(csr))
		status = err_set(err, ERR_DENIED, "the module %s may not have all the names of that request", w->module->id);
	for (size_t i = 0; i < n; i++) {
		if (status == 0)
			status = check_name(w, names[i], err);
		mem_free(names[i]);
	}
	return status;
}

/* -- Keys ------------------------------------------------------------------------------------------------------------------------------------- */

static struct key *
make_csr(const struct wanted *w, struct key_stock *stock, struct buf *csr, struct err *err)
{
	OWN(key) key = key_stock_take(stock, w->module->key_alg, err);

	if (!key)
		return err_wrap_null(err, "failed to generate csr keys");
	if (issue_csr(csr, key, w->common_name, w->names, w->n_names, err) < 0)
		return err_wrap_null(err, "failed to generate csr");
	return GIVE(key);
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

/* -- The answer --------------------------------------------------------------------------------------------------------------------------------- */

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
answer_certificate(
	struct edged *e, const struct wanted *w, const char *csr, const struct key *key, json_t **answer, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(buf) until = BUF_INIT(2 * CLOCK_TEXT_LEN);

	if (edge_ca_issue(e, &(struct leaf_request){ .cert_id = w->cert_id, .csr = csr }, &pem, err) < 0 ||
		put_expiration(&until, &pem, err) < 0)
		return -1;
	*answer = json_pack("{s:o, s:s, s:s}", "privateKey", private_key_json(key), "certificate", buf_text(&pem), "expiration",
		buf_text(&until));
	return 201;
}

static int
answer_wanted(struct edged *e, const struct wanted *w, const char *csr, json_t **answer, struct err *err)
{
	CLEAR(buf) made = BUF_INIT(CSR_MAX);
	OWN(key) key = NULL;

	if (csr) {
		if (check_csr(w, csr, err) < 0)
			return -1;
	} else {
		if (check_name(w, w->common_name, err) < 0)
			return -1;
		key = make_csr(w, e->keys, &made, err);
		if (!key)
			return -1;
	}
	return answer_certificate(e, w, csr ? csr : buf_text(&made), key, answer, err);
}

int
workload_server_certificate_of(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(module_identity) identity = { 0 };
	const struct module *module = workload_caller_of_generation(call, &identity, err);
	struct wanted wanted = { .module = module, .may_have = may_have_server_name, .n_names = 2 };
	OWN_TEXT cert_id = NULL;
	const char *csr;

	if (!module)
		return workload_refuse(err);
	if (workload_need_body(call, err) < 0 || json_get_text(call->body, "commonName", &wanted.common_name, err) < 0 ||
		json_find_text(call->body, "csr", &csr, err) < 0)
		return -1;
	cert_id = mem_textf("aziot-edged/module/%s:%s:server", module_bare(module->id), identity.generation_id);
	wanted.cert_id = cert_id;
	wanted.names[0] = wanted.common_name;
	wanted.names[1] = module_bare(module->id);
	if (text_is_nocase(wanted.names[0], wanted.names[1]))
		wanted.n_names = 1;
	return answer_wanted(workload_edged(call), &wanted, csr, answer, err);
}

int
workload_identity_certificate_of(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const struct module *module = workload_caller(call, err);
	const struct device_names *device = module ? edged_device_names(&workload_edged(call)->device, err) : NULL;
	OWN_TEXT cert_id = module ? mem_textf("aziot-edged/module/%s:identity", module->id) : NULL;
	OWN_TEXT uri =
		device ? mem_textf("URI:azureiot://%s/devices/%s/modules/%s", device->hub_name, device->device_id, module->id)
		       : NULL;
	struct wanted wanted = { .module = module, .cert_id = cert_id, .may_have = may_have_identity_name, .n_names = 2 };
	const char *csr = NULL;

	if (!device)
		return workload_refuse(err);
	if (call->body && json_find_text(call->body, "csr", &csr, err) < 0)
		return -1;
	wanted.common_name = module->id;
	wanted.names[0] = module_bare(module->id);
	wanted.names[1] = uri;
	return answer_wanted(workload_edged(call), &wanted, csr, answer, err);
}
