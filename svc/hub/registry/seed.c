/* SPDX-License-Identifier: Apache-2.0 */
/* Many devices into the state folder of a hub that is stopped (client.h): the same rules as over REST, a few thousand in a transaction.  The event log's
 * lock keeps a hub from starting meanwhile. */
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/client.h"
#include "hub/registry/registry_change.h"
#include "store/event_log.h"
#include "wire/json.h"

#define BATCH 2000

struct hub_seed {
	int lock_fd; /* of the event log */
	struct registry_store *store;
	struct registry_change change;
	struct registry_call batch; /* BULK */
	uint64_t lines[BATCH];
	bool update;
	struct hub_seed_counts counts;
	void (*refused)(void *arg, uint64_t line, const char *why);
	void *arg;
	char *parent, *parent_scope; /* the last one: children come together */
};

static int
open_state(struct hub_seed *seed, const char *state_dir, struct err *err)
{
	OWN_TEXT events_path = hub_client_events_path(state_dir);
	OWN_TEXT store_path = hub_client_store_path(state_dir);

	if (file_make_dir(state_dir, 0700, err) < 0)
		return -1;
	seed->lock_fd = event_log_keep_out(events_path, err);
	if (seed->lock_fd < 0 && err->kind == ERR_CONFLICT)
		return err_set(err, ERR_CONFLICT,
			"a hub runs on %s: stop it first (systemctl stop rootedge-hub), or give devices to the running one by POST "
			"/devices, 100 "
			"a request",
			state_dir);
	if (seed->lock_fd < 0)
		return -1;
	seed->store = registry_store_open(store_path, err);
	if (!seed->store || registry_store_expect_many(seed->store, err) < 0)
		return -1;
	return registry_change_open(&seed->change, seed->store, err);
}

struct hub_seed *
hub_seed_open(
	const char *state_dir, bool update, void (*refused)(void *arg, uint64_t line, const char *why), void *arg, struct err *err)
{
	struct hub_seed *seed = NEW(hub_seed);

	seed->lock_fd = -1;
	seed->update = update;
	seed->refused = refused;
	seed->arg = arg;
	seed->batch.op = REGISTRY_BULK;
	seed->batch.items = mem_array(BATCH, sizeof(*seed->batch.items));
	if (open_state(seed, state_dir, err) == 0)
		return seed;
	hub_seed_close(seed);
	return NULL;
}

void
hub_seed_close(struct hub_seed *seed)
{
	if (!seed)
		return;
	registry_call_clear(&seed->batch);
	registry_change_clear(&seed->change);
	registry_store_close(seed->store);
	if (seed->lock_fd >= 0)
		close(seed->lock_fd);
	mem_free(seed->parent);
	mem_free(seed->parent_scope);
	mem_free(seed);
}

struct hub_seed_counts
hub_seed_counts(const struct hub_seed *seed)
{
	return seed->counts;
}

static void
refuse(struct hub_seed *seed, uint64_t line, const char *why)
{
	seed->counts.refused++;
	seed->refused(seed->arg, line, why);
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------ */

static void
settle(struct hub_seed *seed, const struct registry_call *item, uint64_t line)
{
	static const char *const said[] = {
		[REGISTRY_NO_DEVICE] = "there is no such device",
		[REGISTRY_TOO_MANY_MODULES] = "the device has as many modules as it can have",
		[REGISTRY_BAD_SCOPE] = "the parent scope is not that of a gateway that can be above this device",
	};
	const char *why = item->answer < COUNT(said) ? said[item->answer] : NULL;

	switch (item->answer) {
	case REGISTRY_OK:
		seed->counts.updated += item->if_match ? 1 : 0;
		seed->counts.created += item->if_match ? 0 : 1;
		break;
	case REGISTRY_EXISTS:
		seed->counts.existing++;
		break;
	default:
		refuse(seed, line, why ? why : item->err.text);
	}
}

int
hub_seed_flush(struct hub_seed *seed, struct err *err)
{
	struct registry_call *batch = &seed->batch;

	if (batch->n_items == 0)
		return 0;
	registry_change_run(&seed->change, batch);
	if (batch->answer != REGISTRY_OK) {
		*err = batch->err;
		return -1;
	}
	for (size_t i = 0; i < batch->n_items; i++) {
		settle(seed, &batch->items[i], seed->lines[i]);
		registry_call_clear(&batch->items[i]);
	}
	batch->n_items = 0;
	return 0;
}

/* -- Reading one ---------------------------------------------------------------------------------------------------------------------- */

static int
find_parent(struct hub_seed *seed, const char *id, struct identity **gateway, struct err *err)
{
	if (registry_store_find(seed->store, id, NULL, gateway, err) < 0)
		return -1;
	if (*gateway)
		return 0;
	/* It may be among those that wait. */
	return hub_seed_flush(seed, err) < 0 ? -1 : registry_store_find(seed->store, id, NULL, gateway, err);
}

/* "parent": the id of a gateway, in place of its scope.  -1 with ERR_INVALID: it is none. */
static int
take_parent(struct hub_seed *seed, json_t *json, struct err *err)
{
	OWN(identity) gateway = NULL;
	const char *id = NULL;

	if (json_find_text(json, "parent", &id, err) < 0)
		return -1;
	if (!id || !*id)
		return 0;
	if (!text_is(id, seed->parent)) {
		if (find_parent(seed, id, &gateway, err) < 0)
			return -1;
		if (!gateway || !gateway->is_edge)
			return err_set(err, ERR_INVALID, "its parent %.128s is no gateway", id);
		mem_free(seed->parent);
		mem_free(seed->parent_scope);
		seed->parent = mem_text(id);
		seed->parent_scope = mem_text(gateway->scope);
	}
	json_object_set_new(json, "parentScopes", json_pack("[s]", seed->parent_scope));
	return 0;
}

static int
take_match(struct hub_seed *seed, struct registry_call *item, struct err *err)
{
	OWN(identity) before = NULL;

	if (!seed->update)
		return 0;
	if (registry_store_find(seed->store, item->device_id, item->module_id, &before, err) < 0)
		return -1;
	item->if_match = before ? mem_text("*") : NULL;
	return 0;
}

static int
take(struct hub_seed *seed, struct registry_call *item, json_t *json, struct err *err)
{
	if (!json_is_object(json))
		return err_set(err, ERR_INVALID, "it is not an object");
	if (!json_object_get(json, "deviceId") && json_object_get(json, "id"))
		json_object_set(json, "deviceId", json_object_get(json, "id"));
	if (take_parent(seed, json, err) < 0 || registry_call_read_twin(item, json, err) < 0)
		return -1;
	item->op = REGISTRY_PUT;
	item->keep_auth = !json_is_object(json_object_get(json, "authentication"));
	item->wanted = identity_from_json(json, err);
	if (!item->wanted)
		return -1;
	item->device_id = mem_text(item->wanted->device_id);
	item->module_id = mem_text(item->wanted->module_id);
	return take_match(seed, item, err);
}

int
hub_seed_put(struct hub_seed *seed, json_t *json, uint64_t line, struct err *err)
{
	struct registry_call item = { 0 };
	struct err why = ERR_INIT;

	if (take(seed, &item, json, &why) < 0) {
		registry_call_clear(&item);
		if (why.kind != ERR_INVALID && why.kind != ERR_LIMIT) {
			*err = why;
			return -1;
		}
		refuse(seed, line, why.text);
		return 0;
	}
	seed->lines[seed->batch.n_items] = line;
	seed->batch.items[seed->batch.n_items++] = item;
	return seed->batch.n_items < BATCH ? 0 : hub_seed_flush(seed, err);
}
