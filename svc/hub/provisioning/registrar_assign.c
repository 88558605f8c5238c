/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a device in a hub.
 *
 * The order of writing: first the registration claims the device id, then the hub's record is made or changed, then the registration is assigned.  What a kill leaves is
 * gone on with by the next register, with the same device and the same keys, because all of it follows from the enrollment.
 *
 * A device of the hub that no registration has claimed is somebody's own: it is taken over only when it trusts exactly what the enrollment says (atk-17). */
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/provisioning/assignment.h"
#include "hub/provisioning/hub_choice.h"
#include "hub/provisioning/provisioned_device.h"
#include "hub/provisioning/registrar_inside.h"

/* -- The device in our hub ---------------------------------------------------------------------------------------------------------- */

static int
put_device(struct registrar_call *call, const struct enrollment *e, struct identity *wanted_take, const struct identity *before)
{
	struct registry_call put = {
		.op = REGISTRY_PUT,
		.device_id = mem_text(wanted_take->device_id),
		.wanted = wanted_take,
		.twin = before ? NULL : json_incref(json_object_get(e->wishes, "initialTwin")),
		.if_match = before ? mem_text(before->etag) : NULL,
	};
	int wrong = 0;

	registry_run(call->provisioning->config.registry, &put);
	if (put.answer == REGISTRY_FAILED) {
		registrar_fail_broken(call, &put.err);
		wrong = 1;
	} else if (put.answer != REGISTRY_OK) {
		registrar_fail(call, REGISTRAR_CONFLICT, "the hub refuses the device: %s", put.err.text);
		wrong = 1;
	}
	registry_call_clear(&put);
	return wrong;
}

/* -- Registering -------------------------------------------------------------------------------------------------------------------- */

static void
set_text(char **field, char *value_take)
{
	mem_free(*field);
	*field = value_take;
}

/* A new operation of this registration, or of a new one. */
static void
begin(struct registrar_call *call, struct registration *r, const struct enrollment *e)
{
	char uuid[RANDOM_UUID_LEN];

	if (!r->id) {
		r->id = mem_text(call->registration_id);
		r->device_id = mem_text(e->device_id ? e->device_id : call->registration_id);
		r->created = clock_wall();
	}
	set_text(&r->storage_root_key, mem_text(e->storage_root_key));
	set_text(&r->group_id, e->is_group ? mem_text(e->id) : NULL);
	set_text(&r->operation, mem_textf("5.%016llx.%s", (unsigned long long)random_u64(), random_uuid(uuid)));
	set_text(&r->etag, enrollment_etag());
	r->assigned = false;
	r->updated = clock_wall();
}

static bool
may_take_over(struct registrar_call *call, const struct registration *r, const struct enrollment *e, const struct identity *before,
	const struct identity *wanted)
{
	/* Keys and thumbprints follow from the id as it is written: one device, one spelling. */
	if (r && e->is_group && !text_is(r->id, call->registration_id)) {
		registrar_fail(call, REGISTRAR_CONFLICT, "this id is registered in another spelling");
		return false;
	}
	/* Another group's CA or key vouches for the same name: it says nothing about this device (atk-07). */
	if (r && e->is_group && !text_is(r->group_id, e->id)) {
		registrar_fail(call, REGISTRAR_CONFLICT, "this id was registered by another enrollment");
		return false;
	}
	if (!r && before && !identity_same_trust(before, wanted)) {
		registrar_fail(call, REGISTRAR_CONFLICT, "the hub has a device of this id that was not provisioned here");
		return false;
	}
	return true;
}

/* The claim is on disk when this answers true. */
static bool
claim(struct registrar_call *call, struct registration *r, const struct enrollment *e, const char *host, const char *payload)
{
	struct err err = ERR_INIT;

	begin(call, r, e);
	r->owned = r->owned && text_is(r->hub, host);
	set_text(&r->hub, mem_text(host));
	set_text(&r->payload, mem_text(payload));
	set_text(&r->failure, NULL);
	if (registration_put(registrar_db(call), r, &err) == 0)
		return true;
	registrar_fail_broken(call, &err);
	return false;
}

