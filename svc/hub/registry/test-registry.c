/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: what is kept, what is made, what is refused. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/policy.h"
#include "hub/registry/registry.h"
#include "hub/registry/registry_record.h"
#include "hub/twins/twin_store.h"
#include "t.h"

/* A registry in a file of its own; calls run on the test's thread. */
struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
};

static void
fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	f->store = registry_store_open(f->path, &err);
	f->registry = f->store ? registry_open(f->store, NULL, &err) : NULL;
	if (!f->registry)
		fail_msg("%s", err.text);
}

static void
fixture_close(struct fixture *f)
{
	registry_close(f->registry);
	registry_store_close(f->store);
}

static struct fixture
fixture_new(void)
{
	struct fixture f = { 0 };
	static int n;

	snprintf(f.path, sizeof(f.path), "%s/hub-%d.sqlite", T_TMPDIR, n++);
	fixture_open(&f);
	return f;
}

/* Put a record; the answer, and for who asks the record as it is now. */
static enum registry_answer
put(struct fixture *f, struct identity *wanted_take, const char *if_match, bool keep_auth, struct identity **now)
{
	struct registry_call call = { .op = REGISTRY_PUT,
		.device_id = mem_text(wanted_take->device_id),
		.module_id = mem_text(wanted_take->module_id),
		.wanted = wanted_take,
		.if_match = mem_text(if_match),
		.keep_auth = keep_auth };
	enum registry_answer answer;

	registry_run(f->registry, &call);
	answer = call.answer;
	if (now && answer != REGISTRY_OK)
		abort(); /* who asks for the record expects that it is granted */
	if (now)
		*now = identity_ref(call.found[0]);
	registry_call_clear(&call);
	return answer;
}

static enum registry_answer
drop(struct fixture *f, const char *device_id, const char *module_id, const char *if_match)
{
	struct registry_call call = { .op = REGISTRY_REMOVE,
		.device_id = mem_text(device_id),
		.module_id = mem_text(module_id),
		.if_match = mem_text(if_match) };
	enum registry_answer answer;

	registry_run(f->registry, &call);
	answer = call.answer;
	registry_call_clear(&call);
	return answer;
}

static struct identity *
sas_device(const char *id)
{
	struct identity *wanted = identity_new(id, NULL);

	wanted->enabled = true;
	wanted->auth = IDENTITY_AUTH_SAS;
	return wanted;
}

static struct identity *
thumbprint_device(const char *id)
{
	struct identity *wanted = sas_device(id);

	wanted->auth = IDENTITY_AUTH_THUMBPRINT;
	wanted->thumbprints[0] = mem_text("00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF");
	return wanted;
}

static struct identity *
gateway(const char *id)
{
	struct identity *wanted = sas_device(id);

	wanted->is_edge = true;
	return wanted;
}

static struct identity *
module(const char *device_id, const char *id)
{
	struct identity *wanted = identity_new(device_id, id);

	wanted->enabled = true;
	return wanted;
}

static struct identity *
child_of(const struct identity *parent, struct identity *wanted)
{
	wanted->parents[0] = mem_text(parent->scope);
	wanted->n_parents = 1;
	return wanted;
}

TEST("a device that is created without keys gets two of its own, a generation and an etag")
{
	struct fixture f = fixture_new();
	OWN(identity) now = NULL;
	OWN(identity) found = NULL;

	CHECK_INT(put(&f, sas_device("dev1"), NULL, false, &now), REGISTRY_OK);
	CHECK_INT(now->keys[0].len, 32);
	CHECK_INT(now->keys[1].len, 32);
	CHECK(memcmp(now->keys[0].bytes, now->keys[1].bytes, 32) != 0);
	CHECK(strlen(now->generation_id) == 18);
	CHECK_STR(now->etag, "AAAAAAAAAAE=");
	found = registry_find(f.registry, "dev1", NULL);
	CHECK(found && text_is(found->etag, now->etag));
	CHECK(!registry_find(f.registry, "dev2", NULL));
	CHECK(!registry_find(f.registry, "DEV1", NULL));
	fixture_close(&f);
}

