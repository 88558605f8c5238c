/* SPDX-License-Identifier: Apache-2.0 */
/* What devices do (hub 6.1): register, ask how that goes, look it up.  A question is judged (registrar_judge.c), carried out (registrar_assign.c) and answered
 * (registrar_answer.c), and nothing is told as assigned before the registration and the device in the hub are durable. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/provisioning/pursuit.h"
#include "hub/provisioning/registrar_inside.h"
#include "wire/json.h"

#define PAYLOAD_MAX (64 * 1024) /* on one line; what fits into a packet fits, too */

/* NULL is as good as nothing (the Python SDK sends it).  false: answered. */
static bool
take_payload(struct registrar_call *call, const json_t *body, char **payload)
{
	const json_t *value = json_object_get(body, "payload");

	if (!value || json_is_null(value))
		return true;
	*payload = json_line(value);
	if (strlen(*payload) <= PAYLOAD_MAX)
		return true;
	registrar_fail(call, REGISTRAR_BAD_ARGUMENT, "the payload is longer than %d bytes", PAYLOAD_MAX);
	return false;
}

/* An empty body says what the path says.  false: answered. */
static bool
read_body(struct registrar_call *call, char **payload)
{
	OWN_LIB(json_t) body = NULL;
	const char *id;
	struct err err = ERR_INIT;

	if (call->body.len == 0)
		return true;
	body = json_parse(call->body.text, call->body.len, &err);
	if (!json_is_object(body)) {
		registrar_fail(call, REGISTRAR_BAD_ARGUMENT, "%s", body ? "the body is not a JSON object" : err.text);
		return false;
	}
	id = json_string_value(json_object_get(body, "registrationId"));
	if (id && !text_is(id, call->registration_id)) {
		registrar_fail(call, REGISTRAR_BAD_ARGUMENT, "the registrationId in the body is not that of the path");
		return false;
	}
	if (credential_read(&call->credential, body, &err) < 0) {
		service_log_violation(call->registration_id, CSR_MALFORMED, err.text);
		registrar_fail(call, REGISTRAR_BAD_ARGUMENT, "no certificate is issued: %s", err.text);
		return false;
	}
	return take_payload(call, body, payload);
}

void
registrar_register(struct registrar_call *call)
{
	OWN(enrollment) e = registrar_judge(call);
	OWN(registration) found = NULL;
	OWN_TEXT payload = NULL;
	struct err err = ERR_INIT;

	if (!e || !read_body(call, &payload))
		return;
	if (registration_find(registrar_db(call), call->registration_id, &found, &err) < 0)
		registrar_fail_broken(call, &err);
	else
		registrar_assign(call, e, found, payload);
}

bool
registrar_admit(struct registrar_call *call)
{
	OWN(enrollment) e = registrar_judge(call);

	return e != NULL;
}

/* -- Asking ------------------------------------------------------------------------------------------------------------------------ */

/* One of another group is as good as none: that its key or CA vouches for the same name says nothing about this device (atk-07). */
static int
find_own(struct registrar_call *call, const struct enrollment *e, struct registration **out, struct err *err)
{
	OWN(registration) r = NULL;

	*out = NULL;
	if (registration_find(registrar_db(call), call->registration_id, &r, err) < 0)
		return -1;
	if (r && (!e->is_group || (text_is(r->group_id, e->id) && text_is(r->id, call->registration_id))))
		*out = GIVE(r);
	return 0;
}

/* What nobody works on is begun anew: the other hub was away, and the device waits. */
static int
find_as_it_goes(struct registrar_call *call, const struct enrollment *e, struct registration **out, struct err *err)
{
	struct registration *r;

	if (find_own(call, e, out, err) < 0)
		return -1;
	r = *out;
	if (!r || r->assigned || r->failure || !text_is(r->operation, call->operation))
		return 0;
	pursuit_wake(call->provisioning, r);
	registration_free(r);
	return find_own(call, e, out, err);
}

/* For the device itself: with its certificate. */
static json_t *
told_json(struct registrar_call *call, const struct registration *r, const struct enrollment *e)
{
	json_t *state = registrar_state_json(r, e);
	struct err err = ERR_INIT;

	if (credential_tell(call->provisioning->config.issuing, r, state, &err) < 0)
		log_error("provisioning: %s", err.text);
	return state;
}

void
registrar_operation(struct registrar_call *call)
{
	OWN(enrollment) e = registrar_judge(call);
	OWN(registration) r = NULL;
	struct err err = ERR_INIT;

	if (!e)
		return;
	if (find_as_it_goes(call, e, &r, &err) < 0)
		registrar_fail_broken(call, &err);
	else if (!r || !text_is(r->operation, call->operation))
		registrar_fail(call, REGISTRAR_NO_OPERATION, "there is no such operation");
	else if (!r->assigned && !r->failure)
		registrar_answer_assigning(call, r);
	else
		registrar_answer(call, 200,
			json_pack("{s:s, s:s, s:o}", "operationId", r->operation, "status", registration_status(r),
				"registrationState", told_json(call, r, e)));
}

void
registrar_lookup(struct registrar_call *call)
{
	OWN(enrollment) e = registrar_judge(call);
	OWN(registration) r = NULL;
	struct err err = ERR_INIT;

	if (!e)
		return;
	if (find_own(call, e, &r, &err) < 0)
		registrar_fail_broken(call, &err);
	else if (!r)
		registrar_fail(call, REGISTRAR_NO_REGISTRATION, "it has not registered yet");
	else
		registrar_answer(call, 200, told_json(call, r, e));
}
