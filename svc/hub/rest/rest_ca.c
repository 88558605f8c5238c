/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate objects over REST (hub 8): what the original does at its resource manager stands here at the hub's own address, in the same shape.  Our
 * extension is properties.scope: for which devices the CA may speak. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/ca.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

struct ca_request {
	struct http_request *req;
	struct ca_call call;
};

#define TYPE "Microsoft.Devices/IotHubs/Certificates"

/* -- Answers ------------------------------------------------------------------------------------------------------------------------ */

static void
fail(struct http_request *req, const struct ca_call *call)
{
	switch (call->answer) {
	case CA_OK:
		return;
	case CA_MISSING:
		rest_fail(req, REST_CERTIFICATE_NOT_FOUND, "there is no certificate %s", call->name);
		return;
	case CA_ELSEWHERE:
		rest_fail(req, REST_GENERIC_CONFLICT, "this certificate is registered under another name");
		return;
	case CA_NO_ETAG:
		rest_fail(req, REST_PRECONDITION_FAILED, "the certificate %s exists: If-Match must say which state of it is meant",
			call->name);
		return;
	case CA_WRONG_ETAG:
		rest_fail(req, REST_PRECONDITION_FAILED, "the etag is not that of what is there");
		return;
	case CA_TOO_MANY:
		rest_fail(req, REST_GENERIC_FORBIDDEN, "there are %d CAs already", AUTHORITIES_MAX);
		return;
	case CA_NO_CODE:
		rest_fail(req, REST_INVALID_OPERATION, "there is no verification code: ask for one first");
		return;
	case CA_INVALID:
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", call->err.text);
		return;
	case CA_FAILED:
		log_error("CAs: %s", call->err.text);
		rest_fail(req, call->err.kind == ERR_UNAVAILABLE ? REST_SERVICE_UNAVAILABLE : REST_SERVER_ERROR,
			"the registry could not be written");
		return;
	}
}

static void
respond_one(struct http_request *req, const struct ca_call *call)
{
	const struct ca_record *ca = call->found[0];
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", ca->etag);
	const char *headers[] = { etag, NULL };

	http_respond_json(req, 200, headers, ca_to_json(ca, TYPE, true, call->op == CA_CODE));
}

static void
respond_list(struct http_request *req, const struct ca_call *call)
{
	json_t *list = json_array();

	for (size_t i = 0; i < call->n_found; i++)
		json_array_append_new(list, ca_to_json(call->found[i], TYPE, true, false));
	http_respond_json(req, 200, NULL, json_pack("{s:o}", "value", list));
}

static void
on_done(struct ca_call *call)
{
	struct ca_request *r = CONTAINER_OF(call, struct ca_request, call);

	if (call->answer != CA_OK)
		fail(r->req, call);
	else if (call->op == CA_LIST)
		respond_list(r->req, call);
	else if (call->op == CA_REMOVE)
		http_respond(r->req, 204, NULL, NULL, 0);
	else
		respond_one(r->req, call);
	ca_call_clear(call);
	mem_free(r);
}

/* -- Requests ---------------------------------------------------------------------------------------------------------------------- */

/* NULL: answered with what is wrong. */
static struct ca_request *
request_new(struct http_request *req, enum ca_op op, const char *name)
{
	struct ca_request *r;

	if (name && !ca_name_is_valid(name)) {
		rest_fail(req, REST_ARGUMENT_INVALID, "a certificate's name has 1 to %d of the characters A-Z a-z 0-9 - . _",
			CA_NAME_MAX);
		return NULL;
	}
	r = NEW(ca_request);
	r->req = req;
	r->call.op = op;
	r->call.name = mem_text(name);
	r->call.if_match = rest_if_match(req);
	r->call.done = on_done;
	return r;
}

static void
request_free(struct ca_request *r)
{
	ca_call_clear(&r->call);
	mem_free(r);
}

static void
submit(struct rest *rest, struct ca_request *r)
{
	struct conn *conn = http_conn(r->req);

	if (conn && ca_submit(rest->cas, &r->call, loop_owner(conn_loop(conn))))
		return;
	rest_fail(r->req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	request_free(r);
}

static void
put(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct ca_request *r = request_new(req, CA_PUT, ids[0]);
	OWN_LIB(json_t) body = r ? rest_body(req) : NULL;
	struct err err = ERR_INIT;

	if (!body) {
		if (r)
			request_free(r);
		return;
	}
	if (ca_call_from_json(&r->call, body, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		request_free(r);
		return;
	}
	/* To vouch for a key without a proof is the owner's. */
	if (r->call.has_verified && r->call.is_verified && !rest_caller_may(rest, req, REST_SERVICE, REST_OWNER, ids)) {
		request_free(r);
		return;
	}
	submit(rest, r);
}

static void
verify(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct ca_request *r = request_new(req, CA_VERIFY, ids[0]);
	OWN_LIB(json_t) body = r ? rest_body(req) : NULL;
	struct err err = ERR_INIT;

	if (body && ca_call_from_json(&r->call, body, &err) == 0 && r->call.cert) {
		submit(rest, r);
		return;
	}
	if (body)
		rest_fail(req, REST_ARGUMENT_INVALID, "%s",
			*err.text ? err.text : "certificate is missing: the verification certificate");
	if (r)
		request_free(r);
}

static void
plain(struct rest *rest, struct http_request *req, enum ca_op op, const char *name)
{
	struct ca_request *r = request_new(req, op, name);

	if (r)
		submit(rest, r);
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)ids;
	plain(rest, req, CA_LIST, NULL);
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	plain(rest, req, CA_GET, ids[0]);
}

static void delete (struct rest *rest, struct http_request *req, const char *const *ids)
{
	plain(rest, req, CA_REMOVE, ids[0]);
}

static void
code(struct rest *rest, struct http_request *req, const char *const *ids)
{
	plain(rest, req, CA_CODE, ids[0]);
}

const struct rest_route rest_ca_routes[] = {
	{ "GET", "certificates", REST_SERVICE, AUTH_REGISTRY_READ, list },
	{ "GET", "certificates/*", REST_SERVICE, AUTH_REGISTRY_READ, get },
	{ "PUT", "certificates/*", REST_SERVICE, AUTH_REGISTRY_WRITE, put },
	{ "DELETE", "certificates/*", REST_SERVICE, AUTH_REGISTRY_WRITE, delete },
	{ "POST", "certificates/*/generateVerificationCode", REST_SERVICE, AUTH_REGISTRY_WRITE, code },
	{ "POST", "certificates/*/verify", REST_SERVICE, AUTH_REGISTRY_WRITE, verify },
	{ 0 },
};
