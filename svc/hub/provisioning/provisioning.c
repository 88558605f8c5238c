/* SPDX-License-Identifier: Apache-2.0 */
/* The provisioning service: what it keeps for itself, and the way of a request to its handler and back (provisioning.h). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/provisioning/provisioning_inside.h"
#include "hub/provisioning/provisioning_mqtt.h"
#include "hub/provisioning/pursuit.h"
#include "hub/provisioning/registration.h"
#include "pki/chain.h"
#include "wire/json.h"

#define TEXT_MAX 512

/* -- Opening ---------------------------------------------------------------------------------------------------------------------- */

static int
make_owner(struct registry_store *store, struct err *err)
{
	struct secret keys[2] = { 0 };
	int done;

	for (int i = 0; i < 2; i++)
		policy_make_key(&keys[i]);
	done = registry_store_put_policy(store, PROVISIONING_OWNER, PROVISIONING_ALL, keys, err);
	secret_clear(&keys[0]);
	secret_clear(&keys[1]);
	return done;
}

int
provisioning_prepare(struct registry_store *store, bool alone, struct err *err)
{
	OWN(policies) policies = alone ? policies_read(store, err) : policies_load(store, err);

	if (!policies)
		return -1;
	return policies_find(policies, PROVISIONING_OWNER) ? 0 : make_owner(store, err);
}

static int
open_id_scope(struct provisioning *p, struct registry_store *store, struct err *err)
{
	if (p->config.id_scope) {
		p->id_scope = mem_text(p->config.id_scope);
		return 0;
	}
	if (registry_store_get_text(store, "id_scope", &p->id_scope, err) < 0)
		return -1;
	if (p->id_scope)
		return 0;
	p->id_scope = mem_textf("0ne%08X", (unsigned)random_u64());
	return registry_store_set_text(store, "id_scope", p->id_scope, err);
}

/* Our hub may have got another name: its devices have not moved. */
static int
follow_name(struct provisioning *p, struct registry_store *store, struct err *err)
{
	OWN_TEXT before = NULL;

	if (registry_store_get_text(store, "provisioning_hub", &before, err) < 0)
		return -1;
	if (text_is(before, p->config.hub))
		return 0;
	if (before && registration_rename_hub(registry_store_db(store), before, p->config.hub, err) < 0)
		return -1;
	return registry_store_set_text(store, "provisioning_hub", p->config.hub, err);
}

/* The C# SDK asks for the root, all others as at the hub (hub 6.2). */
static void
open_websockets(struct provisioning *p)
{
	static const char *const paths[] = { "/$iothub/websocket", "/" };

	for (size_t i = 0; i < COUNT(paths); i++)
		p->websockets[i] = (struct websocket_service){ .path = paths[i],
			.subprotocol = "mqtt",
			.ops = provisioning_mqtt_ops(),
			.on_accept = provisioning_mqtt_on_accept,
			.user = p };
}

bool
provisioning_scope_is_valid(const char *scope)
{
	size_t len = strlen(scope);

	for (size_t i = 0; i < len; i++)
		if (!((scope[i] >= 'a' && scope[i] <= 'z') || (scope[i] >= 'A' && scope[i] <= 'Z') ||
			    (scope[i] >= '0' && scope[i] <= '9')))
			return false;
	return len > 0 && len <= PROVISIONING_SCOPE_MAX;
}

static int
open_hubs(struct provisioning *p, struct err *err)
{
	struct certs roots = { 0 };

	if (!p->config.hubs_ca_path)
		return 0;
	if (certs_load(&roots, p->config.hubs_ca_path, CERTS_MAX, err) < 0)
		return -1;
	p->hub_anchors = anchors_new(&roots, err);
	certs_clear(&roots);
	return p->hub_anchors ? 0 : -1;
}

static int
open_cas(struct provisioning *p, struct err *err)
{
	p->cas = ca_open(p->config.registry, CA_OF_PROVISIONING, NULL, err);
	return p->cas ? 0 : -1;
}

struct provisioning *
provisioning_open(const struct provisioning_config *config, struct err *err)
{
	struct provisioning *p = NEW(provisioning);
	struct registry_store *store = registry_store_of(config->registry);

	p->config = *config;
	open_websockets(p);
	pthread_mutex_init(&p->lock, NULL);
	if (open_id_scope(p, store, err) == 0 && follow_name(p, store, err) == 0 && open_hubs(p, err) == 0 &&
		open_cas(p, err) == 0 && pursuits_open(p, err) == 0)
		return p;
	provisioning_close(p);
	return NULL;
}

void
provisioning_stop(struct provisioning *p)
{
	if (!p)
		return;
	p->stopping = true;
	pursuits_stop(p);
}

void
provisioning_close(struct provisioning *p)
{
	if (!p)
		return;
	provisioning_stop(p);
	pursuits_close(p);
	anchors_free(p->hub_anchors);
	enrollment_groups_clear(&p->groups);
	ca_close(p->cas);
	pthread_mutex_destroy(&p->lock);
	mem_free(p->id_scope);
	mem_free(p);
}

const char *
provisioning_id_scope(const struct provisioning *p)
{
	return p->id_scope;
}

/* -- Answers ---------------------------------------------------------------------------------------------------------------------- */

json_t *
provisioning_error(int number, const char *fmt, va_list args)
{
	char text[TEXT_MAX], id[RANDOM_UUID_LEN], when[CLOCK_TEXT_LEN];

	vsnprintf(text, sizeof(text), fmt, args);
	text_repair_utf8(text);
	return json_pack("{s:i, s:s, s:s, s:s}", "errorCode", number, "trackingId", random_uuid(id), "message", text,
		"timestampUtc", clock_text(clock_wall(), when));
}

