/* SPDX-License-Identifier: Apache-2.0 */
/* The device's side of provisioning (dps_client.h). */
#include "identityd/dps_client.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/dps_answer.h"
#include "wire/codec.h"
#include "wire/json.h"

#define VERSION "api-version=2021-06-01"
#define POLICY "registration"
#define POLL_S 3	   /* where the service names no time */
#define POLL_MAX_S 60	   /* a longer one is not waited for with the operation in hand */
#define PATIENCE_MS 300000 /* with one operation, also while polls fail */

void
dps_assignment_clear(struct dps_assignment *a)
{
	mem_free(a->hub);
	mem_free(a->device_id);
	*a = (struct dps_assignment){ 0 };
}

/* One registration on its way. */
struct attempt {
	struct dps_client *client;
	const char *registration_id;
	json_t *body;
	bool challenged; /* a TPM's key is in place */
	struct dps_answer answer;
	int status;
};

/* -- One request ------------------------------------------------------------------------------------------------------------------------ */

static char *
url_of(const struct attempt *a, const char *operation)
{
	const struct provisioning_source *source = a->client->source;
	size_t len = strlen(source->endpoint);
	struct buf url = BUF_INIT(4096);

	while (len > 0 && source->endpoint[len - 1] == '/')
		len--;
	buf_putf(&url, "%.*s/", (int)len, source->endpoint);
	percent_encode_segment(&url, source->scope_id, strlen(source->scope_id));
	buf_puts(&url, "/registrations/");
	percent_encode_segment(&url, a->registration_id, strlen(a->registration_id));
	buf_puts(&url, operation ? "/operations/" : "/register");
	if (operation)
		percent_encode_segment(&url, operation, strlen(operation));
	buf_puts(&url, "?" VERSION);
	return buf_take_text(&url);
}

/* A TPM has nothing to show before it was challenged. */
static int
use_credential(struct credential_use *use, const struct attempt *a, struct err *err)
{
	OWN_TEXT resource = mem_textf("%s/registrations/%s", a->client->source->scope_id, a->registration_id);

	*use = (struct credential_use){ 0 };
	if (a->client->credential->proof == PROOF_TPM && !a->challenged)
		return 0;
	return device_credential_use(use, a->client->credential, resource, POLICY, err);
}

/* A server that is not to be trusted is none that was reached: on another day, or network, it may be.  What comes to its end and is no answer is the service's. */
static void
take_failure(struct err *err, const struct err *why, int http_status)
{
	*err = *why;
	if (http_status == 0)
		err->kind = ERR_UNAVAILABLE;
}

/* The service's words come with refusals too. */
static int
ask(struct attempt *a, const char *operation, enum dps_step *step, struct err *err)
{
	OWN_TEXT url = url_of(a, operation);
	OWN_LIB(json_t) json = NULL;
	CLEAR(credential_use) use;
	const char *headers[2] = { 0 };
	struct http_call call = {
		.method = operation ? "GET" : "PUT", .url = url, .connect_to = a->client->address, .headers = headers
	};
	struct http_answer http = { 0 };
	struct err refusal = ERR_INIT, unreadable = ERR_INIT;
	int status;

	if (use_credential(&use, a, err) < 0)
		return -1;
	headers[0] = use.authorization;
	call.chain = use.chain.n > 0 ? &use.chain : NULL;
	call.key = use.key;
	status =
		cloud_fetch(a->client->cloud, &json, &http, &call, operation ? NULL : a->body, a->client->cloud->retries, &refusal);
	a->status = http.status;
	if (status < 0 && http.status >= 300) {
		json = json_parse(http.body.data, http.body.len, &unreadable);
		status = 0;
	}
	if (status == 0) {
		dps_answer_clear(&a->answer);
		*step = dps_answer_take(&a->answer, http.status, json, http.retry_after_s, err);
	} else {
		take_failure(err, &refusal, http.status);
	}
	http_answer_clear(&http);
	return status;
}

/* -- From the first to the last --------------------------------------------------------------------------------------------------------- */

static int
fail(struct attempt *a, enum dps_step step, int64_t *retry_after_s, struct err *err)
{
	*retry_after_s = a->answer.retry_after_s;
	if (err->kind == ERR_NONE)
		err_set(err, ERR_INVALID, "provisioning's answer fits nothing that was asked (%d)", (int)step);
	return -1;
}

