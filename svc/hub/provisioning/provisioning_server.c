/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners in front of the provisioning service (provisioning_server.h). */
#include "common/activation.h"
#include "hub/provisioning/provisioning_server.h"

#include "base/mem.h"
#include "hub/provisioning/provisioning_mqtt.h"

#define PLAIN_PER_PEER_MAX 64

struct provisioning_server {
	struct provisioning *provisioning;
	struct issuing_status *status;
	struct http_server *http, *plain_http;
	struct listener *https, *mqtt, *plain;
};

static void
on_request(struct http_request *req, void *arg)
{
	struct provisioning_server *s = arg;

	if (!issuing_status_serve(s->status, req))
		provisioning_handle(req, s->provisioning);
}

/* Lists and OCSP are signed, for those who have to read them before they trust any TLS. */
static void
on_plain_request(struct http_request *req, void *arg)
{
	struct provisioning_server *s = arg;

	if (!issuing_status_serve(s->status, req))
		http_respond(req, 404, NULL, NULL, 0);
}

static int
open_https(struct provisioning_server *s, const struct provisioning_server_config *config, struct err *err)
{
	struct http_server_config http = { .handle = on_request, .arg = s };
	struct listener_config listen = config->listen;

	s->http = http_server_new(&http);
	listen.port = config->https_port;
	listen.ops = http_server_ops();
	listen.on_accept = http_server_on_accept;
	listen.user = s->http;
	activation_adopt(&listen);
	s->https = listener_open(config->loops, config->n_loops, &listen, err);
	return s->https ? 0 : err_wrap(err, "provisioning");
}

static int
open_plain(struct provisioning_server *s, const struct provisioning_server_config *config, struct err *err)
{
	struct http_server_config http = { .handle = on_plain_request, .arg = s, .max_body = EST_SERVICE_BODY_MAX };
	struct listener_config listen = config->listen;

	if (!config->has_http)
		return 0;
	s->plain_http = http_server_new(&http);
	listen.tls = NULL;
	listen.handshakes = NULL;
	listen.port = config->http_port;
	listen.ops = http_server_ops();
	listen.on_accept = http_server_on_accept;
	listen.max_per_peer = PLAIN_PER_PEER_MAX;
	listen.user = s->plain_http;
	s->plain = listener_open(config->loops, config->n_loops, &listen, err);
	return s->plain ? 0 : err_wrap(err, "HTTP");
}

static int
open_mqtt(struct provisioning_server *s, const struct provisioning_server_config *config, struct err *err)
{
	struct listener_config listen = config->listen;

	listen.port = config->mqtt_port;
	listen.ops = provisioning_mqtt_ops();
	listen.on_accept = provisioning_mqtt_on_accept;
	listen.user = s->provisioning;
	activation_adopt(&listen);
	s->mqtt = listener_open(config->loops, config->n_loops, &listen, err);
	return s->mqtt ? 0 : err_wrap(err, "provisioning over MQTT");
}

/* For the tools of its operator: where it is reached. */
static int
write_address(struct provisioning_server *s, const struct provisioning_server_config *config, struct err *err)
{
	struct registry_store *store = registry_store_of(config->provisioning.registry);

	if (registry_store_set_text(store, PROVISIONING_HOSTNAME, config->provisioning.hostname, err) < 0 ||
		registry_store_set_text(store, PROVISIONING_ID_SCOPE, provisioning_id_scope(s->provisioning), err) < 0)
		return -1;
	return registry_store_set_number(store, PROVISIONING_PORT, listener_port(s->https), err);
}

struct provisioning_server *
provisioning_server_open(const struct provisioning_server_config *config, struct err *err)
{
	struct provisioning_server *s = NEW(provisioning_server);

	s->status = config->status;
	s->provisioning = provisioning_open(&config->provisioning, err);
	if (!s->provisioning)
		(void)err_wrap(err, "provisioning");
	else if (open_https(s, config, err) == 0 && open_mqtt(s, config, err) == 0 && open_plain(s, config, err) == 0 &&
		 write_address(s, config, err) == 0)
		return s;
	provisioning_server_shut(s);
	provisioning_server_free(s);
	return NULL;
}

int
provisioning_server_https_port(const struct provisioning_server *s)
{
	return listener_port(s->https);
}

int
provisioning_server_http_port(const struct provisioning_server *s)
{
	return s->plain ? listener_port(s->plain) : 0;
}

int
provisioning_server_mqtt_port(const struct provisioning_server *s)
{
	return listener_port(s->mqtt);
}

const char *
provisioning_server_id_scope(const struct provisioning_server *s)
{
	return provisioning_id_scope(s->provisioning);
}

void
provisioning_server_shut(struct provisioning_server *s)
{
	if (!s)
		return;
	listener_close(s->https);
	listener_close(s->mqtt);
	listener_close(s->plain);
}

void
provisioning_server_stop(struct provisioning_server *s)
{
	if (s)
		provisioning_stop(s->provisioning);
}

void
provisioning_server_free(struct provisioning_server *s)
{
	if (!s)
		return;
	http_server_free(s->http);
	http_server_free(s->plain_http);
	provisioning_close(s->provisioning);
	mem_free(s);
}
