/* SPDX-License-Identifier: Apache-2.0 */
/* The door on port 443. */
#include "gateway/front/front.h"

#include "base/log.h"
#include "base/mem.h"
#include "common/activation.h"
#include "heads/strand_door.h"
#include "net/conn_websocket.h"

struct front {
	struct front_api api;
	struct http_head *http_head;
	struct http_server *http;
	struct strand_door *strands; /* of gateways below */
	struct websocket_service websockets[2];
	struct listener *listener;
	char *problem; /* why there is none */
};

/* How a device's request fails. */
static void
fail(struct http_request *req, enum http_head_error error, const char *words)
{
	static const struct {
		int status;
		const char *code;
	} rows[HTTP_HEAD_ERROR_COUNT] = {
		[HTTP_HEAD_BAD_ID] = { 400, "ArgumentInvalid" },
		[HTTP_HEAD_UNAUTHORIZED] = { 401, "IotHubUnauthorizedAccess" },
		[HTTP_HEAD_BAD_MESSAGE] = { 400, "DeserializationError" },
		[HTTP_HEAD_TOO_LARGE] = { 413, "MessageTooLarge" },
		[HTTP_HEAD_LOCK_LOST] = { 412, "DeviceMessageLockLost" },
		[HTTP_HEAD_UNAVAILABLE] = { 503, "ServiceUnavailable" },
	};

	front_fail(req, rows[error].status, rows[error].code, "%s", words);
}

static void
on_request(struct http_request *req, void *arg)
{
	struct front *front = arg;

	if (!websocket_serve(req, front->websockets) && !strand_door_serve(front->strands, req) &&
		!http_head_take(front->http_head, req) && !front_route(&front->api, req))
		front_fail(req, 404, NULL, "there is nothing at this path");
}

static bool
may_carry(void *arg, const char *gateway_id)
{
	return scope_is_gateway_below(arg, gateway_id);
}

static void
forbid(struct http_request *req, const char *words)
{
	front_fail(req, 403, "IotHubUnauthorizedAccess", "%s", words);
}

static void
make_heads(struct front *front, const struct front_config *config)
{
	struct http_head_config devices = { .ops = config->head_ops, .backend = config->backend, .fail = fail };
	struct http_server_config http = { .handle = on_request, .arg = front };

	front->http_head = http_head_new(&devices);
	front->http = http_server_new(&http);
	front->api = config->api;
	front->api.devices = front->http_head;
	front->api.turns = front_turns_new();
	front->strands = strand_door_new(&(struct strand_door_config){ .devices = front->http_head,
		.mqtt = config->mqtt_head,
		.may_carry = may_carry,
		.forbid = forbid,
		.arg = config->api.scope,
		.max_strands = config->listener.max_conns });
	front->websockets[0] = (struct websocket_service){
		.path = "*",
		.subprotocol = "mqtt",
		.ops = mqtt_head_ops(),
		.on_accept = mqtt_head_on_accept,
		.user = config->mqtt_head,
	};
}

/* Who set no port may never have needed it. */
static void
do_without(struct front *front, int port, struct err *err)
{
	front->problem = mem_textf("%s", err->text);
	*err = (struct err)ERR_INIT;
	log_warn("port %d can't be had, the gateway goes on without it: %s; devices by MQTT are not concerned, those by WebSocket "
		 "or "
		 "HTTPS, modules that call methods and gateways below this one are: [gateway] https_port names another port",
		port, front->problem);
}

struct front *
front_open(struct loop *const *loops, size_t n_loops, const struct front_config *config, struct err *err)
{
	struct listener_config listener = config->listener;
	struct front *front = NEW(front);

	make_heads(front, config);
	listener.ops = http_server_ops();
	listener.user = front->http;
	listener.on_accept = http_server_on_accept;
	activation_adopt(&listener);
	front->listener = listener_open(loops, n_loops, &listener, err);
	if (front->listener)
		return front;
	if (config->is_optional) {
		do_without(front, config->listener.port, err);
		return front;
	}
	front_free(front);
	return err_wrap_null(err, "HTTPS ([gateway] https_port)");
}

struct listener *
front_listener(struct front *front)
{
	return front->listener;
}

const char *
front_problem(const struct front *front)
{
	return front->problem;
}

int
front_port(const struct front *front)
{
	return front->listener ? listener_port(front->listener) : 0;
}

void
front_recheck(void *arg, const struct identity *changed)
{
	struct front *front = arg;

	strand_door_recheck(front->strands, changed->device_id);
}

void
front_shut(struct front *front)
{
	if (!front)
		return;
	front->api.is_stopping = true;
	if (front->listener)
		listener_close(front->listener);
}

void
front_free(struct front *front)
{
	if (!front)
		return;
	http_server_free(front->http);
	strand_door_free(front->strands);
	http_head_free(front->http_head);
	front_turns_free(front->api.turns);
	mem_free(front->problem);
	mem_free(front);
}
