/* SPDX-License-Identifier: Apache-2.0 */
/* From the question on the loop to the registry's worker, where the certificate is signed, written down and offered, and back with the chain. */
#include "hub/credential_requests.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/provisioning/credential.h"
#include "hub/rest/rest_error.h"
#include "wire/codec.h"
#include "wire/json.h"

#define PAUSE_S 60
#define EXPECTED_WITHIN_S 60

struct ask {
	const struct credential_requests *requests;
	struct head_call *call;
	char *device_id, *generation_id;
	struct credential wish;
	char correlation_id[RANDOM_UUID_LEN];
	/* The answer. */
	struct ca_entry *issued;
	enum rest_error error; /* when there is none */
	char why[REST_ERROR_TEXT_MAX];
	struct job job;
};

static void
ask_free(struct ask *ask)
{
	mem_free(ask->device_id);
	mem_free(ask->generation_id);
	credential_clear(&ask->wish);
	ca_entry_free(ask->issued);
	mem_free(ask);
}

static bool
refuse(struct ask *ask, enum rest_error error, const char *why)
{
	ask->error = error;
	snprintf(ask->why, sizeof(ask->why), "%s", why);
	return false;
}

static bool
fail(struct ask *ask, const struct err *err)
{
	log_error("a certificate for %s: %s", ask->device_id, err->text);
	return refuse(ask, REST_SERVER_ERROR, "the certificate could not be issued");
}

/* -- On the worker -------------------------------------------------------------------------------------------------------------------- */

/* Would the hub's own CA let it in? */
static bool
vouches(const struct credential_requests *requests)
{
	OWN(authorities) cas = ca_current(requests->cas);
	const struct certs *chain = ca_signer_chain(requests->issuing->signer);

	for (size_t i = 0; i < chain->n; i++)
		if (authorities_find(cas, cert_sha256(chain->item[i])))
			return true;
	return false;
}

static bool
check_device(struct ask *ask)
{
	OWN(identity) record = registry_find(ask->requests->registry, ask->device_id, NULL);

	if (!record || !text_is(record->generation_id, ask->generation_id))
		return refuse(ask, REST_DEVICE_NOT_FOUND, "the device was deleted");
	if (record->auth == IDENTITY_AUTH_THUMBPRINT)
		return true;
	if (record->auth != IDENTITY_AUTH_CA)
		return refuse(ask, REST_INVALID_OPERATION, "a device that is known by keys could not connect with a certificate");
	return vouches(ask->requests) ||
	       refuse(ask, REST_INVALID_OPERATION,
		       "the hub's own CA is none that devices are let in by: it has to be registered first");
}

static bool
check_pause(struct ask *ask, int64_t now)
{
	char digest[2 * DIGEST_SHA256_LEN + 1];
	CLEAR(buf) hex = BUF_INIT(sizeof(digest));
	OWN(ca_entry) last = NULL;
	struct err err = ERR_INIT;

	if (ca_journal_find(ask->requests->issuing->journal, CA_BY_REQUESTER, ask->device_id, &last, &err) < 0)
		return fail(ask, &err);
	hex_encode(&hex, csr_sha256(ask->wish.csr), DIGEST_SHA256_LEN, true);
	if (!last || text_is(last->request, buf_text(&hex)) || now < last->issued || now - last->issued >= PAUSE_S)
		return true;
	return refuse(ask, REST_THROTTLING_EXCEPTION, "a certificate was issued within the last minute; ask for another one later");
}

static bool
issue(struct ask *ask, int64_t now)
{
	const struct issuing *issuing = ask->requests->issuing;
	struct ca_request request = {
		.csr = ask->wish.csr, .profile = &issuing->policies[0], .requester.id = ask->device_id, .once = true
	};
	OWN(verdict) v = verdict_new("hub", "May it have a certificate?", ask->device_id);
	OWN_TEXT sentence = NULL;
	struct err err = ERR_INIT;

	ask->issued = ca_issue(&issuing->desk, &request, now, v, &err);
	service_log_verdict(v);
	if (ask->issued)
		return true;
	if (verdict_accepted(v))
		return fail(ask, &err);
	if (err.kind != ERR_NONE)
		log_error("a certificate for %s: %s", ask->device_id, err.text);
	sentence = verdict_sentence(v);
	return refuse(ask, ca_issue_is_later(v) ? REST_SERVICE_UNAVAILABLE : REST_ARGUMENT_INVALID, sentence);
}

