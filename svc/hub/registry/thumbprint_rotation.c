/* SPDX-License-Identifier: Apache-2.0 */
/* What the two slots become (thumbprint_rotation.h). */
#include "hub/registry/thumbprint_rotation.h"

#include "base/mem.h"
#include "base/text.h"

void
rotation_free(struct rotation *rotation)
{
	if (!rotation)
		return;
	mem_free(rotation->device_id);
	mem_free(rotation->module_id);
	mem_free(rotation->generation_id);
	mem_free(rotation->old);
	mem_free(rotation->new);
	mem_free(rotation);
}

static bool
has(const struct identity *record, const char *thumbprint)
{
	return text_is(record->thumbprints[0], thumbprint) || text_is(record->thumbprints[1], thumbprint);
}

bool
rotation_holds(const struct identity *record, const struct rotation *rotation)
{
	return record && record->auth == IDENTITY_AUTH_THUMBPRINT && text_is(record->generation_id, rotation->generation_id) &&
	       has(record, rotation->old) && has(record, rotation->new);
}

/* The one that stays: what the offer that is replaced would have replaced, or the only one that is there. */
static const char *
staying(const struct identity *record, const struct rotation *before)
{
	char *const *slots = record->thumbprints;

	if (before && rotation_holds(record, before))
		return before->promoted == 0 ? before->old : NULL;
	if (!slots[0] || !slots[1])
		return slots[0] ? slots[0] : slots[1];
	return text_is(slots[0], slots[1]) ? slots[0] : NULL;
}

/* The one that the device uses as far as the hub has seen. */
static const char *
in_use(const struct identity *record, const struct rotation *before)
{
	if (before && rotation_holds(record, before))
		return before->promoted == 0 ? before->old : before->new;
	return record->thumbprints[0] ? record->thumbprints[0] : record->thumbprints[1];
}

bool
rotation_may_begin(const struct identity *record)
{
	return record->auth == IDENTITY_AUTH_NONE && !record->module_id;
}

static enum rotation_answer
offer_beside(const struct identity *record, const char *old, const char *thumbprint, int64_t now, struct rotation **out,
	const char *slots[2])
{
	if (record->auth != IDENTITY_AUTH_THUMBPRINT || (!record->thumbprints[0] && !record->thumbprints[1]))
		return ROTATION_NO_THUMBPRINTS;
	if (has(record, thumbprint))
		return ROTATION_IS_THERE;
	if (!old)
		return ROTATION_NO_FREE_SLOT;
	*out = NEW(rotation);
	**out = (struct rotation){ .device_id = mem_text(record->device_id),
		.module_id = mem_text(record->module_id),
		.generation_id = mem_text(record->generation_id),
		.old = mem_text(old),
		.new = mem_text(thumbprint),
		.offered = now };
	slots[0] = (*out)->old;
	slots[1] = (*out)->new;
	return ROTATION_OK;
}

enum rotation_answer
rotation_offer(const struct identity *record, const struct rotation *before, const char *thumbprint, int64_t now,
	struct rotation **out, const char *slots[2])
{
	return offer_beside(record, staying(record, before), thumbprint, now, out, slots);
}

enum rotation_answer
rotation_renew(const struct identity *record, const struct rotation *before, const char *thumbprint, int64_t now,
	struct rotation **out, const char *slots[2])
{
	return offer_beside(record, in_use(record, before), thumbprint, now, out, slots);
}

enum rotation_answer
rotation_promote(const struct identity *record, struct rotation *rotation, int64_t grace_s, int64_t now, const char *slots[2])
{
	if (!rotation_holds(record, rotation))
		return ROTATION_ENDED;
	rotation->promoted = now;
	rotation->retires = now + grace_s;
	slots[0] = rotation->new;
	slots[1] = rotation->old;
	return ROTATION_OK;
}

enum rotation_answer
rotation_retire(const struct identity *record, const struct rotation *rotation, const char *slots[2])
{
	if (!rotation_holds(record, rotation))
		return ROTATION_ENDED;
	slots[0] = rotation->new;
	slots[1] = NULL;
	return ROTATION_OK;
}
