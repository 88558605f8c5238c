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
read_here(struct errand *errand, struct registry *registry, struct rotation_keeper *rotations)
{
	OWN(twin) twin = NULL;

	(void)rotations;
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

/* A device with a certificate keeps it until the new one was used, and for a while after that. */
static void
rotate_here(struct errand *errand, struct rotation_keeper *rotations)
{
	struct rotation_call offer = {
		.device_id = mem_text(errand->device_id), .thumbprint = mem_text(errand->wanted->thumbprints[0]), .renews = true
	};

	rotation_keeper_run_offer(rotations, &offer);
	if (offer.failed)
		errand->err = offer.err;
	else if (offer.is_unknown || (offer.answer != ROTATION_OK && offer.answer != ROTATION_IS_THERE))
		(void)err_set(&errand->err, ERR_CONFLICT, "%s was changed meanwhile", errand->device_id);
	if (errand->err.kind != ERR_NONE)
		errand->end = ERRAND_LATER;
	rotation_call_clear(&offer);
}

static bool
has_certificate(const struct identity *device)
{
	return device->auth == IDENTITY_AUTH_THUMBPRINT && (device->thumbprints[0] || device->thumbprints[1]);
}

static void
make_here(struct errand *errand, struct registry *registry, struct rotation_keeper *rotations)
{
	OWN(identity) before = registry_find(registry, errand->device_id, NULL);
	struct registry_call put = { .op = REGISTRY_PUT };

	if (!errand_may_make_here(errand, registry) || (before && provisioned_device_is_same(before, errand->wanted)))
		return;
	if (before && errand->rotates && has_certificate(before)) {
		rotate_here(errand, rotations);
		return;
	}
	put.device_id = mem_text(errand->device_id);
	put.wanted = before ? provisioned_device_renewed(before, errand->wanted) : identity_ref(errand->wanted);
	put.twin = before ? NULL : json_incref(errand->twin);
	put.if_match = before ? mem_text(before->etag) : NULL;
	run_call(errand, registry, &put);
}

static void
remove_here(struct errand *errand, struct registry *registry, struct rotation_keeper *rotations)
{
	struct registry_call call = { .op = REGISTRY_REMOVE, .device_id = mem_text(errand->device_id) };

	(void)rotations;
	run_call(errand, registry, &call);
}

void
errand_run_here(struct errand *errand, struct registry *registry, struct rotation_keeper *rotations)
{
	static void (*const run[])(struct errand * errand, struct registry * registry, struct rotation_keeper * rotations) = {
		[ERRAND_READ] = read_here, [ERRAND_MAKE] = make_here, [ERRAND_REMOVE] = remove_here
	};

	errand->end = ERRAND_DONE;
	run[errand->kind](errand, registry, rotations);
}