TEST("creating what exists is refused, and so is replacing what does not")
{
	struct fixture f = fixture_new();

	CHECK_INT(put(&f, sas_device("dev1"), NULL, false, NULL), REGISTRY_OK);
	CHECK_INT(put(&f, sas_device("dev1"), NULL, false, NULL), REGISTRY_EXISTS);
	CHECK_INT(put(&f, sas_device("dev2"), "*", false, NULL), REGISTRY_NO_DEVICE);
	CHECK_INT(put(&f, module("dev1", "mod1"), "*", true, NULL), REGISTRY_NO_MODULE);
	CHECK_INT(put(&f, module("dev2", "mod1"), NULL, true, NULL), REGISTRY_NO_DEVICE);
	CHECK_INT(drop(&f, "dev2", NULL, "*"), REGISTRY_NO_DEVICE);
	fixture_close(&f);
}

TEST("a change needs the etag of what is there, and gives it a new one")
{
	struct fixture f = fixture_new();
	OWN(identity) first = NULL;
	OWN(identity) second = NULL;

	CHECK_INT(put(&f, sas_device("dev1"), NULL, false, &first), REGISTRY_OK);
	CHECK_INT(put(&f, sas_device("dev1"), first->etag, false, &second), REGISTRY_OK);
	CHECK(!text_is(first->etag, second->etag));
	CHECK_INT(put(&f, sas_device("dev1"), first->etag, false, NULL), REGISTRY_WRONG_ETAG);
	CHECK_INT(drop(&f, "dev1", NULL, first->etag), REGISTRY_WRONG_ETAG);
	CHECK_INT(drop(&f, "dev1", NULL, second->etag), REGISTRY_OK);
	fixture_close(&f);
}

TEST("an update that sends no keys, or no authentication at all, leaves the keys alone")
{
	struct fixture f = fixture_new();
	struct identity *wanted;
	OWN(identity) first = NULL;
	OWN(identity) second = NULL;
	OWN(identity) third = NULL;

	put(&f, sas_device("dev1"), NULL, false, &first);
	wanted = sas_device("dev1");
	wanted->enabled = false;
	CHECK_INT(put(&f, wanted, "*", false, &second), REGISTRY_OK);
	CHECK_MEM(second->keys[0].bytes, first->keys[0].bytes, 32);
	CHECK(!second->enabled);
	wanted = identity_new("dev1", NULL);
	wanted->enabled = true;
	CHECK_INT(put(&f, wanted, "*", true, &third), REGISTRY_OK);
	CHECK_MEM(third->keys[1].bytes, first->keys[1].bytes, 32);
	CHECK_STR(third->generation_id, first->generation_id);
	fixture_close(&f);
}

TEST("keys that are given are kept as they are; too short ones are refused")
{
	struct fixture f = fixture_new();
	struct identity *wanted = sas_device("dev1");
	OWN(identity) now = NULL;

	secret_set(&wanted->keys[0], "0123456789abcdef", 16);
	CHECK_INT(put(&f, wanted, NULL, false, &now), REGISTRY_OK);
	CHECK_INT(now->keys[0].len, 16);
	CHECK_MEM(now->keys[0].bytes, "0123456789abcdef", 16);
	CHECK_INT(now->keys[1].len, 32);
	wanted = sas_device("dev2");
	secret_set(&wanted->keys[0], "0123456789abcde", 15);
	CHECK_INT(put(&f, wanted, NULL, false, NULL), REGISTRY_INVALID);
	fixture_close(&f);
}

TEST("changing a device to certificates forgets its keys for good")
{
	struct fixture f = fixture_new();
	OWN(identity) now = NULL;

	put(&f, sas_device("dev1"), NULL, false, NULL);
	CHECK_INT(put(&f, thumbprint_device("dev1"), "*", false, &now), REGISTRY_OK);
	CHECK_INT(now->keys[0].len, 0);
	CHECK_STR(now->thumbprints[0], "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF");
	identity_free(now);
	CHECK_INT(put(&f, sas_device("dev1"), "*", false, &now), REGISTRY_OK);
	CHECK(!now->thumbprints[0]);
	fixture_close(&f);
}

