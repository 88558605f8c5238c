/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in the store (registry_change.h).  All rules are looked at before the first byte of an item is written, so that an item that is refused leaves
 * nothing to undo; what fails after that is the database, and then nothing of the transaction stands. */
#include "hub/registry/registry_change.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/registry/registry_record.h"
#include "hub/twins/twin_store.h"

#define TICKS_1970 621355968000000000ull /* 100 ns since the year 1 */
#define KEY_LEN 32

int
registry_change_open(struct registry_change *change, struct registry_store *store, struct err *err)
{
	int64_t ticks = 0, number = 0;

	if (registry_store_get_number(store, "ticks", &ticks, err) < 0 ||
		registry_store_get_number(store, "change", &number, err) < 0)
		return -1;
	*change = (struct registry_change){ .store = store, .ticks = (uint64_t)ticks, .change = (uint64_t)number };
	return 0;
}

static void
forget_changed(struct registry_change *change)
{
	while (change->n_changed > 0) {
		struct registry_changed *last = &change->changed[--change->n_changed];

		identity_free(last->before);
		identity_free(last->after);
	}
}

void
registry_change_clear(struct registry_change *change)
{
	forget_changed(change);
	mem_free(change->changed);
	*change = (struct registry_change){ 0 };
}

static void
note(struct registry_change *change, struct identity *before_take, struct identity *after_take)
{
	if (change->n_changed == change->room) {
		change->room = change->room > 0 ? 2 * change->room : 4;
		change->changed = mem_resize(change->changed, change->room * sizeof(*change->changed));
	}
	change->changed[change->n_changed++] = (struct registry_changed){ before_take, after_take };
}

static uint64_t
next_ticks(struct registry_change *change)
{
	uint64_t now = TICKS_1970 + (uint64_t)clock_wall_ms() * 10000;

	change->ticks = now > change->ticks ? now : change->ticks + 1;
	return change->ticks;
}

/* -- Rules --------------------------------------------------------------------------------------------------------------------------- */

static int
find(struct registry_change *change, struct registry_call *call, struct identity **out)
{
	return registry_store_find(change->store, call->device_id, call->module_id, out, &call->err);
}

/* Is what the caller expects there? */
static enum registry_answer
check_match(const struct registry_call *call, const struct identity *before)
{
	enum registry_answer missing = call->module_id ? REGISTRY_NO_MODULE : REGISTRY_NO_DEVICE;

	if (call->op == REGISTRY_PUT && !call->if_match)
		return before ? REGISTRY_EXISTS : REGISTRY_OK;
	if (!before)
		return missing;
	if (!call->if_match || text_is(call->if_match, "*") || text_is(call->if_match, before->etag))
		return REGISTRY_OK;
	return REGISTRY_WRONG_ETAG;
}

static void
count_name(void *arg, const char *device_id, const char *module_id)
{
	(void)device_id;
	(void)module_id;
	++*(size_t *)arg;
}

static enum registry_answer
check_new_module(struct registry_change *change, struct registry_call *call)
{
	OWN(identity) device = NULL;
	size_t n = 0;

	if (registry_store_find(change->store, call->device_id, NULL, &device, &call->err) < 0)
		return REGISTRY_FAILED;
	if (!device)
		return REGISTRY_NO_DEVICE;
	if (*call->module_id == '$' && !record_is_system_module(call->module_id)) {
		(void)err_set(&call->err, ERR_INVALID, "names that begin with $ belong to the system");
		return REGISTRY_INVALID;
	}
	if (registry_store_modules(change->store, call->device_id, count_name, &n, &call->err) < 0)
		return REGISTRY_FAILED;
	return n >= REGISTRY_MODULES_MAX ? REGISTRY_TOO_MANY_MODULES : REGISTRY_OK;
}

/* *out: the gateway under which the record stands, or NULL. */
static int
find_parent(struct registry_change *change, const struct identity *record, struct identity **out, struct err *err)
{
	OWN_TEXT id = record_scope_device(record_parent(record));
	OWN(identity) gateway = NULL;

	*out = NULL;
	if (id && registry_store_find(change->store, id, NULL, &gateway, err) < 0)
		return -1;
	if (gateway && gateway->is_edge && text_is(gateway->scope, record_parent(record)))
		*out = GIVE(gateway);
	return 0;
}

