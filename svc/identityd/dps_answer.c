/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of provisioning (dps_answer.h). */
#include "identityd/dps_answer.h"

#include <string.h>

#include "auth/identity.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/device_info.h"
#include "wire/json.h"

#define OPERATION_MAX 256
#define MESSAGE_MAX 200
#define BLOB_MAX 8192

void
dps_answer_clear(struct dps_answer *a)
{
	mem_free(a->operation);
	mem_free(a->hub);
	mem_free(a->device_id);
	if (a->authentication_key)
		mem_wipe(a->authentication_key, strlen(a->authentication_key));
	mem_free(a->authentication_key);
	json_decref(a->payload);
	*a = (struct dps_answer){ .retry_after_s = -1 };
}

static enum dps_step
refuse(struct err *err, enum err_kind kind, const char *what)
{
	err_set(err, kind, "provisioning's answer: %s", what);
	return DPS_REFUSED;
}

/* -- Errors ---------------------------------------------------------------------------------------------------------------------------- */

/* What a person can do about it. */
struct hint {
	int64_t from, to;
	const char *words;
};

static const struct hint hints[] = {
	{ 401000, 401999,
		"the enrollment is not there or disabled, or does not have this device's key, certificate or TPM (look at "
		"registration_id, id_scope, attestation, and this device's clock)" },
	{ 404000, 404999, "there is no such registration, or the ID scope is another service's (id_scope, global_endpoint)" },
	{ 400208, 400209, "the enrollment's custom allocation gave no hub" },
	{ 409203, 409203, "the hub has a device of this name that provisioning has not made" },
};

static const char *
hint_of(int64_t number)
{
	for (size_t i = 0; i < COUNT(hints); i++)
		if (number >= hints[i].from && number <= hints[i].to)
			return hints[i].words;
	return NULL;
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

static int64_t
number_of(const json_t *body, int status)
{
	const json_t *number = json_object_get(body, "errorCode");

	return json_is_integer(number) ? json_integer_value(number) : (int64_t)status * 1000;
}

static void
explain(struct err *err, enum err_kind kind, int64_t number, const char *message, const char *tracking_id)
{
	const char *hint = hint_of(number);

	err_set(err, kind, "provisioning refuses with %lld %.*s%s%s%s%.40s", (long long)number, MESSAGE_MAX, message,
		hint ? ": " : "", hint ? hint : "", *tracking_id ? ", tracking id " : "", tracking_id);
}

static enum dps_step
take_error(int status, const json_t *body, struct err *err)
{
	enum err_kind kind = status == 429 ? ERR_LIMIT : status >= 500 ? ERR_UNAVAILABLE : ERR_DENIED;

	explain(err, kind, number_of(body, status), text_of(body, "message"), text_of(body, "trackingId"));
	return kind == ERR_DENIED ? DPS_REFUSED : DPS_BUSY;
}

/* -- A TPM's challenge ----------------------------------------------------------------------------------------------------------------- */

static bool
take_blob(char **out, const json_t *object)
{
	const char *text = json_string_value(json_object_get(object, "authenticationKey"));

	if (!text || !*text || strnlen(text, BLOB_MAX + 1) > BLOB_MAX)
		return false;
	*out = mem_text(text);
	return true;
}

/* -- A registration -------------------------------------------------------------------------------------------------------------------- */

static enum dps_step
take_assigned(struct dps_answer *out, const json_t *state, struct err *err)
{
	const char *hub = text_of(state, "assignedHub"), *device_id = text_of(state, "deviceId");

	if (!device_info_is_hub_name(hub) || !identity_id_is_valid(device_id))
		return refuse(err, ERR_INVALID, "assigned, but to no hub and device");
	out->hub = text_lower(hub);
	out->device_id = mem_text(device_id);
	out->payload = json_incref(json_object_get(state, "payload"));
	take_blob(&out->authentication_key, json_object_get(state, "tpm"));
	return DPS_ASSIGNED;
}

static enum dps_step
take_failed(const json_t *state, const char *status, struct err *err)
{
	if (text_is_nocase(status, "disabled"))
		return refuse(err, ERR_DENIED, "the enrollment is disabled");
	explain(err, ERR_DENIED, number_of(state, 0), text_of(state, "errorMessage"), "");
	return DPS_REFUSED;
}

static enum dps_step
take_assigning(struct dps_answer *out, const json_t *body, struct err *err)
{
	const char *operation = text_of(body, "operationId");

	if (!*operation || strnlen(operation, OPERATION_MAX + 1) > OPERATION_MAX || text_has_control(operation, strlen(operation)))
		return refuse(err, ERR_INVALID, "assigning, but without an operation that could be asked about");
	out->operation = mem_text(operation);
	return DPS_ASSIGNING;
}

static enum dps_step
take_registration(struct dps_answer *out, const json_t *body, struct err *err)
{
	const json_t *state = json_object_get(body, "registrationState");
	const char *status = text_of(body, "status");

	if (text_is_nocase(status, "assigned"))
		return take_assigned(out, state, err);
	if (text_is_nocase(status, "assigning") || text_is_nocase(status, "unassigned") || text_is_nocase(status, "registering"))
		return take_assigning(out, body, err);
	if (text_is_nocase(status, "failed") || text_is_nocase(status, "disabled"))
		return take_failed(state ? state : body, status, err);
	return refuse(err, ERR_INVALID, "neither assigned nor assigning nor failed");
}

enum dps_step
dps_answer_take(struct dps_answer *out, int status, const json_t *body, int64_t retry_after_s, struct err *err)
{
	*out = (struct dps_answer){ .retry_after_s = retry_after_s };
	if (status == 401 && take_blob(&out->authentication_key, body))
		return DPS_CHALLENGED;
	if (status >= 400)
		return take_error(status, body, err);
	return json_is_object(body) ? take_registration(out, body, err) : refuse(err, ERR_INVALID, "no JSON object");
}
