/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that speak for devices.  The original judges the first element of the chain that the gateway sends, but opens the
 * session for the id in the user name, and never compares the two; here the connecting id must be the chain's first element,
 * each element must be the child of the next by the records, and the last is the gateway whose token is judged. */
#include <string.h>

#include "auth/on_behalf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

/* -- The records --------------------------------------------------------------------------------------------------------------- */

void
on_behalf_clear(struct on_behalf *records)
{
	identity_free(records->actor);
	identity_free(records->actor_device);
	for (size_t i = 0; i < records->n_path; i++)
		identity_free(records->path[i]);
	*records = (struct on_behalf){ 0 };
}

void
on_behalf_find(struct on_behalf *out, const char *chain,
	struct identity *(*find)(void *arg, const char *device_id, const char *module_id), void *arg)
{
	struct slice rest = slice_of(chain), one;
	bool more = slice_cut(&rest, ';', &one);

	*out = (struct on_behalf){ 0 };
	while (more) {
		OWN_TEXT id = NULL;

		more = slice_cut(&rest, ';', &one);
		id = slice_text(one);
		if (!more) {
			out->actor_device = find(arg, id, NULL);
			out->actor = find(arg, id, ON_BEHALF_MODULE);
			return;
		}
		if (out->n_path == ON_BEHALF_PATH_MAX)
			return; /* without an actor it is refused */
		out->path[out->n_path] = find(arg, id, NULL);
		if (!out->path[out->n_path])
			return;
		out->n_path++;
	}
}

void
on_behalf_give(struct auth_records *to, const struct on_behalf *records)
{
	to->actor = records->actor;
	to->actor_device = records->actor_device;
	to->path = (const struct identity *const *)records->path;
	to->n_path = records->n_path;
}

char *
on_behalf_actor_id(const char *chain)
{
	const char *last = strrchr(chain, ';');

	return mem_text(last ? last + 1 : chain);
}

/* -- The rule ------------------------------------------------------------------------------------------------------------------ */

#define CHAIN_MAX 8 /* five levels of gateways, the device, its module (gateway 3.7), and one to spare */

static bool
refuse(struct verdict *v, const struct auth_claim *claim, const char *wanted, const char *found)
{
	verdict_fail(v, CHAIN_OF_GATEWAYS, "chain of gateways", claim->auth_chain, wanted, found);
	return false;
}

/* Is child, by the records, a child of parent?  A gateway's own scope says what it is, so its parents stand apart. */
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

/* How many elements; above CHAIN_MAX that many and more. */
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

static bool
is_device(const struct identity *record, const char *device_id)
{
	return record && !record->module_id && text_is(record->device_id, device_id);
}

static const struct identity *
record_of(const struct auth_records *records, const char *device_id)
{
	if (is_device(records->actor_device, device_id))
		return records->actor_device;
	if (is_device(records->target, device_id))
		return records->target;
	for (size_t i = 0; i < records->n_path; i++)
		if (is_device(records->path[i], device_id))
			return records->path[i];
	return NULL;
}

/* A loop in the hierarchy would let a gateway speak for itself, or for its own parent (atk-26). */
static bool
is_twice(char **parts, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (text_is(parts[before], parts[i]))
			return true;
	return false;
}

static bool
check_device(struct verdict *v, const struct auth_claim *claim, const struct identity *device, const char *id)
{
	if (!device)
		return refuse(v, claim, "registered devices", id);
	return device->enabled || refuse(v, claim, "enabled devices", id);
}

/* From the device itself (behind its module, if the target is one) to the gateway at the end. */
static bool
check_links(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records, char **parts, size_t n)
{
	const struct identity *child = NULL, *device;

	for (size_t i = claim->module_id ? 1 : 0; i < n; i++) {
		device = record_of(records, parts[i]);
		if (!check_device(v, claim, device, parts[i]))
			return false;
		if (is_twice(parts, i))
			return refuse(v, claim, "each device once", parts[i]);
		if (child && !is_child(child, device))
			return refuse(v, claim, "each the child of the next", parts[i - 1]);
		child = device;
	}
	return true;
}

/* The last element is a gateway, and the token to be judged belongs to its $edgeHub. */
static bool
check_actor(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records, const char *id)
{
	const struct identity *actor = records->actor, *device = records->actor_device;

	if (!actor || !text_is(actor->device_id, id) || !text_is(actor->module_id, ON_BEHALF_MODULE) || !is_device(device, id) ||
		!device->is_edge)
		return refuse(v, claim, "a registered gateway at the end", id);
	return actor->enabled || refuse(v, claim, "an enabled gateway", id);
}

static bool
check_parts(struct verdict *v, const struct auth_claim *claim, const struct auth_records *records, char **parts, size_t n)
{
	OWN_TEXT name = identity_name(claim->device_id, claim->module_id);

	if (n < 2 || n > CHAIN_MAX)
		return refuse(v, claim, "target;...;gateway", n < 2 ? "one element" : "too many elements");
	if (!text_is(parts[0], name))
		return refuse(v, claim, name, parts[0]);
	if (claim->module_id && !text_is(parts[1], claim->device_id))
		return refuse(v, claim, claim->device_id, parts[1]);
	if (!check_actor(v, claim, records, parts[n - 1]) || !check_links(v, claim, records, parts, n))
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