/* From `gateway` upwards: is the record itself there, or are there too many, of which it may be one? */
static enum registry_answer
check_above(struct registry_change *change, const struct identity *gateway, const struct identity *record, struct err *err)
{
	struct identity *at = identity_ref(gateway), *up;
	enum registry_answer answer = REGISTRY_OK;

	for (int level = record->is_edge ? 2 : 1; at && answer == REGISTRY_OK; level++) {
		if (level > REGISTRY_LEVELS_MAX || text_is(at->device_id, record->device_id))
			answer = REGISTRY_BAD_SCOPE;
		else if (find_parent(change, at, &up, err) < 0)
			answer = REGISTRY_FAILED;
		else {
			identity_free(at);
			at = up;
		}
	}
	identity_free(at);
	return answer;
}

/* A parent that is new to it must be a gateway, not this device or one below it, and not too deep down, nor may it become a gateway there.  The parent it had may be gone by now: its
 * children can be changed all the same. */
static enum registry_answer
check_parent(struct registry_change *change, const struct identity *before, const struct identity *record, struct err *err)
{
	OWN(identity) gateway = NULL;

	if (!record_parent(record))
		return REGISTRY_OK;
	if (before && text_is(record_parent(before), record_parent(record)) && before->is_edge >= record->is_edge)
		return REGISTRY_OK;
	if (find_parent(change, record, &gateway, err) < 0)
		return REGISTRY_FAILED;
	return gateway ? check_above(change, gateway, record, err) : REGISTRY_BAD_SCOPE;
}

/* -- Putting ---------------------------------------------------------------------------------------------------------------------------- */

/* A gateway comes with the two modules that every runtime has. */
static int
save_system_modules(struct registry_change *change, const struct identity *device, int64_t now, struct err *err)
{
	static const char *const names[2] = { "$edgeAgent", "$edgeHub" };

	for (int i = 0; i < 2; i++) {
		OWN(identity)
		module = record_system_module(device->device_id, names[i], next_ticks(change), ++change->change, now);
		OWN(identity) before = NULL;

		if (registry_store_find(change->store, device->device_id, names[i], &before, err) < 0 ||
			registry_store_put(change->store, module, err) < 0)
			return -1;
		note(change, GIVE(before), GIVE(module));
	}
	return 0;
}

static enum registry_answer
save_twin(struct registry_change *change, struct registry_call *call, const struct identity *after)
{
	if (!call->twin)
		return REGISTRY_OK;
	if (twin_store_put_new(registry_store_db(change->store), after, call->twin, &call->err) == 0)
		return REGISTRY_OK;
	return call->err.kind == ERR_INVALID ? REGISTRY_INVALID : REGISTRY_FAILED;
}

static enum registry_answer
save(struct registry_change *change, struct registry_call *call, struct identity *before_take, struct identity *after, int64_t now)
{
	OWN(identity) before = before_take;
	bool becomes_edge = after->is_edge && !(before && before->is_edge);
	enum registry_answer answer = save_twin(change, call, after);

	if (answer != REGISTRY_OK)
		return answer;
	if (registry_store_put(change->store, after, &call->err) < 0)
		return REGISTRY_FAILED;
	note(change, GIVE(before), identity_ref(after));
	if (becomes_edge && save_system_modules(change, after, now, &call->err) < 0)
		return REGISTRY_FAILED;
	registry_call_add_found(call, identity_ref(after));
	return REGISTRY_OK;
}

static enum registry_answer
compose_and_save(struct registry_change *change, struct registry_call *call, const struct identity *wanted, struct identity *before)
{
	struct record_wish wish = { .wanted = wanted, .before = before, .keep_auth = call->keep_auth, .now = clock_wall() };
	OWN(identity) after = NULL;
	enum registry_answer answer;

	wish.ticks = next_ticks(change);
	wish.change = ++change->change;
	after = record_compose(&wish, &call->err);
	if (!after)
		return REGISTRY_INVALID;
	answer = check_parent(change, before, after, &call->err);
	return answer == REGISTRY_OK ? save(change, call, identity_ref(before), after, wish.now) : answer;
}

static enum registry_answer
put(struct registry_change *change, struct registry_call *call, struct identity *before)
{
	enum registry_answer answer = call->module_id && !before ? check_new_module(change, call) : REGISTRY_OK;

	return answer == REGISTRY_OK ? compose_and_save(change, call, call->wanted, before) : answer;
}

