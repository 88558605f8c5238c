/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and forgetting (enrollment_groups.h). */
#include "hub/provisioning/enrollment_groups.h"

#include "base/mem.h"

static void
add(void *arg, struct enrollment *enrollment_take)
{
	struct enrollment_groups *groups = arg;

	groups->item = mem_resize(groups->item, (groups->n + 1) * sizeof(*groups->item));
	groups->item[groups->n++] = enrollment_take;
}

int
enrollment_groups_load(struct enrollment_groups *groups, struct db *db, const struct ca_registry *cas, struct err *err)
{
	if (groups->loaded)
		return 0;
	if (enrollment_store_list(db, true, NULL, INT64_MAX, add, groups, err) < 0) {
		enrollment_groups_clear(groups);
		return -1;
	}
	for (size_t i = 0; i < groups->n; i++)
		enrollment_resolve(groups->item[i], cas);
	groups->loaded = true;
	return 0;
}

void
enrollment_groups_clear(struct enrollment_groups *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		enrollment_free(groups->item[i]);
	mem_free(groups->item);
	*groups = (struct enrollment_groups){ 0 };
}
