/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that speak for devices.  The original judges the first element of the chain that the gateway sends, but opens the session for the id in the user name, and never
 * compares the two; here the connecting id must be the chain's first element, each element must be the child of the next by the records, and the last is
 * the gateway whose token is judged. */
#include <string.h>

#include "auth/on_behalf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define CHAIN_MAX 8 /* five levels of gateways, the device, its module */

static bool
refuse(struct verdict *v, const struct auth_claim *claim, const char *wanted, const char *found)
{
	verdict_fail(v, CHAIN_OF_GATEWAYS, "chain of gateways", claim->auth_chain, wanted, found);
	return false;
}

/* Is child, by the records, a child of parent? */
static bool
is_child(const struct identity *child, const struct identity *parent)
{
	if (!parent->is_edge || !parent->scope)
		return false;
	if (!child->is_edge)
		return text_is(child->scope, parent->scope);
	for (size_t i = 0; i < child->n_parents; i++)
		if (text_is(child->parents[i], parent->scope))
			return true;
	return false;
}

static size_t
split(const char *chain, char **parts)
{
	struct slice rest = slice_of(chain), part;
	size_t n = 0;
	bool more = true;

	while (more && n < CHAIN_MAX) {
		more = slice_cut(&rest, ';', &part);
		parts[n++] = slice_text(part);
	}
	return more ? CHAIN_MAX + 1 : n;
}

static const struct identity *
record_of(const struct auth_records *records, const char *device_id)
{
	const struct identity *known[] = { records->actor_device, records->target };

	for (size_t i = 0; i < COUNT(known); i++)
		if (known[i] && !known[i]->module_id && text_is(known[i]->device_id, device_id))
			return known[i];
	for (size_t i = 0; i < records->n_path; i++)
		if (text_is(records->path[i]->device_id, device_id))
			return records->path[i];
	return NULL;
}

static bool
check_links(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records, char **parts, size_t n)
{
	/* A module's own device stands after it. */
	size_t first = claim->module_id ? 1 : 0;

	for (size_t i = first; i + 1 < n; i++) {
		const struct identity *child = record_of(records, parts[i]), *parent = record_of(records, parts[i + 1]);

		if (!child || !parent)
			return refuse(v, claim, "registered devices", child ? parts[i + 1] : parts[i]);
		if (!parent->enabled)
			return refuse(v, claim, "enabled gateways", parts[i + 1]);
		if (!is_child(child, parent))
			return refuse(v, claim, "each the child of the next", parts[i]);
	}
	return true;
}

static bool
check_parts(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records, char **parts, size_t n)
{
	OWN_TEXT name = identity_name(claim->device_id, claim->module_id);

	if (n < 2 || n > CHAIN_MAX)
		return refuse(v, claim, "target;...;gateway", "another number of elements");
	if (!text_is(parts[0], name))
		return refuse(v, claim, name, parts[0]);
	if (claim->module_id && !text_is(parts[1], claim->device_id))
		return refuse(v, claim, claim->device_id, parts[1]);
	if (!records->actor || !records->actor_device || !text_is(parts[n - 1], records->actor_device->device_id) || !text_is(records->actor->device_id, parts[n - 1]) ||
		!text_is(records->actor->module_id, "$edgeHub"))
		return refuse(v, claim, "a registered gateway at the end", parts[n - 1]);
	if (!records->actor_device->enabled || !records->actor->enabled)
		return refuse(v, claim, "an enabled gateway", parts[n - 1]);
	if (!check_links(v, claim, records, parts, n))
		return false;
	verdict_pass(v, "chain of gateways", claim->auth_chain, "each the child of the next", "they are");
	return true;
}

bool
on_behalf_check(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records)
{
	char *parts[CHAIN_MAX] = { 0 };
	size_t n = split(claim->auth_chain, parts);
	bool good = check_parts(v, claim, records, parts, n);

	for (size_t i = 0; i < CHAIN_MAX; i++)
		mem_free(parts[i]);
	return good;
}