/* What a kill prevents is done when the device asks again. */
static bool
offer(struct ask *ask)
{
	struct rotation_call call = { .device_id = mem_text(ask->device_id), .renews = true };
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	bool done = true;

	hex_encode(&hex, cert_sha256(ask->issued->cert), DIGEST_SHA256_LEN, true);
	call.thumbprint = buf_take_text(&hex);
	rotation_keeper_run_offer(ask->requests->rotations, &call);
	if (call.failed)
		done = fail(ask, &call.err);
	rotation_call_clear(&call);
	return done;
}

static void
run(struct job *job)
{
	struct ask *ask = CONTAINER_OF(job, struct ask, job);
	int64_t now = clock_wall();

	if (check_device(ask) && check_pause(ask, now) && issue(ask, now) && offer(ask))
		return;
	ca_entry_free(ask->issued);
	ask->issued = NULL;
}

/* -- On the loop ----------------------------------------------------------------------------------------------------------------------- */

static void
answer(struct ask *ask)
{
	OWN_LIB(json_t) body = NULL;
	OWN_TEXT text = NULL;

	if (!ask->issued) {
		rest_fail_question(ask->call, ask->error, ask->why, json_pack("{s:s}", "correlationId", ask->correlation_id));
		return;
	}
	body = json_pack("{s:o}", "certificates", credential_chain_json(ask->issued));
	text = json_line(body);
	head_answer(ask->call, 200, 0, text, strlen(text));
}

static void
done(struct job *job)
{
	struct ask *ask = CONTAINER_OF(job, struct ask, job);

	answer(ask);
	ask_free(ask);
}

static void
tell_accepted(struct ask *ask)
{
	char when[CLOCK_TEXT_LEN];
	OWN_LIB(json_t) body = json_pack("{s:s, s:s}", "correlationId", ask->correlation_id, "operationExpires",
		clock_text(clock_wall() + EXPECTED_WITHIN_S, when));
	OWN_TEXT text = json_line(body);

	head_answer_accepted(ask->call, text, strlen(text));
}

/* `id` is the device's own; what `replace` names is over before another question is read. */
static bool
read_question(struct ask *ask, const struct subject *subject, bool for_itself, struct slice text)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) body = json_parse(text.text, text.len, &err);
	const char *id = NULL;

	if (!ask->requests->issuing)
		return refuse(ask, REST_FEATURE_NOT_SUPPORTED, "this hub issues no certificates");
	if (!for_itself)
		return refuse(ask, REST_INVALID_OPERATION, "a gateway gets no certificate of a device that it speaks for");
	if (subject->module_id)
		return refuse(ask, REST_ARGUMENT_INVALID, "certificates are issued to devices, not to their modules");
	if (!body || !json_is_object(body))
		return refuse(ask, REST_DESERIALIZATION_ERROR, body ? "the question is no JSON object" : err.text);
	if (json_find_text(body, "id", &id, &err) < 0 || credential_read(&ask->wish, body, &err) < 0)
		return refuse(ask, REST_ARGUMENT_INVALID, err.text);
	if (!id || !text_is(id, subject->device_id))
		return refuse(ask, REST_ARGUMENT_INVALID, "id is not that of the device");
	return ask->wish.csr || refuse(ask, REST_ARGUMENT_INVALID, "csr is missing");
}

void
credential_requests_ask(const struct credential_requests *requests, struct head_session *session, const struct subject *subject,
	bool for_itself, const struct head_request *request, struct head_call *call)
{
	struct ask *ask = NEW(ask);

	*ask = (struct ask){ .requests = requests,
		.call = call,
		.device_id = mem_text(subject->device_id),
		.generation_id = mem_text(subject->generation_id) };
	random_uuid(ask->correlation_id);
	ask->job = (struct job){ .run = run, .done = done, .owner = loop_owner(conn_loop(head_session_conn(session))) };
	if (!read_question(ask, subject, for_itself, request->body)) {
		done(&ask->job);
		return;
	}
	if (!registry_work(requests->registry, &ask->job)) {
		refuse(ask, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
		done(&ask->job);
		return;
	}
	tell_accepted(ask);
}
