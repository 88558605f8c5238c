/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a reconciliation (reconcile_plan.h). */
#include "identityd/reconcile_plan.h"

#include <stdbool.h>

#include "base/text.h"

static bool
has_name(const json_t *names, const char *name)
{
	json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)names, i, item)
		if (text_is(json_string_value(item), name))
			return true;
	return false;
}

static bool
hub_has(const json_t *hub, const char *name)
{
	json_t *module;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)hub, i, module)
		if (text_is(json_string_value(json_object_get(module, "moduleId")), name))
			return true;
	return false;
}

static bool
is_configured(const char *const *configured, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_is(configured[i], name))
			return true;
	return false;
}

size_t
reconcile_plan(struct reconcile_step out[static RECONCILE_MAX], const json_t *hub, const json_t *before,
	const char *const *configured, size_t n_configured)
{
	json_t *item;
	size_t i, n = 0;

	for (i = 0; i < n_configured && n < RECONCILE_MAX; i++) {
		const char *name = configured[i];

		out[n++] = (struct reconcile_step){ .module_id = name,
			.deed = !hub_has(hub, name)	 ? RECONCILE_CREATE
				: has_name(before, name) ? RECONCILE_KEEP
							 : RECONCILE_RECREATE };
	}
	json_array_foreach((json_t *)(uintptr_t)before, i, item) {
		const char *name = json_string_value(item);

		if (name && n < RECONCILE_MAX && !is_configured(configured, n_configured, name) && hub_has(hub, name))
			out[n++] = (struct reconcile_step){ RECONCILE_DELETE, name };
	}
	return n;
}
