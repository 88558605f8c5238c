/* SPDX-License-Identifier: Apache-2.0 */
/* A question to the registry owns all that it was asked with and answered with (registry_call.h). */
#include "hub/registry/registry_call.h"

#include "base/mem.h"
#include "wire/json.h"

void
registry_call_clear(struct registry_call *call)
{
	for (size_t i = 0; i < call->n_items; i++)
		registry_call_clear(&call->items[i]);
	mem_free(call->items);
	for (size_t i = 0; i < call->n_found; i++)
		identity_free(call->found[i]);
	mem_free(call->found);
	identity_free(call->wanted);
	json_decref(call->twin);
	mem_free(call->device_id);
	mem_free(call->module_id);
	mem_free(call->if_match);
	mem_free(call->scope);
	mem_free(call->after);
	*call = (struct registry_call){ 0 };
}

void
registry_call_add_found(struct registry_call *call, struct identity *identity_take)
{
	call->found = mem_resize(call->found, (call->n_found + 1) * sizeof(*call->found));
	call->found[call->n_found++] = identity_take;
}

int
registry_call_read_twin(struct registry_call *call, const json_t *json, struct err *err)
{
	json_t *tags, *properties;

	if (json_find_object(json, "tags", &tags, err) < 0 || json_find_object(json, "properties", &properties, err) < 0)
		return -1;
	if (json_object_size(tags) == 0 && json_object_size(properties) == 0)
		return 0;
	call->twin = json_object();
	if (tags)
		json_object_set(call->twin, "tags", tags);
	if (properties)
		json_object_set(call->twin, "properties", properties);
	return 0;
}
