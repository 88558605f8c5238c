/* SPDX-License-Identifier: Apache-2.0 */
/* The lists by their gateways (scope_list.h). */
#include "gateway/scope/scope_list.h"

#include "base/mem.h"

struct scope_list *
scope_list_need(struct map *lists, const char *gateway_id)
{
	struct scope_list *list = map_find_text(lists, gateway_id);

	if (list || map_count(lists) >= SCOPE_LISTS_MAX)
		return list;
	list = NEW(scope_list);
	list->gateway_id = mem_text(gateway_id);
	map_put_text(lists, gateway_id, list);
	return list;
}

void
scope_list_set_etag(struct scope_list *list, const char *etag)
{
	char *copy = etag ? mem_text(etag) : NULL;

	mem_free(list->etag);
	list->etag = copy;
}

void
scope_lists_free(struct map *lists)
{
	size_t at = 0;
	void *value;

	while (map_next(lists, &at, NULL, NULL, &value)) {
		struct scope_list *list = value;

		mem_free(list->gateway_id);
		mem_free(list->etag);
		mem_free(list);
	}
	map_free(lists);
}
