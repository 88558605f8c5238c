/* SPDX-License-Identifier: Apache-2.0 */
/* How the registrar answers (registrar_inside.h): a status with its body, an error with its number, and a registration as devices and services read it (hub 6.4). */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/provisioning/registrar_inside.h"
#include "hub/provisioning/reprovision.h"
#include "wire/json.h"

#define RETRY_AFTER_S 1

void
registrar_answer(struct registrar_call *call, int status, json_t *body_take)
{
	json_decref(call->answer.body);
	call->answer.status = status;
	call->answer.body = body_take;
}

void
registrar_fail(struct registrar_call *call, int number, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	registrar_answer(call, number / 1000, provisioning_error(number, fmt, args));
	va_end(args);
	call->answer.number = number;
	call->answer.retry_after_s = provisioning_retry_after_s(number);
}

void
registrar_fail_broken(struct registrar_call *call, const struct err *err)
{
	log_error("provisioning: %s", err->text);
	if (err->kind == ERR_UNAVAILABLE)
		registrar_fail(call, REGISTRAR_UNAVAILABLE, "the service can't write now");
	else
		registrar_fail(call, 500001, "internal error");
}

void
registrar_refuse_busy(struct registrar_call *call)
{
	registrar_fail(call, 429001, "too many requests wait; try again");
}

struct db *
registrar_db(const struct registrar_call *call)
{
	return registry_store_db(registry_store_of(call->provisioning->config.registry));
}

void
registrar_call_clear(struct registrar_call *call)
{
	json_decref(call->answer.body);
	call->answer = (struct registrar_answer){ 0 };
	credential_clear(&call->credential);
}

void
registrar_answer_assigning(struct registrar_call *call, const struct registration *r)
{
	call->answer.retry_after_s = RETRY_AFTER_S;
	registrar_answer(call, 202, json_pack("{s:s, s:s}", "operationId", r->operation, "status", "assigning"));
}

static void
put_time(json_t *object, const char *name, int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(object, name, json_string(clock_text(wall, text)));
}

/* What its custom allocation has for it. */
static void
put_returned(json_t *state, const struct registration *r)
{
	struct err err = ERR_INIT;
	json_t *payload = r->assigned && r->returned ? json_parse(r->returned, strlen(r->returned), &err) : NULL;

	if (payload)
		json_object_set_new(state, "payload", payload);
}

const char *
registration_status(const struct registration *r)
{
	return r->assigned ? "assigned" : r->failure ? "failed" : "assigning";
}

json_t *
registrar_state_json(const struct registration *r, const struct enrollment *e)
{
	json_t *state = json_pack("{s:s, s:s, s:s}", "registrationId", r->id, "status", registration_status(r), "etag", r->etag);
	json_t *proof = json_object();

	if (r->assigned) {
		json_object_set_new(state, "assignedHub", json_string(r->hub));
		json_object_set_new(state, "deviceId", json_string(r->device_id));
		json_object_set_new(state, "substatus", json_string(reprovision_substatus(r->substatus)));
	}
	put_returned(state, r);
	if (r->failure) {
		json_object_set_new(state, "errorCode", json_integer(r->error ? r->error : REGISTRAR_CONFLICT));
		json_object_set_new(state, "errorMessage", json_string(r->failure));
	}
	if (r->group_id)
		json_object_set_new(proof, "enrollmentGroupId", json_string(r->group_id));
	if (e && e->proof == ENROLLMENT_BY_TPM)
		json_object_set_new(state, "tpm", registrar_tpm_json(r, e));
	else if (e)
		json_object_set_new(state, e->proof == ENROLLMENT_BY_KEY ? "symmetricKey" : "x509", json_incref(proof));
	json_decref(proof);
	put_time(state, "createdDateTimeUtc", r->created);
	put_time(state, "lastUpdatedDateTimeUtc", r->updated);
	return state;
}
