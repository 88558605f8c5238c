/* SPDX-License-Identifier: Apache-2.0 */
/* The CAs that enrollments refer to by name (hub 8, with the shape that the hub's own have): registered, verified by a proof of possession, and taken away.  One that is not verified lets nobody in. */
#include "base/mem.h"
#include "hub/provisioning/provisioning_inside.h"
#include "wire/json.h"

#define TYPE "Microsoft.Devices/ProvisioningServices/Certificates"

enum numbers {
	BAD_ARGUMENT = 400004,
	NO_CODE = 400005,
	NO_CERTIFICATE = 404206,
	ELSEWHERE = 409205,
	TOO_MANY = 409206,
	WRONG_ETAG = 412001,
};

static void
fail(struct provisioning_call *call, const struct ca_call *ca)
{
	static const struct {
		int number;
		const char *text;
	} rows[] = {
		[CA_MISSING] = { NO_CERTIFICATE, "there is no such certificate" },
		[CA_ELSEWHERE] = { ELSEWHERE, "this certificate is registered under another name" },
		[CA_NO_ETAG] = { WRONG_ETAG, "it is there: If-Match must say which state of it is meant" },
		[CA_WRONG_ETAG] = { WRONG_ETAG, "the etag is not that of what is there" },
		[CA_TOO_MANY] = { TOO_MANY, "there are too many certificates" },
		[CA_NO_CODE] = { NO_CODE, "there is no verification code: ask for one first" },
		[CA_INVALID] = { BAD_ARGUMENT, NULL },
	};

	if (ca->answer == CA_FAILED)
		provisioning_fail_broken(call, &ca->err);
	else
		provisioning_fail(
			call, rows[ca->answer].number, "%s", rows[ca->answer].text ? rows[ca->answer].text : ca->err.text);
}

static void
respond_list(struct provisioning_call *call, const struct ca_call *ca)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ca->n_found; i++)
		json_array_append_new(list, ca_to_json(ca->found[i], TYPE, false, false));
	http_respond_json(call->req, 200, NULL, json_pack("{s:o}", "value", list));
}

static void
respond_one(struct provisioning_call *call, const struct ca_call *ca)
{
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", ca->found[0]->etag);
	const char *headers[] = { etag, NULL };

	http_respond_json(call->req, 200, headers, ca_to_json(ca->found[0], TYPE, false, ca->op == CA_CODE));
}

/* What is read of the enrollments is read again: their CAs may be others now. */
static void
run(struct provisioning_call *call, struct ca_call *ca)
{
	ca_run(call->provisioning->cas, ca);
	if (ca->op != CA_LIST && ca->op != CA_GET)
		enrollment_groups_clear(&call->provisioning->groups);
	if (ca->answer != CA_OK)
		fail(call, ca);
	else if (ca->op == CA_LIST)
		respond_list(call, ca);
	else if (ca->op == CA_REMOVE)
		http_respond(call->req, 204, NULL, NULL, 0);
	else
		respond_one(call, ca);
}

/* false: answered. */
static bool
begin(struct provisioning_call *call, struct ca_call *ca, enum ca_op op)
{
	*ca = (struct ca_call){ .op = op };
	if (call->ids[0] && !ca_name_is_valid(call->ids[0])) {
		provisioning_fail(
			call, BAD_ARGUMENT, "a certificate's name has 1 to %d of the characters A-Z a-z 0-9 - . _", CA_NAME_MAX);
		return false;
	}
	ca->name = mem_text(call->ids[0]);
	ca->if_match = provisioning_if_match(call->req);
	return true;
}

static void
plain(struct provisioning_call *call, enum ca_op op)
{
	struct ca_call ca;

	if (begin(call, &ca, op))
		run(call, &ca);
	ca_call_clear(&ca);
}

static bool
take_body(struct provisioning_call *call, struct ca_call *ca)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	struct err err = ERR_INIT;

	if (!body)
		return false;
	if (ca_call_from_json(ca, body, &err) == 0)
		return true;
	provisioning_fail(call, BAD_ARGUMENT, "%s", err.text);
	return false;
}

#define READ PROVISIONING_ENROLLMENT_READ
#define WRITE PROVISIONING_ENROLLMENT_WRITE
#define OWNER (READ | WRITE | PROVISIONING_REGISTRATION_READ | PROVISIONING_REGISTRATION_WRITE)

/* To vouch for a key without a proof is the owner's. */
static void
put(struct provisioning_call *call)
{
	struct ca_call ca;

	if (begin(call, &ca, CA_PUT) && take_body(call, &ca) && (!ca.is_verified || provisioning_caller_may(call, OWNER)))
		run(call, &ca);
	ca_call_clear(&ca);
}

static void
verify(struct provisioning_call *call)
{
	struct ca_call ca;

	if (begin(call, &ca, CA_VERIFY) && take_body(call, &ca)) {
		if (ca.cert)
			run(call, &ca);
		else
			provisioning_fail(call, BAD_ARGUMENT, "certificate is missing: the verification certificate");
	}
	ca_call_clear(&ca);
}

static void
list(struct provisioning_call *call)
{
	plain(call, CA_LIST);
}

static void
show(struct provisioning_call *call)
{
	plain(call, CA_GET);
}

static void
take_away(struct provisioning_call *call)
{
	plain(call, CA_REMOVE);
}

static void
make_code(struct provisioning_call *call)
{
	plain(call, CA_CODE);
}

const struct provisioning_route provisioning_ca_routes[] = {
	{ "GET", "certificates", READ, false, list },
	{ "GET", "certificates/*", READ, false, show },
	{ "PUT", "certificates/*", WRITE, false, put },
	{ "DELETE", "certificates/*", WRITE, false, take_away },
	{ "POST", "certificates/*/generateVerificationCode", WRITE, false, make_code },
	{ "POST", "certificates/*/verify", WRITE, false, verify },
	{ 0 },
};
