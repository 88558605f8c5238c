/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway asks about those below it (hub 5, gateway 3.3): the devices of its scope with their modules a page at a time, or one device and module.  The caller has
 * proven to be the $edgeHub of the path.  Which devices it may see follows from the registry's own parents, never from the chain that it
 * sends (atk-26).  Our extensions, which --plain-scopes turns off: an etag of the whole, the difference since such an etag, the CAs, and that this hub knows messages again
 * that come a second time (events/marks.h). */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/registry_record.h"
#include "hub/registry/scope_journal.h"
#include "hub/rest/rest.h"
#include "wire/codec.h"
#include "wire/json.h"

#define PAGE_MAX 1000
#define PAGE_DEFAULT 100

bool
rest_check_edge_hub(struct http_request *req, const char *const *ids)
{
	if (text_is(ids[1], "$edgeHub"))
		return true;
	rest_fail(req, REST_IOT_HUB_UNAUTHORIZED_ACCESS, "only $edgeHub may ask for a scope");
	return false;
}

/* With the CAs that may speak for devices: so that a gateway judges CA-signed devices as the hub does, and while it is away. */
static void
respond_scope(struct rest *rest, struct http_request *req, const char *etag, json_t *answer_take)
{
	OWN_TEXT header = etag ? mem_textf("ETag: \"%s\"", etag) : NULL;
	const char *headers[] = { header, NULL };
	OWN(authorities) cas = ca_current(rest->cas);

	if (rest->scopes) {
		json_object_set_new(answer_take, "certificateAuthorities", authorities_to_json(cas));
		json_object_set_new(answer_take, "takesMessageMarks", json_true());
	}
	http_respond_json(req, 200, headers, answer_take);
}

/* -- What has changed since ----------------------------------------------------------------------------------------------------------- */

/* true: answered; the caller has the list as it is. */
static bool
answer_unchanged(struct rest_call *call)
{
	const char *known = http_header(call->req, "If-None-Match");
	OWN_TEXT quoted = mem_textf("\"%s\"", call->etag);
	OWN_TEXT header = mem_textf("ETag: %s", quoted);
	const char *headers[] = { header, NULL };

	if (!known || !text_is(known, quoted))
		return false;
	http_respond(call->req, 304, headers, NULL, 0);
	return true;
}

static bool
is_listed(const struct identity *gateway, const struct identity *device)
{
	return text_is(device->device_id, gateway->device_id) || text_is(record_parent(device), gateway->scope);
}

/* What stands under this name in the list of the gateway now, or NULL: nothing. */
static struct identity *
find_listed(struct rest_call *call, const char *name)
{
	const char *slash = strchr(name, '/');
	OWN_TEXT device_id = slash ? mem_textn(name, (size_t)(slash - name)) : mem_text(name);
	OWN(identity) device = registry_find(call->rest->registry, device_id, NULL);

	if (!device || !is_listed(call->target, device))
		return NULL;
	return slash ? registry_find(call->rest->registry, device_id, slash + 1) : GIVE(device);
}

/* As a list that is complete, with "removed" for the names under which there is nothing any more.  false: it isn't known, and all is to be listed. */
static bool
answer_difference(struct rest_call *call, const char *since)
{
	json_t *devices, *modules, *removed;
	char **names;
	size_t n;

	if (!scope_journal_since(call->rest->scopes, call->target->device_id, since, &names, &n))
		return false;
	devices = json_array();
	modules = json_array();
	removed = json_array();
	for (size_t i = 0; i < n; i++) {
		OWN(identity) found = find_listed(call, names[i]);

		if (found)
			json_array_append_new(found->module_id ? modules : devices, rest_identity_json(call->rest, found));
		else
			json_array_append_new(removed, json_string(names[i]));
		mem_free(names[i]);
	}
	mem_free(names);
	respond_scope(call->rest, call->req, call->etag,
		json_pack("{s:o, s:o, s:o, s:n}", "devices", devices, "modules", modules, "removed", removed, "continuationLink"));
	return true;
}

/* -- A page of a gateway's scope ------------------------------------------------------------------------------------------------------ */

/* The flat API's link is a path, the nested one's is only given back to us. */
static json_t *
link_onward(const struct rest_call *call)
{
	CLEAR(buf) link = BUF_INIT(4096);
	const char *last;

	if (!call->registry.more || call->registry.n_found == 0)
		return json_null();
	last = call->registry.found[call->registry.n_found - 1]->device_id;
	if (call->is_nested)
		return json_string(last);
	buf_puts(&link, "/devices/");
	percent_encode(&link, call->ids[0], strlen(call->ids[0]));
	buf_puts(&link, "/modules/");
	percent_encode(&link, call->ids[1], strlen(call->ids[1]));
	buf_putf(&link, "/devicesAndModulesInDeviceScope?deviceCount=%lld&continuationToken=", (long long)call->max);
	percent_encode(&link, last, strlen(last));
	buf_puts(&link, "&api-version=2018-08-30-preview");
	return json_string(buf_text(&link));
}