TEST("a certificate device without any thumbprint is refused")
{
	struct fixture f = fixture_new();
	struct identity *wanted = sas_device("dev1");

	wanted->auth = IDENTITY_AUTH_THUMBPRINT;
	CHECK_INT(put(&f, wanted, NULL, false, NULL), REGISTRY_INVALID);
	fixture_close(&f);
}

TEST("a gateway gets a scope that never changes, and the two modules of every runtime without credentials")
{
	struct fixture f = fixture_new();
	OWN(identity) now = NULL;
	OWN(identity) later = NULL;
	OWN(identity) agent = NULL;
	OWN(identity) hub = NULL;

	CHECK_INT(put(&f, gateway("gw.1-a"), NULL, false, &now), REGISTRY_OK);
	CHECK(text_starts(now->scope, "ms-azure-iot-edge://gw.1-a-"));
	CHECK_INT(strlen(now->scope), strlen("ms-azure-iot-edge://gw.1-a-") + 18);
	agent = registry_find(f.registry, "gw.1-a", "$edgeAgent");
	hub = registry_find(f.registry, "gw.1-a", "$edgeHub");
	CHECK(agent && hub);
	CHECK_INT(hub->auth, IDENTITY_AUTH_NONE);
	CHECK(!text_is(agent->generation_id, hub->generation_id));
	/* An update may leave the capability out. */
	CHECK_INT(put(&f, sas_device("gw.1-a"), "*", false, &later), REGISTRY_OK);
	CHECK(later->is_edge);
	CHECK_STR(later->scope, now->scope);
	CHECK_INT(drop(&f, "gw.1-a", "$edgeHub", "*"), REGISTRY_SYSTEM_MODULE);
	fixture_close(&f);
}

TEST("a child stands in its parent's scope and is found there; a scope of nobody is refused")
{
	struct fixture f = fixture_new();
	struct identity *wanted;
	OWN(identity) parent = NULL;
	OWN(identity) leaf = NULL;
	OWN(identity) up = NULL;

	put(&f, gateway("gw"), NULL, false, &parent);
	CHECK_INT(put(&f, child_of(parent, sas_device("leaf")), NULL, false, &leaf), REGISTRY_OK);
	CHECK_STR(leaf->scope, parent->scope);
	CHECK_STR(leaf->parents[0], parent->scope);
	up = registry_find_parent(f.registry, leaf);
	CHECK(up && text_is(up->device_id, "gw"));
	CHECK(registry_is_below(f.registry, leaf->device_id, "gw"));
	CHECK(!registry_is_below(f.registry, parent->device_id, "leaf"));
	wanted = sas_device("leaf2");
	wanted->scope = mem_text(parent->scope); /* as a service sends it */
	CHECK_INT(put(&f, wanted, NULL, false, NULL), REGISTRY_OK);
	wanted = sas_device("leaf3");
	wanted->scope = mem_text("ms-azure-iot-edge://gw-123456789012345678");
	CHECK_INT(put(&f, wanted, NULL, false, NULL), REGISTRY_BAD_SCOPE);
	fixture_close(&f);
}

TEST("a module that asks for a scope gets none, and does not show in that scope")
{
	struct fixture f = fixture_new();
	struct registry_call call = { .op = REGISTRY_LIST_CHILDREN, .max = 10 };
	struct identity *wanted = module("dev1", "m1");
	OWN(identity) parent = NULL;
	OWN(identity) now = NULL;

	put(&f, gateway("gw"), NULL, false, &parent);
	put(&f, sas_device("dev1"), NULL, false, NULL);
	wanted->scope = mem_text(parent->scope);
	CHECK_INT(put(&f, child_of(parent, wanted), NULL, true, &now), REGISTRY_OK);
	CHECK(!now->scope && now->n_parents == 0);
	call.scope = mem_text(parent->scope);
	registry_run(f.registry, &call);
	CHECK_INT(call.n_found, 0);
	registry_call_clear(&call);
	fixture_close(&f);
}

