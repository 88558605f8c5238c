/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of scopes: which change moves whose etag, and which names a difference has. */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/scope_journal.h"
#include "pki/story.h"
#include "t.h"

struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct ca_registry *cas;
	struct scope_journal *journal;
};

static struct fixture
fixture_new(void)
{
	struct fixture f = { 0 };
	struct err err = ERR_INIT;
	static int n;

	snprintf(f.path, sizeof(f.path), "%s/journal-%d.sqlite", T_TMPDIR, n++);
	f.store = registry_store_open(f.path, &err);
	f.registry = f.store ? registry_open(f.store, NULL, &err) : NULL;
	f.cas = f.registry ? ca_open(f.registry, CA_OF_HUB, NULL, &err) : NULL;
	if (!f.cas)
		fail_msg("%s", err.text);
	f.journal = scope_journal_open(f.registry, f.cas);
	return f;
}

static void
fixture_clear(struct fixture *f)
{
	scope_journal_close(f->journal);
	ca_close(f->cas);
	registry_close(f->registry);
	registry_store_close(f->store);
}

/* Puts it below `parent` (NULL: below none), whatever is there; the caller owns the record. */
static struct identity *
put(struct fixture *f, const char *device_id, const char *module_id, const struct identity *parent, bool is_edge, bool is_new)
{
	struct identity *wanted = identity_new(device_id, module_id), *now;
	struct registry_call call = { .op = REGISTRY_PUT, .device_id = mem_text(device_id), .module_id = mem_text(module_id) };

	wanted->enabled = true;
	wanted->auth = IDENTITY_AUTH_SAS;
	wanted->is_edge = is_edge;
	if (parent) {
		wanted->parents[0] = mem_text(parent->scope);
		wanted->n_parents = 1;
	}
	call.wanted = wanted;
	call.if_match = is_new ? NULL : mem_text("*");
	registry_run(f->registry, &call);
	if (call.answer != REGISTRY_OK)
		fail_msg("%s is not put: %d %s", device_id, (int)call.answer, call.err.text);
	now = identity_ref(call.found[0]);
	registry_call_clear(&call);
	return now;
}

