/* SPDX-License-Identifier: Apache-2.0 */
/* Packing loses nothing: whatever a record says is what comes out again. */
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/registry_pack.h"
#include "t.h"

#define SHA256 "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"
#define SHA1 "00112233445566778899AABBCCDDEEFF00112233"

static void
check_same(const struct identity *a, const struct identity *b)
{
	CHECK_STR(a->device_id, b->device_id);
	CHECK(text_is(a->module_id, b->module_id));
	CHECK(text_is(a->generation_id, b->generation_id));
	CHECK(text_is(a->etag, b->etag));
	CHECK(text_is(a->scope, b->scope));
	CHECK(text_is(a->status_reason, b->status_reason));
	CHECK(text_is(a->managed_by, b->managed_by));
	CHECK_INT(a->n_parents, b->n_parents);
	for (size_t i = 0; i < IDENTITY_PARENTS_MAX; i++)
		CHECK(text_is(a->parents[i], b->parents[i]));
	CHECK(a->enabled == b->enabled && a->is_edge == b->is_edge);
	CHECK_INT(a->auth, b->auth);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(a->keys[i].len, b->keys[i].len);
		CHECK_MEM(a->keys[i].bytes, b->keys[i].bytes, a->keys[i].len);
		CHECK(text_is(a->thumbprints[i], b->thumbprints[i]));
	}
	CHECK(a->created == b->created && a->status_updated == b->status_updated);
}

static void
check_round_trip(const struct identity *identity)
{
	struct registry_pack *pack = registry_pack_new(identity);
	OWN(identity) back = NULL;

	CHECK(pack != NULL);
	back = registry_pack_identity(pack);
	check_same(back, identity);
	CHECK(registry_pack_is_enabled(pack) == identity->enabled);
	CHECK(registry_pack_is_module(pack) == (identity->module_id != NULL));
	registry_pack_free(pack);
}

TEST("a record with nothing but its name comes back as that")
{
	OWN(identity) device = identity_new("d", NULL);
	OWN(identity) module = identity_new("dev-1:.+%_#*?!(),=@;$'", "$edgeAgent");

	check_round_trip(device);
	check_round_trip(module);
}

TEST("a record with every field comes back with all of them")
{
	OWN(identity) i = identity_new("leaf-1", "mod");

	i->generation_id = mem_text("638680000000000001");
	i->etag = mem_text("AAAAAAAAAAE=");
	i->parents[0] = mem_text("ms-azure-iot-edge://gw-1-638680000000000000");
	i->parents[1] = mem_text("ms-azure-iot-edge://gw-2-638680000000000000");
	i->parents[2] = mem_text("not a scope");
	i->parents[3] = mem_text("");
	i->n_parents = 4;
	i->scope = mem_text(i->parents[0]);
	i->status_reason = mem_text("maintenance");
	i->managed_by = mem_text("iotEdge");
	i->enabled = i->is_edge = true;
	i->auth = IDENTITY_AUTH_SAS;
	secret_set(&i->keys[0], "0123456789abcdef", 16);
	secret_set(&i->keys[1], "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef", 64);
	i->thumbprints[0] = mem_text(SHA256);
	i->thumbprints[1] = mem_text(SHA1);
	i->created = 1;
	i->status_updated = INT64_MAX;
	check_round_trip(i);
}

TEST("both slots may hold the same thumbprint, or only the second one a thumbprint")
{
	OWN(identity) both = identity_new("d", NULL);
	OWN(identity) second = identity_new("d", NULL);

	both->thumbprints[0] = mem_text(SHA256);
	both->thumbprints[1] = mem_text(SHA256);
	second->thumbprints[1] = mem_text(SHA1);
	check_round_trip(both);
	check_round_trip(second);
}

TEST("texts that almost have our form come back as they were")
{
	static const char *const generations[] = { "", "0", "000000000000000000", "999999999999999999", "63868000000000000x",
		"-63868000000000000", "6386800000000000001" };
	static const char *const etags[] = { "AAAAAAAAAAE=", "AAAAAAAAAAF=", "AAAAAAAAAAE", "AAAAAAAAAAAA", "////////////", "*",
		"////////////8=" };
	static const char *const thumbprints[] = { SHA256, SHA1, "001122", "00112233445566778899aabbccddeeff00112233",
		"00112233445566778899AABBCCDDEEFF0011223G" };
	static const char *const scopes[] = { "ms-azure-iot-edge://", "ms-azure-iot-edge:/gw-1", "MS-azure-iot-edge://gw-1" };

	for (size_t n = 0; n < COUNT(generations); n++) {
		OWN(identity) i = identity_new("d", NULL);

		i->generation_id = mem_text(generations[n]);
		i->etag = mem_text(etags[n]);
		i->thumbprints[0] = mem_text(thumbprints[n % COUNT(thumbprints)]);
		i->scope = mem_text(scopes[n % COUNT(scopes)]);
		check_round_trip(i);
	}
}

TEST("a record that is larger than any can be is refused")
{
	OWN(identity) i = identity_new("d", NULL);

	i->status_reason = mem_new(100001);
	memset(i->status_reason, 'x', 100000);
	CHECK(registry_pack_new(i) == NULL);
}
