/* SPDX-License-Identifier: Apache-2.0 */
/* POST /devices/{d}/applyConfigurationContent (hub 4.5): the desired properties of all modules of a gateway at once, or of none.  Modules that are not there are
 * made, as a deployment expects, in the same transaction. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/automation/content.h"
#include "hub/rest/rest.h"
#include "hub/twins/twin.h"
#include "hub/twins/twin_store.h"
#include "wire/json.h"

struct apply {
	struct job job;
	struct rest *rest;
	struct http_request *req;
	char *device_id;
	json_t *modules;
	struct registry_call bulk; /* those that are to be made */
	struct twin_call *twins;   /* of all */
	size_t n_twins;
	enum rest_error error;
	bool good;
	struct err err;
};

static void
apply_free(struct apply *apply)
{
	for (size_t i = 0; i < apply->n_twins; i++)
		twin_call_clear(&apply->twins[i]);
	mem_free(apply->twins);
	registry_call_clear(&apply->bulk);
	mem_free(apply->device_id);
	json_decref(apply->modules);
	mem_free(apply);
}

static void
fail(struct apply *apply, enum rest_error error)
{
	apply->error = error;
	apply->good = false;
}

/* What the module's desired properties become; NULL: they cannot. */
static json_t *
desired_after(struct apply *apply, const char *module_id, json_t *entries)
{
	struct db *db = registry_store_db(registry_store_of(apply->rest->registry));
	OWN(twin) twin = twin_store_get(db, apply->device_id, module_id, &apply->err);
	OWN_LIB(json_t) desired = twin ? json_deep_copy(twin->desired.values) : NULL;
	struct twin_change change = { .replace = true };

	if (!twin) {
		fail(apply, REST_SERVER_ERROR);
		return NULL;
	}
	content_apply(desired, entries);
	change.desired = desired;
	if (twin_apply(twin, &change, clock_wall_ms(), &apply->err) < 0) {
		fail(apply, apply->err.kind == ERR_LIMIT ? REST_MESSAGE_TOO_LARGE : REST_INVALID_CONFIGURATION_CONTENT);
		return NULL;
	}
	return GIVE(desired);
}

/* -- The transaction: modules that are not there, then all twins ------------------------------------------------------------------------- */

static struct registry_call
making(const struct apply *apply, const char *module_id)
{
	struct registry_call call = {
		.op = REGISTRY_PUT, .device_id = mem_text(apply->device_id), .module_id = mem_text(module_id)
	};

	call.wanted = identity_new(apply->device_id, module_id);
	call.wanted->enabled = true;
	call.wanted->auth = IDENTITY_AUTH_NONE;
	call.wanted->managed_by = mem_text("IotEdge");
	return call;
}

static int
check_made(struct apply *apply, const struct registry_call *made)
{
	if (made->answer == REGISTRY_OK)
		return 0;
	fail(apply,
		made->answer == REGISTRY_TOO_MANY_MODULES ? REST_TOO_MANY_MODULES_ON_DEVICE : REST_INVALID_CONFIGURATION_CONTENT);
	return err_set(&apply->err, ERR_INVALID, "the module %s cannot be made", made->module_id);
}

static int
change_twin(struct apply *apply, struct twin_call *call)
{
	twins_try(apply->rest->twins, call);
	if (call->answer == TWIN_OK)
		return 0;
	fail(apply, rest_twin_error(call->answer));
	apply->err = call->err;
	return -1;
}

static int
change_all(void *arg, struct err *err)
{
	struct apply *apply = arg;

	(void)err; /* ours says it */
	for (size_t i = 0; i < apply->bulk.n_items; i++)
		if (check_made(apply, &apply->bulk.items[i]) < 0)
			return -1;
	for (size_t i = 0; i < apply->n_twins; i++)
		if (change_twin(apply, &apply->twins[i]) < 0)
			return -1;
	return 0;
}