static int
begin(struct attempt *a, enum dps_step *step, struct err *err)
{
	struct device_credential *credential = a->client->credential;

	if (ask(a, NULL, step, err) < 0)
		return -1;
	if (*step != DPS_CHALLENGED || credential->proof != PROOF_TPM || a->challenged)
		return 0;
	if (tpmd_client_import(credential->tpmd_socket, a->answer.authentication_key, err) < 0)
		return err_wrap(err, "provisioning's challenge to the TPM");
	a->challenged = true;
	return ask(a, NULL, step, err);
}

static int64_t
pause_ms(const struct attempt *a)
{
	int64_t s = a->answer.retry_after_s;

	return (s < 0 ? POLL_S : s < 1 ? 1 : s > POLL_MAX_S ? POLL_MAX_S : s) * 1000;
}

/* A poll that does not come through, or is told to wait, loses nothing: the operation is the service's. */
static bool
may_poll_on(const struct attempt *a, int status, enum dps_step step, const struct err *err, int64_t until_ms)
{
	if (clock_boot_ms() + pause_ms(a) >= until_ms)
		return false;
	return status < 0 ? err->kind == ERR_UNAVAILABLE : step == DPS_ASSIGNING || step == DPS_BUSY;
}

static int
poll_to_end(struct attempt *a, enum dps_step *step, struct err *err)
{
	OWN_TEXT operation = mem_text(a->answer.operation);
	int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
	int status = 0;

	while (may_poll_on(a, status, *step, err, until_ms)) {
		if (!cloud_pause(a->client->cloud, pause_ms(a)))
			return err_set(err, ERR_UNAVAILABLE, "this service ends");
		*err = (struct err)ERR_INIT;
		status = ask(a, operation, step, err);
	}
	if (status == 0 && *step == DPS_REFUSED && a->status == 404)
		return err_set(err, ERR_UNAVAILABLE, "provisioning has forgotten the registration on its way");
	return status;
}

static int
take(struct attempt *a, struct dps_assignment *out, struct err *err)
{
	struct device_credential *credential = a->client->credential;

	if (credential->proof == PROOF_TPM && !a->answer.authentication_key)
		return err_set(err, ERR_INVALID, "provisioning's answer has no key at the hub for the TPM");
	if (credential->proof == PROOF_TPM && tpmd_client_import(credential->tpmd_socket, a->answer.authentication_key, err) < 0)
		return err_wrap(err, "the TPM's key at the hub");
	*out = (struct dps_assignment){ .hub = GIVE(a->answer.hub), .device_id = GIVE(a->answer.device_id) };
	return 0;
}

static int
come_through(struct attempt *a, struct dps_assignment *out, int64_t *retry_after_s, struct err *err)
{
	enum dps_step step = DPS_REFUSED;

	if (begin(a, &step, err) < 0)
		return -1;
	if (step == DPS_ASSIGNING && poll_to_end(a, &step, err) < 0)
		return -1;
	return step == DPS_ASSIGNED ? take(a, out, err) : fail(a, step, retry_after_s, err);
}

/* -- What it begins with --------------------------------------------------------------------------------------------------------------- */

static json_t *
body_of(const struct dps_client *c, const char *registration_id, struct err *err)
{
	OWN_LIB(json_t) body = json_pack("{s:s}", "registrationId", registration_id);
	OWN_TEXT endorsement_key = NULL;
	OWN_TEXT storage_root_key = NULL;

	if (c->source->payload)
		json_object_set(body, "payload", c->source->payload);
	if (c->credential->proof != PROOF_TPM)
		return GIVE(body);
	if (tpmd_client_keys(c->credential->tpmd_socket, &endorsement_key, &storage_root_key, err) < 0)
		return NULL;
	json_object_set_new(
		body, "tpm", json_pack("{s:s, s:s}", "endorsementKey", endorsement_key, "storageRootKey", storage_root_key));
	return GIVE(body);
}

int
dps_client_register(
	struct dps_client *c, const char *registration_id, struct dps_assignment *out, int64_t *retry_after_s, struct err *err)
{
	struct attempt a = { .client = c, .registration_id = registration_id, .body = body_of(c, registration_id, err) };
	int status;

	*retry_after_s = -1;
	if (!a.body)
		return -1;
	status = come_through(&a, out, retry_after_s, err);
	dps_answer_clear(&a.answer);
	json_decref(a.body);
	return status;
}