int
provisioning_retry_after_s(int number)
{
	return number / 1000 == 429 || number / 1000 == 503 ? 5 : 0;
}

void
provisioning_fail(struct provisioning_call *call, int number, const char *fmt, ...)
{
	OWN_TEXT code = mem_textf("x-ms-error-code: %d", number);
	OWN_TEXT again = mem_textf("Retry-After: %d", provisioning_retry_after_s(number));
	const char *headers[] = { code, provisioning_retry_after_s(number) ? again : NULL, NULL };
	json_t *body;
	va_list args;

	va_start(args, fmt);
	body = provisioning_error(number, fmt, args);
	va_end(args);
	http_respond_json(call->req, number / 1000, headers, body);
}

void
provisioning_fail_broken(struct provisioning_call *call, const struct err *err)
{
	log_error("provisioning: %s", err->text);
	if (err->kind == ERR_UNAVAILABLE)
		provisioning_fail(call, 503001, "the service can't write now");
	else
		provisioning_fail(call, 500001, "internal error");
}

json_t *
provisioning_body(struct provisioning_call *call)
{
	struct err err = ERR_INIT;
	size_t len;
	const void *data = http_body(call->req, &len);
	json_t *body = json_parse(data, len, &err);

	if (body && json_is_object(body))
		return body;
	provisioning_fail(call, 400004, "%s", body ? "the body is not a JSON object" : err.text);
	json_decref(body);
	return NULL;
}

char *
provisioning_if_match(const struct http_request *req)
{
	const char *text = http_header(req, "If-Match");
	size_t len = text ? strlen(text) : 0;

	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return mem_textn(text + 1, len - 2);
	return len > 0 ? mem_text(text) : NULL;
}

struct db *
provisioning_db(const struct provisioning_call *call)
{
	return registry_store_db(registry_store_of(call->provisioning->config.registry));
}

/* -- Routes ----------------------------------------------------------------------------------------------------------------------- */

static const struct provisioning_route *
find_route(struct provisioning_call *call)
{
	static const struct provisioning_route *const tables[] = { provisioning_service_routes, provisioning_registration_routes,
		provisioning_hub_routes, provisioning_policy_routes, provisioning_ca_routes, provisioning_device_routes };

	for (size_t i = 0; i < COUNT(tables); i++)
		for (const struct provisioning_route *route = tables[i]; route->method; route++)
			if (text_is(route->method, http_method(call->req)) &&
				http_path_fits(call->req, route->path, call->ids, COUNT(call->ids)))
				return route;
	return NULL;
}

bool
provisioning_caller_may(struct provisioning_call *call, unsigned right)
{
	const char *token = http_header(call->req, "Authorization");
	OWN(policies) policies = policy_keeper_current(call->provisioning->config.policies);
	OWN(verdict) v = auth_decide_service(call->provisioning->config.hostname, http_segment(call->req, 0), token ? token : "",
		policies->row, policies->n, right, clock_wall());

	if (verdict_accepted(v))
		return true;
	service_log_verdict(v);
	provisioning_fail(call, 401000, "Unauthorized");
	return false;
}

bool
provisioning_ask(struct provisioning *provisioning, struct job *job)
{
	if (atomic_fetch_add(&provisioning->n_questions, 1) < PROVISIONING_QUESTIONS_MAX &&
		registry_work(provisioning->config.registry, job))
		return true;
	provisioning_asked(provisioning);
	return false;
}

void
provisioning_asked(struct provisioning *provisioning)
{
	atomic_fetch_sub(&provisioning->n_questions, 1);
}

static void
call_free(struct provisioning_call *call)
{
	certs_clear(&call->chain);
	mem_free(call);
}

static void
run(struct job *job)
{
	struct provisioning_call *call = CONTAINER_OF(job, struct provisioning_call, job);

	call->route->handle(call);
}

static void
done(struct job *job)
{
	struct provisioning_call *call = CONTAINER_OF(job, struct provisioning_call, job);

	if (call->route->right == 0)
		provisioning_asked(call->provisioning);
	call_free(call);
}

static bool
submit(struct provisioning_call *call)
{
	return call->route->right == 0 ? provisioning_ask(call->provisioning, &call->job)
				       : registry_work(call->provisioning->config.registry, &call->job);
}

static void
handle(struct http_request *req, struct provisioning *provisioning)
{
	struct provisioning_call *call = NEW(provisioning_call);
	struct conn *conn = http_conn(req);

	call->provisioning = provisioning;
	call->req = req;
	call->route = find_route(call);
	if (!call->route) {
		provisioning_fail(call, 404000, "there is nothing at this path");
	} else if (!http_query(req, "api-version")) {
		provisioning_fail(call, 400001, "the api-version is missing");
	} else if (call->route->right == 0 || provisioning_caller_may(call, call->route->right)) {
		if (conn)
			call->chain = conn_peer_chain(conn);
		call->job = (struct job){ .run = run, .done = done, .owner = conn ? loop_owner(conn_loop(conn)) : NULL };
		if (conn && submit(call))
			return;
		provisioning_fail(call, 429001, "too many requests wait; try again");
	}
	call_free(call);
}

void
provisioning_handle(struct http_request *req, void *provisioning)
{
	struct provisioning *p = provisioning;

	if (!websocket_serve(req, p->websockets))
		handle(req, p);
}