static void
commit(struct apply *apply)
{
	struct registry *registry = apply->rest->registry;

	registry_run(registry, &apply->bulk);
	if (apply->good && apply->bulk.answer != REGISTRY_OK) {
		fail(apply, REST_SERVER_ERROR);
		apply->err = apply->bulk.err;
	}
	for (size_t i = 0; i < apply->n_twins; i++)
		twins_settle(apply->rest->twins, &apply->twins[i], apply->good ? NULL : &apply->err);
}

/* -- A call on the worker --------------------------------------------------------------------------------------------------------------------- */

static void
prepare(struct apply *apply, const char *module_id, json_t *entries)
{
	OWN(identity) there = registry_find(apply->rest->registry, apply->device_id, module_id);
	struct twin_call *twin = &apply->twins[apply->n_twins++];

	*twin = (struct twin_call){ .device_id = mem_text(apply->device_id), .module_id = mem_text(module_id), .replace = true };
	twin->desired = desired_after(apply, module_id, entries);
	if (!there)
		apply->bulk.items[apply->bulk.n_items++] = making(apply, module_id);
}

static void
run(struct job *job)
{
	struct apply *apply = CONTAINER_OF(job, struct apply, job);
	OWN(identity) device = registry_find(apply->rest->registry, apply->device_id, NULL);
	size_t n = json_object_size(apply->modules);
	const char *name;
	json_t *entries;

	apply->good = device != NULL;
	if (!device) {
		apply->error = REST_DEVICE_NOT_FOUND;
		(void)err_set(&apply->err, ERR_MISSING, "there is no device %s", apply->device_id);
		return;
	}
	apply->twins = mem_array(n, sizeof(*apply->twins));
	apply->bulk = (struct registry_call){ .op = REGISTRY_BULK, .also = change_all, .also_arg = apply };
	apply->bulk.items = mem_array(n, sizeof(*apply->bulk.items));
	json_object_foreach(apply->modules, name, entries)
		if (apply->good)
			prepare(apply, name, entries);
	if (apply->good)
		commit(apply);
}

static void
done(struct job *job)
{
	struct apply *apply = CONTAINER_OF(job, struct apply, job);

	if (apply->good)
		http_respond(apply->req, 204, NULL, NULL, 0);
	else if (apply->error == REST_SERVER_ERROR)
		rest_fail(apply->req, apply->error, "the registry could not be used");
	else
		rest_fail(apply->req, apply->error, "%s", apply->err.text);
	if (!apply->good && apply->error == REST_SERVER_ERROR)
		log_error("registry: %s", apply->err.text);
	apply_free(apply);
}

static bool
ids_are_valid(json_t *modules)
{
	const char *name;
	json_t *entries;

	json_object_foreach(modules, name, entries)
		if (!identity_id_is_valid(name))
			return false;
	return true;
}

static void
apply_content(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct err err = ERR_INIT;
	struct apply *apply;
	struct conn *conn;

	if (!body)
		return;
	if (content_check_modules(json_object_get(body, "modulesContent"), &err) < 0) {
		rest_fail(req, REST_INVALID_CONFIGURATION_CONTENT, "%s", err.text);
		return;
	}
	if (!ids_are_valid(json_object_get(body, "modulesContent"))) {
		rest_fail(req, REST_INVALID_CONFIGURATION_CONTENT, "a module's name has letters that an id has not");
		return;
	}
	conn = http_conn(req);
	apply = NEW(apply);
	apply->rest = rest;
	apply->req = req;
	apply->device_id = mem_text(ids[0]);
	apply->modules = json_incref(json_object_get(body, "modulesContent"));
	apply->job = (struct job){ .run = run, .done = done, .owner = conn ? loop_owner(conn_loop(conn)) : NULL };
	if (conn && registry_work(rest->registry, &apply->job))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	apply_free(apply);
}

const struct rest_route rest_apply_routes[] = {
	{ "POST", "devices/*/applyConfigurationContent", REST_SERVICE, AUTH_SERVICE_CONNECT, apply_content },
	{ 0 },
};