static void
drop(struct fixture *f, const char *device_id, const char *module_id)
{
	struct registry_call call = { .op = REGISTRY_REMOVE, .device_id = mem_text(device_id), .module_id = mem_text(module_id) };

	registry_run(f->registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
}

/* "b a", newest first, or "all". */
static char *
since(struct fixture *f, const char *gateway, const char *etag)
{
	CLEAR(buf) text = BUF_INIT(1 << 16);
	char **names;
	size_t n;

	if (!scope_journal_since(f->journal, gateway, etag, &names, &n))
		return mem_text("all");
	for (size_t i = 0; i < n; i++) {
		buf_putf(&text, "%s%s", i ? " " : "", names[i]);
		mem_free(names[i]);
	}
	mem_free(names);
	return buf_take_text(&text);
}

#define CHECK_SINCE(gateway, etag, expected)                                                                                       \
	do {                                                                                                                       \
		OWN_TEXT got = since(&f, gateway, etag);                                                                           \
		CHECK_STR(got, expected);                                                                                          \
	} while (0)

TEST("what is made, changed and deleted below a gateway is in its difference, once, and moves no other gateway's etag")
{
	CLEAR(fixture) f = fixture_new();
	OWN(identity) gw = put(&f, "gw", NULL, NULL, true, true);
	OWN(identity) other = put(&f, "other", NULL, NULL, true, true);
	OWN_TEXT before = scope_journal_etag(f.journal, "gw");
	OWN_TEXT others = scope_journal_etag(f.journal, "other");
	OWN_TEXT after = NULL;
	OWN_TEXT others_after = NULL;

	CHECK_SINCE("gw", before, "");
	identity_free(put(&f, "a", NULL, gw, false, true));
	identity_free(put(&f, "b", NULL, gw, false, true));
	identity_free(put(&f, "b", "m", NULL, false, true));
	identity_free(put(&f, "a", NULL, gw, false, false));
	drop(&f, "b", "m");
	identity_free(put(&f, "alone", NULL, NULL, false, true));
	after = scope_journal_etag(f.journal, "gw");
	others_after = scope_journal_etag(f.journal, "other");
	CHECK(!text_is(before, after));
	CHECK_STR(others_after, others);
	CHECK_SINCE("gw", before, "b/m a b");
	CHECK_SINCE("gw", after, "");
	CHECK_SINCE("other", others, "");
}

TEST("a device that moves is in the difference of both gateways, and of the new one with its modules")
{
	CLEAR(fixture) f = fixture_new();
	OWN(identity) left = put(&f, "left", NULL, NULL, true, true);
	OWN(identity) entered = put(&f, "entered", NULL, NULL, true, true);
	OWN_TEXT of_left = NULL;
	OWN_TEXT of_entered = NULL;

	identity_free(put(&f, "a", NULL, left, false, true));
	identity_free(put(&f, "a", "m", NULL, false, true));
	of_left = scope_journal_etag(f.journal, "left");
	of_entered = scope_journal_etag(f.journal, "entered");
	identity_free(put(&f, "a", NULL, entered, false, false));
	CHECK_SINCE("left", of_left, "a");
	CHECK_SINCE("entered", of_entered, "a/m a");
}

TEST("a gateway stands in its own list, with its modules, and in that of the one above")
{
	CLEAR(fixture) f = fixture_new();
	OWN(identity) above = put(&f, "above", NULL, NULL, true, true);
	OWN(identity) below = put(&f, "below", NULL, above, true, true);
	OWN_TEXT of_above = scope_journal_etag(f.journal, "above");
	OWN_TEXT of_below = scope_journal_etag(f.journal, "below");

	identity_free(put(&f, "below", NULL, above, true, false));
	identity_free(put(&f, "below", "m", NULL, false, true));
	CHECK_SINCE("above", of_above, "below/m below");
	CHECK_SINCE("below", of_below, "below/m below");
	drop(&f, "below", NULL);
	/* Its modules go before it does. */
	CHECK_SINCE("above", of_above, "below below/m below/$edgeHub below/$edgeAgent");
}

TEST("a gateway that was deleted and made again has no difference from its life before")
{
	CLEAR(fixture) f = fixture_new();
	OWN(identity) gw = put(&f, "gw", NULL, NULL, true, true);
	OWN_TEXT before = scope_journal_etag(f.journal, "gw");
	OWN_TEXT after = NULL;

	drop(&f, "gw", NULL);
	identity_free(put(&f, "gw", NULL, NULL, true, true));
	CHECK_SINCE("gw", before, "all");
	after = scope_journal_etag(f.journal, "gw");
	CHECK_SINCE("gw", after, "");
}

TEST("a CA that is registered moves the etag of each gateway, and no name")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	OWN(identity) gw = put(&f, "gw", NULL, NULL, true, true);
	OWN_TEXT before = scope_journal_etag(f.journal, "gw");
	OWN_TEXT after = NULL;
	struct ca_call call = { .op = CA_PUT, .name = mem_text("factory"), .cert = cert_ref(root.cert) };

	clock_set_for_test(STORY_NOW);
	ca_run(f.cas, &call);
	clock_set_for_test(0);
	CHECK_INT(call.answer, CA_OK);
	ca_call_clear(&call);
	after = scope_journal_etag(f.journal, "gw");
	CHECK(!text_is(before, after));
	CHECK_SINCE("gw", before, "");
	CHECK_SINCE("gw", after, "");
}

TEST("an etag of another life, of the future, or no etag at all is answered with all")
{
	CLEAR(fixture) f = fixture_new();
	OWN(identity) gw = put(&f, "gw", NULL, NULL, true, true);
	OWN_TEXT etag = scope_journal_etag(f.journal, "gw");
	OWN_TEXT life = mem_textn(etag, 16);
	static const char *const tails[] = { "-99", "--1", "-", "", "-1x", "-99999999999999999999999" };

	for (size_t i = 0; i < COUNT(tails); i++) {
		OWN_TEXT wrong = mem_textf("%s%s", life, tails[i]);

		CHECK_SINCE("gw", wrong, "all");
	}
	CHECK_SINCE("gw", "", "all");
	CHECK_SINCE("gw", "0000000000000000-0", "all");
}

TEST("more changes than an answer may have, or than are remembered, are answered with all; CAs beside them do no harm")
{
	CLEAR(fixture) f = fixture_new();
	OWN(identity) gw = put(&f, "gw", NULL, NULL, true, true);
	OWN(identity) small = put(&f, "small", NULL, NULL, true, true);
	OWN_TEXT before = scope_journal_etag(f.journal, "gw");
	OWN_TEXT of_small = scope_journal_etag(f.journal, "small");
	char id[32];

	for (int i = 0; i <= SCOPE_DIFFERENCE_MAX; i++) {
		if (i == SCOPE_DIFFERENCE_MAX) {
			OWN_TEXT seen = since(&f, "gw", before);

			CHECK(!text_is(seen, "all"));
		}
		snprintf(id, sizeof(id), "d%d", i);
		identity_free(put(&f, id, NULL, gw, false, true));
	}
	CHECK_SINCE("gw", before, "all");
	CHECK_SINCE("small", of_small, "");
}
