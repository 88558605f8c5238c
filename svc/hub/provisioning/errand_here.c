/* SPDX-License-Identifier: Apache-2.0 */
/* Errands in our own hub (errand.h). */
#include "base/mem.h"
#include "hub/provisioning/errand.h"
#include "hub/provisioning/provisioned_device.h"
#include "hub/twins/twin_store.h"

void
errand_clear(struct errand *errand)
{
	mem_free(errand->device_id);
	identity_free(errand->wanted);
	json_decref(errand->twin);
	identity_free(errand->found);
	json_decref(errand->found_twin);
	*errand = (struct errand){ 0 };
}

static void
read_here(struct errand *errand, struct registry *registry)
{
	OWN(twin) twin = NULL;

	errand->found = registry_find(registry, errand->device_id, NULL);
	if (!errand->found)
		return;
	twin = twin_store_get(registry_store_db(registry_store_of(registry)), errand->device_id, NULL, &errand->err);
	if (twin)
		errand->found_twin = json_pack("{s:O, s:{s:O, s:O}}", "tags", twin->tags, "properties", "desired",
			twin->desired.values, "reported", twin->reported.values);
	else
		errand->end = ERRAND_LATER;
}

static void
run_call(struct errand *errand, struct registry *registry, struct registry_call *call)
{
	registry_run(registry, call);
	if (call->answer == REGISTRY_FAILED) {
		errand->end = ERRAND_LATER;
		errand->err = call->err;
	} else if (call->answer != REGISTRY_OK && call->answer != REGISTRY_NO_DEVICE) {
		errand->end = ERRAND_REFUSED;
		(void)err_set(&errand->err, ERR_CONFLICT, "the hub refuses the device: %s", call->err.text);
	}
	registry_call_clear(call);
}

bool
errand_may_make_here(struct errand *errand, struct registry *registry)
{
	OWN(identity) before = registry_find(registry, errand->device_id, NULL);

	errand->was_there = before != NULL;
	if (!before || errand->owned || provisioned_device_is_same(before, errand->wanted))
		return true;
	errand->end = ERRAND_REFUSED;
	(void)err_set(&errand->err, ERR_CONFLICT, "the hub has a device of this id that was not provisioned here");
	return false;
}

static void
make_here(struct errand *errand, struct registry *registry)
{
	OWN(identity) before = registry_find(registry, errand->device_id, NULL);
	struct registry_call put = { .op = REGISTRY_PUT };

	if (!errand_may_make_here(errand, registry) || (before && provisioned_device_is_same(before, errand->wanted)))
		return;
	put.device_id = mem_text(errand->device_id);
	put.wanted = before ? provisioned_device_renewed(before, errand->wanted) : identity_ref(errand->wanted);
	put.twin = before ? NULL : json_incref(errand->twin);
	put.if_match = before ? mem_text(before->etag) : NULL;
	run_call(errand, registry, &put);
}

static void
remove_here(struct errand *errand, struct registry *registry)
{
	struct registry_call call = { .op = REGISTRY_REMOVE, .device_id = mem_text(errand->device_id) };

	run_call(errand, registry, &call);
}

void
errand_run_here(struct errand *errand, struct registry *registry)
{
	static void (*const run[])(struct errand * errand, struct registry * registry) = {
		[ERRAND_READ] = read_here, [ERRAND_MAKE] = make_here, [ERRAND_REMOVE] = remove_here
	};

	errand->end = ERRAND_DONE;
	run[errand->kind](errand, registry);
}