static enum registry_answer
rotate(struct registry_change *change, struct registry_call *call, struct identity *before)
{
	OWN(identity) wanted = NULL;
	uint8_t fresh[KEY_LEN];

	if (before->auth != IDENTITY_AUTH_SAS) {
		(void)err_set(&call->err, ERR_INVALID, "it is not authenticated by symmetric keys");
		return REGISTRY_INVALID;
	}
	wanted = identity_copy(before);
	for (unsigned i = 0; i < 2; i++) {
		if (!(call->slots & 1u << i))
			continue;
		random_bytes(fresh, sizeof(fresh));
		secret_set(&wanted->keys[i], fresh, sizeof(fresh));
		mem_wipe(fresh, sizeof(fresh));
	}
	return compose_and_save(change, call, wanted, before);
}

/* -- Removing ----------------------------------------------------------------------------------------------------------------------------- */

struct modules {
	struct registry_change *change;
	struct err *err;
	bool failed;
};

static void
note_module(void *arg, const char *device_id, const char *module_id)
{
	struct modules *modules = arg;
	struct identity *module = NULL;

	if (registry_store_find(modules->change->store, device_id, module_id, &module, modules->err) < 0)
		modules->failed = true;
	if (module)
		note(modules->change, module, NULL);
}

static enum registry_answer
drop(struct registry_change *change, struct registry_call *call, struct identity *before)
{
	struct modules modules = { .change = change, .err = &call->err };

	if (call->module_id && record_is_system_module(call->module_id))
		return REGISTRY_SYSTEM_MODULE;
	if (!call->module_id &&
		(registry_store_modules(change->store, call->device_id, note_module, &modules, &call->err) < 0 || modules.failed))
		return REGISTRY_FAILED;
	if (registry_store_remove(change->store, call->device_id, call->module_id, &call->err) < 0)
		return REGISTRY_FAILED;
	note(change, identity_ref(before), NULL);
	return REGISTRY_OK;
}

/* -- A transaction ------------------------------------------------------------------------------------------------------------------------ */

static void
run_one(struct registry_change *change, struct registry_call *call)
{
	OWN(identity) before = NULL;

	call->answer = find(change, call, &before) < 0 ? REGISTRY_FAILED : check_match(call, before);
	if (call->answer != REGISTRY_OK)
		return;
	if (call->op == REGISTRY_PUT)
		call->answer = put(change, call, before);
	else
		call->answer = call->op == REGISTRY_ROTATE ? rotate(change, call, before) : drop(change, call, before);
}

/* Of a bulk it fails what fails in the database; what is refused is the item's matter. */
static void
run_items(struct registry_change *change, struct registry_call *call)
{
	if (call->op != REGISTRY_BULK) {
		run_one(change, call);
		return;
	}
	call->answer = REGISTRY_OK;
	for (size_t i = 0; i < call->n_items && call->answer == REGISTRY_OK; i++) {
		if (call->items[i].answer != REGISTRY_OK)
			continue;
		run_one(change, &call->items[i]);
		if (call->items[i].answer == REGISTRY_FAILED) {
			call->answer = REGISTRY_FAILED;
			call->err = call->items[i].err;
		}
	}
}

static int
record_all(struct registry_change *change, struct err *err)
{
	for (size_t i = 0; i < change->n_changed && change->record; i++)
		if (change->record(change->record_arg, change->changed[i].before, change->changed[i].after, err) < 0)
			return -1;
	return 0;
}

/* What comes before the commit; 1: there is nothing to commit. */
static int
conclude(struct registry_change *change, struct registry_call *call)
{
	if (call->answer != REGISTRY_OK || (change->n_changed == 0 && !call->also))
		return 1;
	if (registry_store_set_number(change->store, "ticks", (int64_t)change->ticks, &call->err) < 0 ||
		registry_store_set_number(change->store, "change", (int64_t)change->change, &call->err) < 0)
		return -1;
	if (record_all(change, &call->err) < 0)
		return -1;
	return call->also ? call->also(call->also_arg, &call->err) : 0;
}

void
registry_change_run(struct registry_change *change, struct registry_call *call)
{
	int done;

	forget_changed(change);
	if (registry_store_begin(change->store, &call->err) < 0) {
		call->answer = REGISTRY_FAILED;
		return;
	}
	run_items(change, call);
	done = conclude(change, call);
	if (registry_store_end(change->store, done, &call->err) == 0)
		return;
	if (done != 1)
		call->answer = REGISTRY_FAILED;
	forget_changed(change);
}