static void
answer_children(struct rest_call *call)
{
	json_t *devices = json_array(), *modules = call->modules ? json_incref(call->modules) : json_array();

	if (call->registry.answer == REGISTRY_OK) {
		if (!call->after) /* the gateway itself stands on the first page */
			json_array_append_new(devices, rest_identity_json(call->rest, call->target));
		for (size_t i = 0; i < call->registry.n_found; i++)
			json_array_append_new(call->registry.found[i]->module_id ? modules : devices,
				rest_identity_json(call->rest, call->registry.found[i]));
		respond_scope(call->rest, call->req, call->etag,
			json_pack(
				"{s:O, s:O, s:o}", "devices", devices, "modules", modules, "continuationLink", link_onward(call)));
	} else {
		rest_identity_fail(call);
	}
	json_decref(devices);
	json_decref(modules);
	rest_call_free(call);
}

static void
ask_children(struct rest_call *call)
{
	registry_call_clear(&call->registry);
	call->registry.op = REGISTRY_LIST_CHILDREN;
	call->registry.scope = mem_text(call->target->scope);
	call->registry.after = mem_text(call->after);
	call->registry.max = call->max;
	call->registry.with_modules = true;
	rest_call_submit(call, answer_children);
}

static void
answer_modules(struct rest_call *call)
{
	if (call->registry.answer != REGISTRY_OK) {
		rest_identity_fail(call);
		rest_call_free(call);
		return;
	}
	call->modules = rest_identities_json(call->rest, call->registry.found, call->registry.n_found);
	ask_children(call);
}

/* The modules of the gateway come with the first page, as do answers that make the others needless. */
static void
list_scope(struct rest_call *call, const char *after, const char *since, int64_t max)
{
	call->max = max;
	call->after = after && *after ? mem_text(after) : NULL;
	if (call->after) {
		ask_children(call);
		return;
	}
	if (call->etag && (answer_unchanged(call) || (since && answer_difference(call, since)))) {
		rest_call_free(call);
		return;
	}
	call->registry.op = REGISTRY_LIST_MODULES;
	call->registry.device_id = mem_text(call->target->device_id);
	rest_call_submit(call, answer_modules);
}

/* Before anything of the list is read. */
static char *
etag_of(const struct rest *rest, const char *gateway_id)
{
	return rest->scopes ? scope_journal_etag(rest->scopes, gateway_id) : NULL;
}

/* The gateway whose scope is asked for: the caller or a gateway below it. */
static struct identity *
find_gateway(struct rest *rest, struct http_request *req, const char *id, const char *actor)
{
	OWN(identity) gateway = registry_find(rest->registry, id, NULL);

	if (!gateway || !gateway->is_edge) {
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no gateway %s", id);
		return NULL;
	}
	if (!registry_is_below(rest->registry, gateway->device_id, actor)) {
		rest_fail(req, REST_GENERIC_FORBIDDEN, "%s is not below %s", id, actor);
		return NULL;
	}
	return GIVE(gateway);
}

static void
list(struct rest *rest, struct http_request *req, const char *const *ids)
{
	const char *count = http_query(req, "deviceCount");
	int64_t max = PAGE_DEFAULT;
	OWN_TEXT etag = etag_of(rest, ids[0]);
	struct identity *gateway;
	struct rest_call *call;

	if (!rest_check_edge_hub(req, ids))
		return;
	if (count && !text_to_i64(count, 1, PAGE_MAX, &max)) {
		rest_fail(req, REST_DEVICE_INVALID_RESULT_COUNT, "deviceCount must be a number from 1 to %d", PAGE_MAX);
		return;
	}
	gateway = find_gateway(rest, req, ids[0], ids[0]);
	if (!gateway)
		return;
	call = rest_call_new(rest, req, ids);
	call->target = gateway;
	call->etag = GIVE(etag);
	list_scope(call, http_query(req, "continuationToken"), http_query(req, "since"), max);
}

/* -- The nested form: the same with a chain "target;...;actor" -------------------------------------------------------------------- */

/* The device at the head of the chain, whose last element must be the caller.  NULL: answered. */
char *
rest_chain_head(struct http_request *req, const char *chain, const char *actor)
{
	const char *last = strrchr(chain, ';');
	struct slice rest = slice_of(chain), head, device;

	if (!text_is(last ? last + 1 : chain, actor)) {
		rest_fail(req, REST_IOT_HUB_UNAUTHORIZED_ACCESS, "the authChain does not end with the caller");
		return NULL;
	}
	slice_cut(&rest, ';', &head);
	slice_cut(&head, '/', &device);
	return slice_text(device);
}

