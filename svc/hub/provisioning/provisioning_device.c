/* SPDX-License-Identifier: Apache-2.0 */
/* Devices over HTTPS (hub 6.1): the registrar answers, this is how it is asked. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/provisioning_inside.h"
#include "hub/provisioning/registrar.h"
#include "wire/json.h"

static char *
location_of(const struct provisioning_call *call, const struct registrar_answer *answer)
{
	const char *operation = answer->status == 202 ? json_string_value(json_object_get(answer->body, "operationId")) : NULL;

	return operation ? mem_textf("Location: https://%s/%s/registrations/%s/operations/%s", call->provisioning->config.hostname,
				   call->provisioning->id_scope, call->ids[1], operation)
			 : NULL;
}

static void
respond(struct provisioning_call *call, struct registrar_answer *answer)
{
	OWN_TEXT code = answer->number ? mem_textf("x-ms-error-code: %d", answer->number) : NULL;
	OWN_TEXT again = answer->retry_after_s ? mem_textf("Retry-After: %d", answer->retry_after_s) : NULL;
	OWN_TEXT location = location_of(call, answer);
	const char *headers[4] = { 0 };
	size_t n = 0;

	if (code)
		headers[n++] = code;
	if (again)
		headers[n++] = again;
	if (location)
		headers[n++] = location;
	http_respond_json(call->req, answer->status, headers, GIVE(answer->body));
}

static void
ask(struct provisioning_call *call, registrar_question *question)
{
	struct registrar_call asked = {
		.provisioning = call->provisioning,
		.id_scope = call->ids[0],
		.registration_id = call->ids[1],
		.operation = call->ids[2],
		.token = http_header(call->req, "Authorization"),
		.chain = &call->chain,
		.is_https = true,
	};

	asked.body.text = http_body(call->req, &asked.body.len);
	question(&asked);
	respond(call, &asked.answer);
	registrar_call_clear(&asked);
}

static void
on_register(struct provisioning_call *call)
{
	ask(call, registrar_register);
}

static void
on_operation(struct provisioning_call *call)
{
	ask(call, registrar_operation);
}

static void
on_lookup(struct provisioning_call *call)
{
	ask(call, registrar_lookup);
}

const struct provisioning_route provisioning_device_routes[] = {
	{ "PUT", "*/registrations/*/register", 0, false, on_register },
	{ "GET", "*/registrations/*/operations/*", 0, false, on_operation },
	{ "POST", "*/registrations/*", 0, false, on_lookup },
	{ 0 },
};
