/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "identityd/dps_answer.h"
#include "t.h"
#include "wire/json.h"

static enum dps_step
take(struct dps_answer *out, int status, const char *text, struct err *err)
{
	struct err ignored = ERR_INIT;
	OWN_LIB(json_t) body = json_parse(text, strlen(text), &ignored);

	return dps_answer_take(out, status, body, -1, err);
}

TEST("assigned: the hub in lower case, the device, and the TPM's key where there is one")
{
	struct dps_answer a;
	struct err err = ERR_INIT;

	CHECK_INT(take(&a, 200,
			  "{\"operationId\":\"5.1\",\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"Contoso."
			  "Example:8443\","
			  "\"deviceId\":\"dev-1\",\"payload\":{\"line\":1},\"tpm\":{\"authenticationKey\":\"AAA=\"}}}",
			  &err),
		DPS_ASSIGNED);
	CHECK_STR(a.hub, "contoso.example:8443");
	CHECK_STR(a.device_id, "dev-1");
	CHECK_STR(a.authentication_key, "AAA=");
	CHECK_INT(json_integer_value(json_object_get(a.payload, "line")), 1);
	dps_answer_clear(&a);
}

TEST("assigning, in each of the service's words for it, with the operation to ask about")
{
	static const char *const words[] = { "assigning", "Assigning", "unassigned", "registering" };

	for (size_t i = 0; i < COUNT(words); i++) {
		OWN_TEXT text = mem_textf("{\"operationId\":\"5.ab/c\",\"status\":\"%s\"}", words[i]);
		struct dps_answer a;
		struct err err = ERR_INIT;

		CHECK_INT(take(&a, 202, text, &err), DPS_ASSIGNING);
		CHECK_STR(a.operation, "5.ab/c");
		dps_answer_clear(&a);
	}
}

TEST("401 with a key is a TPM's challenge, without one a refusal that says what to look at")
{
	struct dps_answer a;
	struct err err = ERR_INIT;

	CHECK_INT(take(&a, 401, "{\"authenticationKey\":\"AQID\",\"keyName\":\"registration\"}", &err), DPS_CHALLENGED);
	CHECK_STR(a.authentication_key, "AQID");
	dps_answer_clear(&a);
	CHECK_INT(take(&a, 401, "{\"errorCode\":401002,\"trackingId\":\"t-7\",\"message\":\"Unauthorized\"}", &err), DPS_REFUSED);
	CHECK_ERR(err, ERR_DENIED, "401002 Unauthorized: the enrollment is not there");
	CHECK_CONTAINS(err.text, "tracking id t-7");
	dps_answer_clear(&a);
}

struct row {
	int status;
	const char *body;
	enum dps_step step;
	enum err_kind kind;
	const char *words;
};

TEST("what the service says no to, is too busy for or gets wrong is told apart, and explained where a person can do something")
{
	static const struct row rows[] = {
		{ 429, "{\"errorCode\":429001,\"message\":\"too many\"}", DPS_BUSY, ERR_LIMIT, "429001 too many" },
		{ 503, "", DPS_BUSY, ERR_UNAVAILABLE, "503000" },
		{ 500, "{\"errorCode\":500001}", DPS_BUSY, ERR_UNAVAILABLE, "500001" },
		{ 404, "{\"errorCode\":404001,\"message\":\"none\"}", DPS_REFUSED, ERR_DENIED, "ID scope" },
		{ 400, "{\"errorCode\":400208}", DPS_REFUSED, ERR_DENIED, "custom allocation" },
		{ 409, "{\"errorCode\":409203}", DPS_REFUSED, ERR_DENIED, "has a device of this name" },
		{ 400, "<html>", DPS_REFUSED, ERR_DENIED, "400000" },
		{ 200, "{\"status\":\"failed\",\"registrationState\":{\"errorCode\":400209,\"errorMessage\":\"hook\"}}",
			DPS_REFUSED, ERR_DENIED, "400209 hook" },
		{ 200, "{\"status\":\"disabled\"}", DPS_REFUSED, ERR_DENIED, "disabled" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dps_answer a;
		struct err err = ERR_INIT;

		CHECK_INT(take(&a, rows[i].status, rows[i].body, &err), rows[i].step);
		CHECK_ERR(err, rows[i].kind, rows[i].words);
		dps_answer_clear(&a);
	}
}

TEST("an answer that lies about its form assigns nothing: no hub, a hub that is a path, an id that is none, no operation, no "
     "object")
{
	static const char *const bodies[] = { "", "[]", "7", "{}", "{\"status\":7}", "{\"status\":\"assigned\"}",
		"{\"status\":\"assigned\",\"registrationState\":[]}",
		"{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\"}}",
		"{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":7,\"deviceId\":\"d\"}}",
		"{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h/../x\",\"deviceId\":\"d\"}}",
		"{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"a@b\",\"deviceId\":\"d\"}}",
		"{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\",\"deviceId\":\"a/b\"}}",
		"{\"status\":\"assigned\",\"registrationState\":{\"assignedHub\":\"h\",\"deviceId\":\"\"}}",
		"{\"status\":\"assigning\"}", "{\"status\":\"assigning\",\"operationId\":\"\"}",
		"{\"status\":\"assigning\",\"operationId\":\"a\\nb\"}", "{\"status\":\"assigning\",\"operationId\":7}" };

	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct dps_answer a;
		struct err err = ERR_INIT;

		CHECK_INT(take(&a, 200, bodies[i], &err), DPS_REFUSED);
		CHECK_INT(err.kind, ERR_INVALID);
		CHECK(!a.hub && !a.operation);
		dps_answer_clear(&a);
	}
}