/* Claim, device, assigned (see above). */
static void
assign_here(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload)
{
	OWN(registration) fresh = found ? NULL : NEW(registration);
	struct registration *r = found ? found : fresh;
	const char *device_id = found ? found->device_id : e->device_id ? e->device_id : call->registration_id;
	OWN(identity) before = registry_find(call->provisioning->config.registry, device_id, NULL);
	OWN(identity) wanted = provisioned_device(e, call->chain, call->registration_id, device_id, before);
	bool same = before && identity_same_trust(before, wanted);
	struct err err = ERR_INIT;

	if (!may_take_over(call, found, e, before, wanted) || !claim(call, r, e, call->provisioning->config.hub, payload))
		return;
	if (!same && put_device(call, e, GIVE(wanted), before) != 0)
		return;
	r->assigned = true;
	if (registration_put(registrar_db(call), r, &err) < 0)
		registrar_fail_broken(call, &err);
	else
		registrar_answer_assigning(call, r);
}

/* -- Linked hubs ------------------------------------------------------------------------------------------------------------------- */

static void
make_there(struct registrar_call *call, const struct enrollment *e, const struct registration *r, const struct linked_hub *hub)
{
	OWN(identity) wanted = provisioned_device(e, call->chain, call->registration_id, r->device_id, NULL);

	if (assignment_start(call->provisioning, r, hub, wanted, json_object_get(e->wishes, "initialTwin")))
		registrar_answer_assigning(call, r);
	else
		registrar_refuse_busy(call);
}

static void
assign_there(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload,
	const struct linked_hub *hub)
{
	OWN(registration) fresh = found ? NULL : NEW(registration);
	struct registration *r = found ? found : fresh;

	/* What is in the other hub is looked at there (assignment.c). */
	if (may_take_over(call, found, e, NULL, NULL) && claim(call, r, e, hub->host, payload))
		make_there(call, e, r, hub);
}

/* -- Which one ---------------------------------------------------------------------------------------------------------------------- */

static int
pick(struct registrar_call *call, const struct enrollment *e, const struct linked_hubs *hubs)
{
	int i = hub_choice_pick(e, hubs, call->provisioning->config.hub, call->registration_id);

	if (i < 0)
		registrar_fail(call, REGISTRAR_CONFLICT, "no hub that the enrollment names is linked");
	return i;
}

/* The hub where it is already, the same way: a registration keeps its hub.  Only one that no other hub has made a device for gets another one. */
static int
find_hub(struct registrar_call *call, const struct enrollment *e, const struct registration *found, const struct linked_hubs *hubs)
{
	if (text_is_nocase(found->hub, call->provisioning->config.hub))
		return (int)hubs->n;
	for (size_t i = 0; i < hubs->n; i++)
		if (text_is(found->hub, hubs->item[i]->host))
			return (int)i;
	if (!found->owned)
		return pick(call, e, hubs);
	registrar_fail(call, REGISTRAR_CONFLICT, "the hub of this registration is no longer linked");
	return -1;
}

void
registrar_assign(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload)
{
	struct linked_hubs hubs;
	struct err err = ERR_INIT;
	int i = -1;

	if (linked_hubs_load(registrar_db(call), &hubs, &err) < 0)
		registrar_fail_broken(call, &err);
	else
		i = found && !found->failure ? find_hub(call, e, found, &hubs) : pick(call, e, &hubs);
	if (i == (int)hubs.n)
		assign_here(call, e, found, payload);
	else if (i >= 0)
		assign_there(call, e, found, payload, hubs.item[i]);
	linked_hubs_clear(&hubs);
}

void
registrar_go_on(struct registrar_call *call, const struct enrollment *e, const struct registration *r)
{
	OWN(linked_hub) hub = NULL;
	struct err err = ERR_INIT;

	if (linked_hub_find(registrar_db(call), r->hub, &hub, &err) < 0)
		registrar_fail_broken(call, &err);
	else if (hub)
		make_there(call, e, r, hub);
	else
		registrar_answer_assigning(call, r);
}
