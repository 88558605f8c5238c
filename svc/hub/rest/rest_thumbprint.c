/* SPDX-License-Identifier: Apache-2.0 */
/* Thumbprints over REST, our extension: a device that is let in by its present certificate, or a service, offers the thumbprint of the next one
 * (thumbprint_rotation.h). */
#include <string.h>

#include "auth/thumbprint.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/rest/rest.h"
#include "wire/codec.h"
#include "wire/json.h"

struct offer {
	struct rest *rest;
	struct http_request *req;
	struct rotation_call call;
};

static json_t *
date_json(int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	return wall > 0 ? json_string(clock_text(wall, text)) : json_null();
}

static json_t *
rotation_json(const struct rotation *r)
{
	if (!r)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "state", r->promoted ? "promoted" : "offered", "thumbprint", r->new,
		"replaces", r->old, "offered", date_json(r->offered), "promoted", date_json(r->promoted), "retires",
		date_json(r->retires));
}

static void
respond(struct rest *rest, struct http_request *req, const struct identity *record)
{
	OWN(rotation) rotation = rotation_keeper_find(rest->rotations, record);

	http_respond_json(req, 200, NULL,
		json_pack("{s:s?, s:s?, s:o}", "primaryThumbprint", record->thumbprints[0], "secondaryThumbprint",
			record->thumbprints[1], "rotation", rotation_json(rotation)));
}

static void
fail_unknown(struct http_request *req, const char *device_id, const char *module_id)
{
	if (module_id)
		rest_fail(req, REST_MODULE_NOT_FOUND, "there is no module %s on device %s", module_id, device_id);
	else
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", device_id);
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN(identity) record = registry_find(rest->registry, ids[0], ids[1]);

	if (record)
		respond(rest, req, record);
	else
		fail_unknown(req, ids[0], ids[1]);
}

static void
fail_offer(struct http_request *req, const struct rotation_call *call)
{
	switch (call->answer) {
	case ROTATION_OK:
		return;
	case ROTATION_NO_THUMBPRINTS:
		rest_fail(req, REST_INVALID_OPERATION, "%s is not registered by thumbprint", call->device_id);
		return;
	case ROTATION_IS_THERE:
		rest_fail(req, REST_GENERIC_CONFLICT, "this thumbprint stands in a slot already");
		return;
	case ROTATION_NO_FREE_SLOT:
	case ROTATION_ENDED:
		rest_fail(req, REST_GENERIC_CONFLICT,
			"both slots are taken: the old thumbprint must be retired, or a slot emptied, before another one is "
			"offered");
		return;
	}
}

static void
on_offered(struct rotation_call *call)
{
	struct offer *offer = CONTAINER_OF(call, struct offer, call);
	OWN(identity) record = registry_find(offer->rest->registry, call->device_id, call->module_id);

	if (call->failed) {
		log_error("rotations: %s", call->err.text);
		rest_fail(offer->req, call->err.kind == ERR_UNAVAILABLE ? REST_SERVICE_UNAVAILABLE : REST_SERVER_ERROR,
			"the registry could not be written");
	} else if (call->is_unknown || !record) {
		fail_unknown(offer->req, call->device_id, call->module_id);
	} else if (call->answer != ROTATION_OK) {
		fail_offer(offer->req, call);
	} else {
		respond(offer->rest, offer->req, record);
	}
	rotation_call_clear(call);
	mem_free(offer);
}

static char *
thumbprint_of_cert(const char *text, struct err *err)
{
	OWN(cert) cert = ca_read_cert(text, CA_CHAIN_MAX, err);
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	if (!cert)
		return NULL;
	if (cert_not_after(cert) <= clock_wall()) {
		(void)err_set(err, ERR_INVALID, "the certificate has expired");
		return NULL;
	}
	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

/* A thumbprint or the certificate itself; a new one is SHA-256. */
static char *
take_thumbprint(const json_t *body, struct err *err)
{
	const char *text = NULL, *cert = NULL;
	char *thumbprint;

	if (json_find_text(body, "thumbprint", &text, err) < 0 || json_find_text(body, "certificate", &cert, err) < 0)
		return NULL;
	if (!text == !cert) {
		(void)err_set(err, ERR_INVALID, "give either thumbprint or certificate");
		return NULL;
	}
	if (cert)
		return thumbprint_of_cert(cert, err);
	thumbprint = thumbprint_normalise(text);
	if (thumbprint && strlen(thumbprint) == 2 * DIGEST_SHA256_LEN)
		return thumbprint;
	mem_free(thumbprint);
	(void)err_set(err, ERR_INVALID, "thumbprint is not a SHA-256 thumbprint (64 hex digits)");
	return NULL;
}

static void
post(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct err err = ERR_INIT;
	struct offer *offer;
	struct conn *conn;
	char *thumbprint;

	if (!body)
		return;
	thumbprint = take_thumbprint(body, &err);
	if (!thumbprint) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	conn = http_conn(req);
	offer = NEW(offer);
	*offer = (struct offer){ .rest = rest,
		.req = req,
		.call = { .device_id = mem_text(ids[0]),
			.module_id = mem_text(ids[1]),
			.thumbprint = thumbprint,
			.done = on_offered } };
	if (conn && rotation_keeper_offer(rest->rotations, &offer->call, loop_owner(conn_loop(conn))))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	rotation_call_clear(&offer->call);
	mem_free(offer);
}

const struct rest_route rest_thumbprint_routes[] = {
	{ "GET", "devices/*/thumbprints", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_READ, get },
	{ "POST", "devices/*/thumbprints/offer", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_WRITE, post },
	{ "GET", "devices/*/modules/*/thumbprints", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_READ, get },
	{ "POST", "devices/*/modules/*/thumbprints/offer", REST_SERVICE_OR_DEVICE, AUTH_REGISTRY_WRITE, post },
	{ 0 },
};
