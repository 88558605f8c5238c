/* SPDX-License-Identifier: Apache-2.0 */
/* From parent to parent (lineage.h).  A scope names its gateway, so a step is one look-up; that the gateway found has this scope is what counts. */
#include "gateway/scope/lineage.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#define CHAIN_TEXT_MAX 4096

/* The i-th scope that it is right below; NULL: there is no such.  A gateway's own scope says what it is, a leaf's where it belongs. */
static const char *
parent_scope(const struct identity *device, size_t i)
{
	if (i < device->n_parents)
		return device->parents[i];
	return i == device->n_parents && !device->is_edge ? device->scope : NULL;
}

bool
lineage_is_right_below(const struct identity *device, const char *scope)
{
	const char *parent;

	for (size_t i = 0; (parent = parent_scope(device, i)) != NULL; i++)
		if (text_is(parent, scope))
			return true;
	return false;
}

static const struct identity *
find_parent(const struct lineage_records *records, const struct identity *device)
{
	const char *scope;

	for (size_t i = 0; (scope = parent_scope(device, i)) != NULL; i++) {
		OWN_TEXT id = identity_scope_device(scope);
		const struct identity *parent = id ? records->find(records->arg, id) : NULL;

		if (parent && parent->is_edge && text_is(parent->scope, scope))
			return parent;
	}
	return NULL;
}

bool
lineage_trace(struct lineage *out, const struct lineage_records *records, const struct identity *device)
{
	const struct identity *own = records->find(records->arg, records->edge_id);

	*out = (struct lineage){ 0 };
	if (text_is(device->device_id, records->edge_id))
		return true;
	/* A loop has no end, and comes to the ceiling. */
	for (const struct identity *at = device; at && out->n < LINEAGE_MAX; at = find_parent(records, at)) {
		if (out->n + device->is_edge >= LINEAGE_GATEWAYS_MAX)
			return false;
		out->at[out->n++] = at;
		if (!own || !own->scope || lineage_is_right_below(at, own->scope))
			return true;
	}
	return false;
}

bool
lineage_is_open(const struct lineage *lineage)
{
	for (size_t i = 1; i < lineage->n; i++)
		if (!lineage->at[i]->enabled)
			return false;
	return true;
}

bool
lineage_passes(const struct lineage *lineage, const char *device_id)
{
	for (size_t i = 0; i < lineage->n; i++)
		if (text_is(lineage->at[i]->device_id, device_id))
			return true;
	return false;
}

char *
lineage_chain(const struct lineage *lineage, const char *module_id, const char *edge_id)
{
	struct buf chain = BUF_INIT(CHAIN_TEXT_MAX);

	if (module_id)
		buf_putf(&chain, "%s/%s;", lineage->n > 0 ? lineage->at[0]->device_id : edge_id, module_id);
	for (size_t i = 0; i < lineage->n; i++)
		buf_putf(&chain, "%s;", lineage->at[i]->device_id);
	buf_puts(&chain, edge_id);
	return buf_take_text(&chain);
}
