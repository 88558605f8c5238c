/* SPDX-License-Identifier: Apache-2.0 */
/* A page is found by going through all records: they have no order, and it is done once an hour for each gateway. */
#include "gateway/scope/scope_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/scope/lineage.h"

struct gathering {
	const struct identity *gateway;
	const char *after;
	struct identity **devices;
	size_t n_devices, cap_devices;
	struct scope_page *page; /* whose modules are looked for */
	size_t cap_modules;
};

static void
append(struct identity ***list, size_t *n, size_t *cap, const struct identity *identity)
{
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 64;
		*list = mem_resize(*list, *cap * sizeof(**list));
	}
	(*list)[(*n)++] = identity_ref(identity);
}

static int
compare(const void *a, const void *b)
{
	return strcmp((*(struct identity *const *)a)->device_id, (*(struct identity *const *)b)->device_id);
}

static void
note_age(struct scope_page *page, const struct confirmation *confirmed)
{
	int64_t age_s = confirmation_age_s(confirmed, clock_wall(), clock_boot_ms());

	if (age_s > page->age_s)
		page->age_s = age_s;
}

static void
gather_device(void *arg, const struct identity *identity, const struct confirmation *confirmed)
{
	struct gathering *g = arg;

	if (identity->module_id || text_is(identity->device_id, g->gateway->device_id) ||
		!lineage_is_right_below(identity, g->gateway->scope) || (g->after && strcmp(identity->device_id, g->after) <= 0))
		return;
	append(&g->devices, &g->n_devices, &g->cap_devices, identity);
	note_age(g->page, confirmed);
}

static bool
is_on(const struct scope_page *page, const struct identity *module)
{
	return page->n_devices > 0 && bsearch(&module, page->devices, page->n_devices, sizeof(*page->devices), compare) != NULL;
}

static void
gather_module(void *arg, const struct identity *identity)
{
	struct gathering *g = arg;

	if (identity->module_id && is_on(g->page, identity))
		append(&g->page->modules, &g->page->n_modules, &g->cap_modules, identity);
}

/* The first ones of those that come. */
static void
take_page(struct scope_page *out, struct gathering *g, size_t max)
{
	size_t n = g->n_devices < max ? g->n_devices : max;

	if (g->n_devices > 1)
		qsort(g->devices, g->n_devices, sizeof(*g->devices), compare);
	if (g->n_devices > n && n > 0)
		out->next = mem_text(g->devices[n - 1]->device_id);
	for (size_t i = n; i < g->n_devices; i++)
		identity_free(g->devices[i]);
	out->devices = g->devices;
	out->n_devices = n;
}

/* It keeps the order, in which its modules are looked for. */
static void
put_gateway(struct scope_page *out, const struct identity *gateway)
{
	out->devices = mem_resize(out->devices, (out->n_devices + 1) * sizeof(*out->devices));
	out->devices[out->n_devices++] = identity_ref(gateway);
	qsort(out->devices, out->n_devices, sizeof(*out->devices), compare);
}

void
scope_page_read(struct scope_page *out, struct scope *scope, const char *gateway_id, const char *after, size_t max)
{
	struct confirmation confirmed = { 0 };
	OWN(identity) gateway = scope_find_aged(scope, gateway_id, NULL, &confirmed);
	struct gathering g = { .gateway = gateway, .after = after && *after ? after : NULL, .page = out };

	*out = (struct scope_page){ 0 };
	if (!gateway || !gateway->scope)
		return;
	note_age(out, &confirmed);
	scope_each_aged(scope, gather_device, &g);
	take_page(out, &g, max);
	if (!g.after)
		put_gateway(out, gateway);
	scope_each(scope, gather_module, &g);
}

void
scope_page_clear(struct scope_page *page)
{
	for (size_t i = 0; i < page->n_devices; i++)
		identity_free(page->devices[i]);
	for (size_t i = 0; i < page->n_modules; i++)
		identity_free(page->modules[i]);
	mem_free(page->devices);
	mem_free(page->modules);
	mem_free(page->next);
	*page = (struct scope_page){ 0 };
}
