/* SPDX-License-Identifier: Apache-2.0 */
/* The last refusals (refusals.h): a ring of slots in the order of their coming, and a map from names into it. */
#include "hub/refusals.h"

#include <pthread.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

struct refusal {
	char *name, *generation_id, *verdict; /* name NULL: free */
	int64_t when;
};

struct refusals {
	pthread_mutex_t lock;
	struct map *map; /* name to slot */
	struct refusal *slots;
	size_t max, next;
};

struct refusals *
refusals_new(size_t max)
{
	struct refusals *refusals = NEW(refusals);

	pthread_mutex_init(&refusals->lock, NULL);
	refusals->map = map_new();
	refusals->slots = mem_array(max, sizeof(*refusals->slots));
	refusals->max = max;
	return refusals;
}

static void
refusal_clear(struct refusal *refusal)
{
	mem_free(refusal->name);
	mem_free(refusal->generation_id);
	mem_free(refusal->verdict);
	*refusal = (struct refusal){ 0 };
}

void
refusals_free(struct refusals *refusals)
{
	if (!refusals)
		return;
	for (size_t i = 0; i < refusals->max; i++)
		refusal_clear(&refusals->slots[i]);
	mem_free(refusals->slots);
	map_free(refusals->map);
	pthread_mutex_destroy(&refusals->lock);
	mem_free(refusals);
}

/* The slot of this name, or the oldest one. */
static struct refusal *
slot_for(struct refusals *refusals, const char *name)
{
	struct refusal *slot = map_find_text(refusals->map, name);

	if (slot)
		return slot;
	slot = &refusals->slots[refusals->next];
	refusals->next = (refusals->next + 1) % refusals->max;
	if (slot->name)
		(void)map_remove_text(refusals->map, slot->name);
	return slot;
}

void
refusals_keep(struct refusals *refusals, const struct identity *who, const struct verdict *verdict, int64_t now)
{
	OWN_TEXT name = identity_name(who->device_id, who->module_id);
	OWN_TEXT json = verdict_json(verdict);
	struct refusal *slot;

	if (!json || strlen(json) > REFUSAL_BYTES_MAX)
		return;
	pthread_mutex_lock(&refusals->lock);
	slot = slot_for(refusals, name);
	refusal_clear(slot);
	*slot = (struct refusal){
		.name = GIVE(name), .generation_id = mem_text(who->generation_id), .verdict = GIVE(json), .when = now
	};
	(void)map_put_text(refusals->map, slot->name, slot);
	pthread_mutex_unlock(&refusals->lock);
}

char *
refusals_find(struct refusals *refusals, const struct identity *who, int64_t *when)
{
	OWN_TEXT name = identity_name(who->device_id, who->module_id);
	char *verdict = NULL;
	struct refusal *slot;

	pthread_mutex_lock(&refusals->lock);
	slot = map_find_text(refusals->map, name);
	if (slot && text_is(slot->generation_id, who->generation_id)) {
		verdict = mem_text(slot->verdict);
		*when = slot->when;
	}
	pthread_mutex_unlock(&refusals->lock);
	return verdict;
}