TEST("gateways nest five deep and never in a circle")
{
	struct fixture f = fixture_new();
	struct identity *level[6] = { NULL };
	OWN(identity) leaf = NULL;
	char id[16];

	CHECK_INT(put(&f, gateway("gw0"), NULL, false, &level[0]), REGISTRY_OK);
	for (int i = 1; i < 5; i++) {
		snprintf(id, sizeof(id), "gw%d", i);
		CHECK_INT(put(&f, child_of(level[i - 1], gateway(id)), NULL, false, &level[i]), REGISTRY_OK);
	}
	CHECK_INT(put(&f, child_of(level[4], sas_device("leaf")), NULL, false, &leaf), REGISTRY_OK);
	CHECK(registry_is_below(f.registry, leaf->device_id, "gw0"));
	CHECK_INT(put(&f, child_of(level[4], gateway("gw5")), NULL, false, NULL), REGISTRY_BAD_SCOPE);
	CHECK_INT(put(&f, child_of(level[4], gateway("leaf")), "*", false, NULL), REGISTRY_BAD_SCOPE);
	CHECK_INT(put(&f, child_of(level[2], gateway("gw0")), "*", false, NULL), REGISTRY_BAD_SCOPE);
	CHECK_INT(put(&f, child_of(level[1], gateway("gw1")), "*", false, NULL), REGISTRY_BAD_SCOPE);
	for (int i = 0; i < 5; i++)
		identity_free(level[i]);
	fixture_close(&f);
}

TEST("a module gets keys, belongs to its device and goes with it")
{
	struct fixture f = fixture_new();
	OWN(identity) now = NULL;
	size_t n, enabled;

	put(&f, sas_device("dev1"), NULL, false, NULL);
	CHECK_INT(put(&f, module("dev1", "mod1"), NULL, true, &now), REGISTRY_OK);
	CHECK_INT(now->auth, IDENTITY_AUTH_SAS);
	CHECK_INT(now->keys[0].len, 32);
	CHECK_INT(put(&f, module("dev1", "$mine"), NULL, true, NULL), REGISTRY_INVALID);
	registry_count(f.registry, &n, &enabled);
	CHECK_INT(n, 1);
	CHECK_INT(drop(&f, "dev1", NULL, "*"), REGISTRY_OK);
	CHECK(!registry_find(f.registry, "dev1", "mod1"));
	registry_count(f.registry, &n, &enabled);
	CHECK_INT(n, 0);
	fixture_close(&f);
}

TEST("a device has at most fifty modules")
{
	struct fixture f = fixture_new();
	char id[16];

	put(&f, sas_device("dev1"), NULL, false, NULL);
	for (int i = 0; i < REGISTRY_MODULES_MAX; i++) {
		snprintf(id, sizeof(id), "mod%d", i);
		CHECK_INT(put(&f, module("dev1", id), NULL, true, NULL), REGISTRY_OK);
	}
	CHECK_INT(put(&f, module("dev1", "one-more"), NULL, true, NULL), REGISTRY_TOO_MANY_MODULES);
	fixture_close(&f);
}

TEST("atk-25: a device that is deleted and created again has another generation, other keys and no old etag")
{
	struct fixture f = fixture_new();
	OWN(identity) first = NULL;
	OWN(identity) second = NULL;

	clock_set_for_test(1772366400);
	put(&f, sas_device("dev1"), NULL, false, &first);
	CHECK_INT(drop(&f, "dev1", NULL, NULL), REGISTRY_OK);
	fixture_close(&f);
	fixture_open(&f); /* also when the hub was started again within the same instant */
	put(&f, sas_device("dev1"), NULL, false, &second);
	clock_set_for_test(0);
	CHECK(!text_is(first->generation_id, second->generation_id));
	CHECK(!text_is(first->etag, second->etag));
	CHECK(memcmp(first->keys[0].bytes, second->keys[0].bytes, 32) != 0);
	fixture_close(&f);
}