static void
list_nested(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_check_edge_hub(req, ids) ? rest_body(req) : NULL;
	const char *chain = NULL, *after = NULL, *since = NULL;
	struct err err = ERR_INIT;
	int64_t max = PAGE_DEFAULT;
	OWN_TEXT head = NULL;
	OWN_TEXT etag = NULL;
	struct identity *gateway;
	struct rest_call *call;

	if (!body)
		return;
	if (json_get_text(body, "authChain", &chain, &err) < 0 || json_find_text(body, "continuationLink", &after, &err) < 0 ||
		json_find_text(body, "since", &since, &err) < 0 || json_find_int(body, "pageSize", &max, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	if (max < 1 || max > PAGE_MAX) {
		rest_fail(req, REST_DEVICE_INVALID_RESULT_COUNT, "pageSize must be a number from 1 to %d", PAGE_MAX);
		return;
	}
	head = rest_chain_head(req, chain, ids[0]);
	etag = head ? etag_of(rest, head) : NULL;
	gateway = head ? find_gateway(rest, req, head, ids[0]) : NULL;
	if (!gateway)
		return;
	call = rest_call_new(rest, req, ids);
	call->target = gateway;
	call->etag = GIVE(etag);
	call->is_nested = true;
	list_scope(call, after, since, max);
}

/* -- One device, and perhaps a module of it --------------------------------------------------------------------------------------- */

static void
respond_one(struct rest *rest, struct http_request *req, const char *device_id, const char *module_id, const char *actor)
{
	OWN(identity) device = registry_find(rest->registry, device_id, NULL);
	OWN(identity) module = module_id ? registry_find(rest->registry, device_id, module_id) : NULL;

	if (!device) {
		rest_fail(req, REST_DEVICE_NOT_FOUND, "there is no device %s", device_id);
		return;
	}
	if (!registry_is_below(rest->registry, device->device_id, actor)) {
		rest_fail(req, REST_GENERIC_FORBIDDEN, "%s is not below %s", device_id, actor);
		return;
	}
	if (module_id && !module) {
		rest_fail(req, REST_MODULE_NOT_FOUND, "there is no module %s on device %s", module_id, device_id);
		return;
	}
	respond_scope(rest, req, NULL,
		json_pack("{s:[o], s:o, s:n}", "devices", rest_identity_json(rest, device), "modules",
			module ? json_pack("[o]", rest_identity_json(rest, module)) : json_array(), "continuationLink"));
}

static bool
ids_are_valid(struct http_request *req, const char *device_id, const char *module_id)
{
	if (device_id && identity_id_is_valid(device_id) && (!module_id || identity_id_is_valid(module_id)))
		return true;
	rest_fail(req, REST_ARGUMENT_INVALID, "targetDeviceId and targetModuleId must be ids");
	return false;
}

static void
get(struct rest *rest, struct http_request *req, const char *const *ids)
{
	const char *device_id = http_query(req, "targetDeviceId"), *module_id = http_query(req, "targetModuleId");

	if (module_id && !*module_id)
		module_id = NULL;
	if (rest_check_edge_hub(req, ids) && ids_are_valid(req, device_id, module_id))
		respond_one(rest, req, device_id, module_id, ids[0]);
}

static void
get_nested(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_check_edge_hub(req, ids) ? rest_body(req) : NULL;
	const char *chain = NULL, *device_id = NULL, *module_id = NULL;
	struct err err = ERR_INIT;
	OWN_TEXT head = NULL;

	if (!body)
		return;
	if (json_get_text(body, "authChain", &chain, &err) < 0 || json_get_text(body, "targetDeviceId", &device_id, &err) < 0 ||
		json_find_text(body, "targetModuleId", &module_id, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	if (module_id && !*module_id)
		module_id = NULL;
	head = rest_chain_head(req, chain, ids[0]);
	if (head && ids_are_valid(req, device_id, module_id))
		respond_one(rest, req, device_id, module_id, ids[0]);
}

const struct rest_route rest_scope_routes[] = {
	{ "GET", "devices/*/modules/*/devicesAndModulesInDeviceScope", REST_GATEWAY, 0, list },
	{ "GET", "devices/*/modules/*/deviceAndModuleInDeviceScope", REST_GATEWAY, 0, get },
	{ "POST", "devices/*/modules/*/devicesAndModulesInTargetDeviceScope", REST_GATEWAY, 0, list_nested },
	{ "POST", "devices/*/modules/*/getDeviceAndModuleOnBehalfOf", REST_GATEWAY, 0, get_nested },
	{ 0 },
};
