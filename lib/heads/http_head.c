/* SPDX-License-Identifier: Apache-2.0 */
/* A request of a device: which one it is, whose, whether that one may, and then what it wants (http_deed.c).  The server gives one request of a connection at a time, so what is
 * kept for the connection has one user. */
#include "heads/http_call.h"
#include "wire/codec.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

/* -- Which request -------------------------------------------------------------------------------------------------------------------- */

/* "*" is the device, "+" the module, "?" a lock. */
static const struct http_deed deeds[] = {
	{ "POST", "devices/*/messages/events", http_deed_send },
	{ "POST", "devices/*/modules/*/messages/events", http_deed_send },
	{ "GET", "devices/*/messages/devicebound", http_deed_receive },
	{ "GET", "devices/*/modules/*/messages/devicebound", http_deed_receive },
	{ "DELETE", "devices/*/messages/devicebound/*", http_deed_complete },
	{ "DELETE", "devices/*/modules/*/messages/devicebound/*", http_deed_complete },
	{ "POST", "devices/*/messages/devicebound/*/abandon", http_deed_abandon },
	{ "POST", "devices/*/modules/*/messages/devicebound/*/abandon", http_deed_abandon },
};

/* What stands for the "*": the device, perhaps its module, perhaps a lock. */
static bool
path_fits(const struct http_request *req, const char *path, struct http_call *call)
{
	const char *ids[3];
	size_t n = 0;

	if (!http_path_fits(req, path, ids, COUNT(ids)))
		return false;
	call->device_id = ids[n++];
	call->module_id = strstr(path, "/modules/") ? ids[n++] : NULL;
	call->lock_token = ids[n];
	return true;
}

static bool
find_deed(struct http_call *call)
{
	for (size_t i = 0; i < COUNT(deeds); i++) {
		call->deed = &deeds[i];
		if (text_is(deeds[i].method, http_method(call->req)) && path_fits(call->req, deeds[i].path, call))
			return true;
	}
	return false;
}

/* -- The end of a request --------------------------------------------------------------------------------------------------------------- */

void
http_call_answer(struct http_call *call, int status, const char *const *headers, const void *body, size_t len)
{
	http_respond(call->req, status, headers, body, len);
	mem_free(call);
}

void
http_call_fail(struct http_call *call, enum http_head_error error, const char *words)
{
	call->head->config.fail(call->req, error, words);
	if (call->then)
		call->then(NULL, NULL, call->arg);
	mem_free(call);
}

/* -- What is kept for a connection --------------------------------------------------------------------------------------------------------- */

static void
close_session(struct head_session *session, enum reason reason)
{
	conn_abort(session->conn, reason_row(reason)->sentence);
}

/* Nothing else: it never is in the directory, nor live. */
static const struct head_session_ops session_ops = { .close = close_session };

static void
session_release(void *kept)
{
	struct http_device *device = kept;

	device->head->config.ops->end(device->head->config.backend, device->base.domain, &device->base, true);
	mem_free(device->name);
	mem_free(device);
}

/* Of the token, for it is a secret that need not lie here; all zero: none. */
static void
take_evidence(uint8_t digest[static DIGEST_SHA256_LEN], const char *token)
{
	memset(digest, 0, DIGEST_SHA256_LEN);
	if (token)
		digest_sha256(token, strlen(token), digest);
}

static const char *
token_of(const struct http_call *call)
{
	const char *token = http_header(call->req, "authorization");

	return token && *token ? token : NULL;
}

static bool
is_still_let_in(const struct http_call *call, const struct http_device *device)
{
	OWN_TEXT name = identity_name(call->device_id, call->module_id);
	uint8_t evidence[DIGEST_SHA256_LEN];

	take_evidence(evidence, token_of(call));
	return text_is(device->name, name) && mem_equal_ct(device->evidence, evidence, sizeof(evidence)) &&
	       (device->expires == 0 || clock_wall() < device->expires) &&
	       call->head->config.ops->stands(call->head->config.backend, device->base.domain);
}