TEST("everything is there again after the hub was started again")
{
	struct fixture f = fixture_new();
	OWN(identity) parent = NULL;
	OWN(identity) before = NULL;
	OWN(identity) after = NULL;
	struct identity *wanted;

	put(&f, gateway("gw"), NULL, false, &parent);
	wanted = child_of(parent, thumbprint_device("leaf"));
	wanted->status_reason = mem_text("maintenance");
	wanted->enabled = false;
	put(&f, wanted, NULL, false, &before);
	fixture_close(&f);
	fixture_open(&f);
	after = registry_find(f.registry, "leaf", NULL);
	CHECK(after != NULL);
	CHECK_STR(after->generation_id, before->generation_id);
	CHECK_STR(after->etag, before->etag);
	CHECK_STR(after->status_reason, "maintenance");
	CHECK_STR(after->thumbprints[0], before->thumbprints[0]);
	CHECK(!after->thumbprints[1] && !after->enabled && !after->is_edge);
	CHECK_INT(after->auth, IDENTITY_AUTH_THUMBPRINT);
	CHECK_STR(after->parents[0], parent->scope);
	CHECK_INT(after->created, before->created);
	fixture_close(&f);
}

TEST("lists come in order and a page at a time")
{
	struct fixture f = fixture_new();
	struct registry_call call = { .op = REGISTRY_LIST_DEVICES, .max = 2 };
	struct registry_call next = { .op = REGISTRY_LIST_DEVICES, .max = 2, .after = mem_text("b") };

	put(&f, sas_device("c"), NULL, false, NULL);
	put(&f, sas_device("a"), NULL, false, NULL);
	put(&f, sas_device("b"), NULL, false, NULL);
	put(&f, module("a", "m"), NULL, true, NULL);
	registry_run(f.registry, &call);
	CHECK_INT(call.n_found, 2);
	CHECK_STR(call.found[0]->device_id, "a");
	CHECK_STR(call.found[1]->device_id, "b");
	CHECK(call.more);
	registry_run(f.registry, &next);
	CHECK_INT(next.n_found, 1);
	CHECK_STR(next.found[0]->device_id, "c");
	CHECK(!next.more);
	registry_call_clear(&call);
	registry_call_clear(&next);
	fixture_close(&f);
}

struct seen {
	int n;
	char last[64];
	bool removed;
};

static void
on_change(void *arg, const struct identity *before, const struct identity *after)
{
	struct seen *seen = arg;
	OWN_TEXT name = identity_name(before->device_id, before->module_id);

	seen->n++;
	seen->removed = after == NULL;
	snprintf(seen->last, sizeof(seen->last), "%s", name);
}

TEST("who watches for changes and removals is told of them, not of what is new")
{
	struct fixture f = fixture_new();
	struct seen seen = { 0 };
	uint64_t epoch;

	registry_watch(f.registry, REGISTRY_CHANGED | REGISTRY_REMOVED, on_change, &seen);
	put(&f, sas_device("dev1"), NULL, false, NULL);
	CHECK_INT(seen.n, 0);
	epoch = registry_epoch(f.registry);
	put(&f, sas_device("dev1"), "*", false, NULL);
	CHECK_INT(seen.n, 1);
	CHECK(registry_epoch(f.registry) != epoch);
	put(&f, module("dev1", "m"), NULL, true, NULL);
	drop(&f, "dev1", NULL, NULL);
	CHECK_INT(seen.n, 3);
	CHECK(seen.removed);
	CHECK_STR(seen.last, "dev1");
	fixture_close(&f);
}

static void
on_lifecycle(void *arg, const struct identity *before, const struct identity *after)
{
	const struct identity *identity = after ? after : before;
	struct buf *told = arg;
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);

	buf_putf(told, "%c%s ", after ? '+' : '-', name);
}

TEST("who watches for lives is told of births and deaths: system modules come with a gateway, and all modules go with their device")
{
	struct fixture f = fixture_new();
	CLEAR(buf) told = BUF_INIT(1000);
	OWN(identity) gateway = sas_device("gw");

	registry_watch(f.registry, REGISTRY_CREATED | REGISTRY_REMOVED, on_lifecycle, &told);
	put(&f, sas_device("dev1"), NULL, false, NULL);
	put(&f, sas_device("dev1"), "*", false, NULL);
	put(&f, module("dev1", "m"), NULL, true, NULL);
	CHECK_STR(buf_text(&told), "+dev1 +dev1/m ");
	buf_reset(&told);
	drop(&f, "dev1", NULL, NULL);
	CHECK_STR(buf_text(&told), "-dev1/m -dev1 ");
	buf_reset(&told);
	gateway->is_edge = true;
	put(&f, GIVE(gateway), NULL, false, NULL);
	CHECK_STR(buf_text(&told), "+gw +gw/$edgeAgent +gw/$edgeHub ");
	fixture_close(&f);
}

