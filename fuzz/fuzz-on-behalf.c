/* SPDX-License-Identifier: Apache-2.0 */
/* Chains of gateways: whatever is written there, who is let through is the first of it, and the last is above it by the records. */
#include <string.h>

#include "auth/on_behalf.h"
#include "base/mem.h"
#include "base/text.h"
#include "fuzz.h"

#define SCOPE(id) IDENTITY_SCOPE_PREFIX id "-1"

/* top above edge above leaf, and side beside edge. */
static struct identity *
find(void *arg, const char *device_id, const char *module_id)
{
	static const struct {
		const char *id, *scope, *parent;
	} rows[] = { { "top", SCOPE("top"), NULL }, { "edge", SCOPE("edge"), SCOPE("top") },
		{ "side", SCOPE("side"), SCOPE("top") }, { "leaf", SCOPE("edge"), NULL } };
	struct identity *found = NULL;

	(void)arg;
	for (size_t i = 0; i < COUNT(rows) && !found; i++) {
		if (!text_is(device_id, rows[i].id))
			continue;
		found = identity_new(device_id, module_id);
		found->enabled = true;
		found->is_edge = !module_id && i < 3;
		found->scope = module_id ? NULL : mem_text(rows[i].scope);
		if (rows[i].parent)
			found->parents[found->n_parents++] = mem_text(rows[i].parent);
	}
	return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const good[] = { "leaf;edge", "leaf;edge;top" };
	OWN_TEXT chain = mem_textn((const char *)data, size);
	struct auth_claim claim = { .audience.host = "hub", .device_id = "leaf", .auth_chain = chain };
	OWN(identity) target = find(NULL, "leaf", NULL);
	OWN(verdict) v = verdict_new("fuzz", "", "leaf");
	CLEAR(on_behalf) found = { 0 };
	struct auth_records records = { .target = target };
	OWN_TEXT actor = NULL;
	bool is_good = false;

	on_behalf_find(&found, chain, find, NULL);
	on_behalf_give(&records, &found);
	actor = on_behalf_actor_id(chain);
	FUZZ_CHECK(!found.actor || text_is(found.actor->device_id, actor));
	for (size_t i = 0; i < COUNT(good); i++)
		is_good = is_good || text_is(chain, good[i]);
	FUZZ_CHECK(on_behalf_check(v, &claim, &records) == is_good);
	return 0;
}