static struct http_device *
keep(struct http_call *call, void *domain, int64_t expires)
{
	struct http_device *device = NEW(http_device);

	device->base = (struct head_session){ .ops = &session_ops, .conn = http_conn(call->req), .domain = domain };
	device->head = call->head;
	device->name = identity_name(call->device_id, call->module_id);
	device->expires = expires;
	take_evidence(device->evidence, token_of(call));
	http_keep(call->req, device, session_release);
	return device;
}

/* -- Let in? -------------------------------------------------------------------------------------------------------------------------------- */

static void
on_answer(struct head_admission *admission, bool accepted, void *domain, int64_t expires)
{
	struct http_call *call = CONTAINER_OF(admission, struct http_call, admission);
	const struct http_head_config *config = &call->head->config;

	if (accepted && http_conn(call->req)) {
		call->deed->run(call, keep(call, domain, expires));
		return;
	}
	if (accepted)
		config->ops->end(config->backend, domain, NULL, false);
	http_call_fail(call, HTTP_HEAD_UNAUTHORIZED, "Unauthorized"); /* the reason is the operator's: it stands in the log */
}

static void
on_unavailable(struct head_admission *admission)
{
	http_call_fail(CONTAINER_OF(admission, struct http_call, admission), HTTP_HEAD_UNAVAILABLE, "try again");
}

static void
ask_backend(struct http_call *call, struct conn *conn)
{
	struct certs chain = conn_peer_chain(conn);
	struct head_hello hello = {
		.loop = conn_loop(conn),
		.device_id = call->device_id,
		.module_id = call->module_id,
		.token = token_of(call),
		.chain = &chain,
		.resumed = conn_resumed(conn),
		.peer = conn_peer_name(conn),
		.is_request = true,
	};

	call->admission = (struct head_admission){ .answer = on_answer, .unavailable = on_unavailable };
	call->head->config.ops->admit(call->head->config.backend, &hello, &call->admission);
	certs_clear(&chain);
}

static void
start(struct http_call *call)
{
	struct http_device *device = http_kept(call->req);
	struct conn *conn = http_conn(call->req);

	if (!identity_id_is_valid(call->device_id) || (call->module_id && !identity_id_is_valid(call->module_id)))
		http_call_fail(call, HTTP_HEAD_BAD_ID, "an id with characters that no id has");
	else if (device && is_still_let_in(call, device))
		call->deed->run(call, device);
	else if (conn)
		ask_backend(call, conn);
	else
		http_call_fail(call, HTTP_HEAD_UNAVAILABLE, "");
}

bool
http_head_take(struct http_head *head, struct http_request *req)
{
	struct http_call call = { .head = head, .req = req };
	bool found = find_deed(&call);

	if (found)
		start(mem_dup(&call, sizeof(call)));
	return found;
}

/* -- Callers of something else -------------------------------------------------------------------------------------------------------------- */

static void
go_on(struct http_call *call, struct http_device *device)
{
	call->then(call->req, device->base.domain, call->arg);
	mem_free(call);
}

void
http_head_admit(struct http_head *head, struct http_request *req, const char *device_id, const char *module_id,
	void (*then)(struct http_request *req, void *domain, void *arg), void *arg)
{
	static const struct http_deed guest = { .run = go_on };
	struct http_call call = {
		.head = head,
		.deed = &guest,
		.req = req,
		.device_id = device_id,
		.module_id = module_id,
		.then = then,
		.arg = arg,
	};

	start(mem_dup(&call, sizeof(call)));
}

bool
http_head_module(const struct http_request *req, struct buf *device_id, struct buf *module_id)
{
	const char *header = http_header(req, "x-ms-edge-moduleId");
	struct slice rest = slice_of(header ? header : ""), device;

	return slice_cut(&rest, '/', &device) && percent_decode(device_id, device.text, device.len) &&
	       percent_decode(module_id, rest.text, rest.len) && identity_id_is_valid(buf_text(device_id)) &&
	       identity_id_is_valid(buf_text(module_id));
}

struct http_head *
http_head_new(const struct http_head_config *config)
{
	struct http_head *head = NEW(http_head);

	head->config = *config;
	return head;
}

void
http_head_free(struct http_head *head)
{
	mem_free(head);
}
