/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of registering again (reprovision.h). */
#include "hub/provisioning/reprovision.h"

#include "base/mem.h"
#include "base/text.h"

static bool
flag(const struct enrollment *e, const char *name)
{
	const json_t *value = json_object_get(json_object_get(e->wishes, "reprovisionPolicy"), name);

	return !json_is_false(value);
}

struct reprovision_policy
reprovision_policy(const struct enrollment *e)
{
	return (struct reprovision_policy){ .update = flag(e, "updateHubAssignment"), .migrate = flag(e, "migrateDeviceData") };
}

void
reprovision_begin(struct registration *r)
{
	if (!r->hub)
		r->hub = mem_text("");
	if (*r->hub && (r->failure || r->assigned) && !(r->assigned && r->from)) {
		if (!r->from && r->owned)
			r->from = mem_text(r->hub);
		registration_set(&r->hub, mem_text(""));
		r->owned = false;
	}
	registration_set(&r->failure, NULL);
	r->error = 0;
	r->assigned = false;
}

void
reprovision_stay(struct registration *r)
{
	registration_set(&r->hub, r->from);
	r->from = NULL;
	r->owned = true;
	r->substatus = REGISTRATION_INITIAL;
}

void
reprovision_go(struct registration *r, const char *hub, struct reprovision_policy policy, bool given_twin)
{
	if (r->from && text_is_nocase(r->from, hub)) {
		reprovision_stay(r);
		return;
	}
	registration_set(&r->hub, mem_text(hub));
	r->owned = false;
	r->substatus = !r->from ? REGISTRATION_INITIAL : policy.migrate && !given_twin ? REGISTRATION_MIGRATED : REGISTRATION_RESET;
}

const char *
reprovision_substatus(enum registration_substatus substatus)
{
	static const char *const names[] = { [REGISTRATION_INITIAL] = "initialAssignment",
		[REGISTRATION_MIGRATED] = "deviceDataMigrated",
		[REGISTRATION_RESET] = "deviceDataReset",
		[REGISTRATION_REPROVISIONED] = "reprovisionedToInitialAssignment" };

	return names[substatus];
}