TEST("several watch, each for its own, in the order in which they began")
{
	struct fixture f = fixture_new();
	CLEAR(buf) told = BUF_INIT(1000);
	struct seen seen = { 0 };

	registry_watch(f.registry, REGISTRY_REMOVED, on_lifecycle, &told);
	registry_watch(f.registry, REGISTRY_CHANGED, on_change, &seen);
	registry_watch(f.registry, REGISTRY_ALL, on_lifecycle, &told);
	put(&f, sas_device("dev1"), NULL, false, NULL);
	CHECK_STR(buf_text(&told), "+dev1 ");
	CHECK_INT(seen.n, 0);
	put(&f, sas_device("dev1"), "*", false, NULL);
	CHECK_STR(buf_text(&told), "+dev1 +dev1 ");
	CHECK_INT(seen.n, 1);
	drop(&f, "dev1", NULL, NULL);
	CHECK_STR(buf_text(&told), "+dev1 +dev1 -dev1 -dev1 ");
	CHECK_INT(seen.n, 1);
	fixture_close(&f);
}

static struct registry_call
item_with_tag(const char *id, const char *tag)
{
	return (struct registry_call){ .op = REGISTRY_PUT,
		.device_id = mem_text(id),
		.wanted = sas_device(id),
		.twin = json_pack("{s:{s:s}}", "tags", tag, "1") };
}

TEST("the twins that devices of a bulk begin with are kept in its transaction; one that is wrong refuses its device and no other")
{
	struct fixture f = fixture_new();
	struct registry_call call = { .op = REGISTRY_BULK, .items = mem_array(3, sizeof(struct registry_call)), .n_items = 3 };
	struct err err = ERR_INIT;
	OWN(twin) kept = NULL;
	OWN(twin) refused = NULL;
	size_t n, enabled;

	call.items[0] = item_with_tag("dev1", "good");
	call.items[1] = item_with_tag("dev2", "a.b");
	call.items[2] = item_with_tag("dev1", "again");
	registry_run(f.registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	CHECK_INT(call.items[0].answer, REGISTRY_OK);
	CHECK_INT(call.items[1].answer, REGISTRY_INVALID);
	CHECK_INT(call.items[2].answer, REGISTRY_EXISTS);
	kept = twin_store_get(registry_store_db(f.store), "dev1", NULL, &err);
	CHECK_STR(json_string_value(json_object_get(kept->tags, "good")), "1");
	CHECK_INT(json_object_size(kept->tags), 1);
	refused = twin_store_get(registry_store_db(f.store), "dev2", NULL, &err);
	CHECK_INT(json_object_size(refused->tags), 0);
	registry_count(f.registry, &n, &enabled);
	CHECK_INT(n, 1);
	registry_call_clear(&call);
	fixture_close(&f);
}

TEST("the five policies are made once, with keys that stay")
{
	struct fixture f = fixture_new();
	struct err err = ERR_INIT;
	OWN(policies) first = policies_load(f.store, &err);
	OWN(policies) second = policies_load(f.store, &err);
	const struct auth_service_policy *owner, *reader;

	CHECK_INT(first->n, 5);
	owner = policies_find(first, "iothubowner");
	reader = policies_find(second, "registryRead");
	CHECK_INT(owner->rights, AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE | AUTH_SERVICE_CONNECT | AUTH_DEVICE_CONNECT);
	CHECK_INT(reader->rights, AUTH_REGISTRY_READ);
	CHECK_MEM(owner->keys[0]->bytes, policies_find(second, "iothubowner")->keys[0]->bytes, 32);
	CHECK(memcmp(owner->keys[0]->bytes, reader->keys[0]->bytes, 32) != 0);
	CHECK(!policies_find(first, "nobody"));
	fixture_close(&f);
}
