/* SPDX-License-Identifier: Apache-2.0 */
/* What registered CAs become by a folder of roots. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "ca/trust_dir.h"
#include "hub/hub_roots.h"
#include "pki/story.h"

struct plant {
	char *path, *dir, *first_key, *second_key;
	struct registry_store *store;
	struct registry *registry;
	struct ca_registry *cas;
	struct made root;
	struct trust_dir trust;
};

static struct plant
plant_new(void)
{
	struct plant p = { .root = story_root("plant root") };
	struct err err = ERR_INIT;
	static int n;

	clock_set_for_test(STORY_NOW);
	p.path = mem_textf("%s/roots-%d.sqlite", T_TMPDIR, ++n);
	p.dir = mem_textf("%s/trust-%d", T_TMPDIR, n);
	p.first_key = mem_textf("%s/first-%d.key", T_TMPDIR, n);
	p.second_key = mem_textf("%s/second-%d.key", T_TMPDIR, n);
	p.store = registry_store_open(p.path, &err);
	p.registry = p.store ? registry_open(p.store, NULL, &err) : NULL;
	p.cas = p.registry ? ca_open(p.registry, CA_OF_HUB, NULL, &err) : NULL;
	if (!p.cas || key_save(p.root.key, p.first_key, &err) < 0 || trust_dir_open(&p.trust, p.dir, &err) < 0 ||
		rollover_begin(&p.trust.roots, p.root.cert, STORY_NOW, &err) < 0 || trust_dir_save(&p.trust, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

static void
plant_clear(struct plant *p)
{
	trust_dir_clear(&p->trust);
	ca_close(p->cas);
	registry_close(p->registry);
	registry_store_close(p->store);
	made_clear(&p->root);
	mem_free(p->path);
	mem_free(p->dir);
	mem_free(p->first_key);
	mem_free(p->second_key);
	clock_set_for_test(0);
}

/* The root is registered, for the devices of one line. */
static void
enlist(struct plant *p, bool verified)
{
	char *patterns[] = { (char *)(uintptr_t) "line-*" };
	struct authority_scope scope = { .patterns = patterns, .n_patterns = 1 };
	struct ca_call call = { .op = CA_PUT,
		.name = mem_text("plant"),
		.cert = cert_ref(p->root.cert),
		.has_verified = true,
		.is_verified = verified,
		.has_scope = true };

	call.scope = authority_scope_copy(&scope);
	ca_run(p->cas, &call);
	CHECK_INT(call.answer, CA_OK);
	ca_call_clear(&call);
}

static void
drop(struct plant *p, const char *name)
{
	struct ca_call call = { .op = CA_REMOVE, .name = mem_text(name), .if_match = mem_text("*") };

	ca_run(p->cas, &call);
	CHECK_INT(call.answer, CA_OK);
	ca_call_clear(&call);
}

static void
follow(struct plant *p)
{
	struct err err = ERR_INIT;

	CHECK_OK(trust_dir_save(&p->trust, &err), err);
	CHECK_OK(hub_roots_apply(p->cas, p->registry, p->dir, &err), err);
}

static void
announce(struct plant *p)
{
	struct trust_wish wish = { "plant root 2", p->second_key, p->first_key, "ec-p256", STORY_NOW + 20 * STORY_DAY };
	struct err err = ERR_INIT;

	CHECK_OK(trust_dir_announce(&p->trust, &wish, STORY_NOW, &err), err);
	follow(p);
}

/* "SUBJECT (verified) for PATTERN; ..." in the order of their names. */
static char *
registered(struct plant *p)
{
	struct ca_call call = { .op = CA_LIST };
	struct buf words = BUF_INIT(4096);

	ca_run(p->cas, &call);
	for (size_t i = 0; i < call.n_found; i++)
		buf_putf(&words, "%s%s%s%s%s", i > 0 ? "; " : "", cert_subject(call.found[i]->cert),
			call.found[i]->is_verified ? " verified" : "", call.found[i]->scope.n_patterns > 0 ? " for " : "",
			call.found[i]->scope.n_patterns > 0 ? call.found[i]->scope.patterns[0] : "");
	ca_call_clear(&call);
	return buf_take_text(&words);
}

#define CHECK_REGISTERED(plant, words)                                                                                             \
	do {                                                                                                                       \
		OWN_TEXT found = registered(plant);                                                                                \
		CHECK_STR(found, words);                                                                                           \
	} while (0)

#define FIRST "CN=plant root verified for line-*"
#define SECOND "CN=plant root 2 verified for line-*"

TEST("an announced root is registered beside the one before it, for the same devices, and that one is deleted when it has retired")
{
	CLEAR(plant) p = plant_new();
	struct err err = ERR_INIT;

	enlist(&p, true);
	follow(&p);
	CHECK_REGISTERED(&p, FIRST);
	announce(&p);
	CHECK_REGISTERED(&p, FIRST "; " SECOND);
	CHECK_OK(rollover_activate(&p.trust.roots, STORY_NOW, &err), err);
	follow(&p);
	CHECK_REGISTERED(&p, FIRST "; " SECOND);
	CHECK_OK(rollover_retire(&p.trust.roots, STORY_NOW, &err), err);
	follow(&p);
	CHECK_REGISTERED(&p, SECOND);
}

TEST("a root that was announced and given up is deleted again")
{
	CLEAR(plant) p = plant_new();
	struct err err = ERR_INIT;

	enlist(&p, true);
	announce(&p);
	CHECK_OK(rollover_retire(&p.trust.roots, STORY_NOW, &err), err);
	follow(&p);
	CHECK_REGISTERED(&p, FIRST);
}

TEST("a step is taken once: what the operator has deleted since does not come back")
{
	CLEAR(plant) p = plant_new();
	CLEAR(ca_call) list = { .op = CA_LIST };

	enlist(&p, true);
	announce(&p);
	ca_run(p.cas, &list);
	CHECK_INT(list.n_found, 2);
	for (size_t i = 0; i < 2; i++)
		if (!text_is(list.found[i]->name, "plant"))
			drop(&p, list.found[i]->name);
	follow(&p);
	CHECK_REGISTERED(&p, FIRST);
}

TEST("a root that is not registered, or not verified, speaks for no other one; where nothing would be left nothing is deleted, "
     "which is said until something is")
{
	CLEAR(plant) stranger = plant_new();
	CLEAR(plant) doubtful = plant_new();
	struct err err = ERR_INIT;

	announce(&stranger);
	CHECK_REGISTERED(&stranger, "");
	enlist(&doubtful, false);
	announce(&doubtful);
	CHECK_REGISTERED(&doubtful, "CN=plant root for line-*");
	CHECK_OK(rollover_activate(&doubtful.trust.roots, STORY_NOW, &err), err);
	CHECK_OK(rollover_retire(&doubtful.trust.roots, STORY_NOW, &err), err);
	CHECK_OK(trust_dir_save(&doubtful.trust, &err), err);
	CHECK(hub_roots_apply(doubtful.cas, doubtful.registry, doubtful.dir, &err) < 0);
	CHECK_ERR(err, ERR_CONFLICT, "CN=plant root has retired, but none that follows it");
	CHECK_REGISTERED(&doubtful, "CN=plant root for line-*");
	drop(&doubtful, "plant");
	enlist(&doubtful, true);
	follow(&doubtful);
	CHECK_REGISTERED(&doubtful, SECOND);
}

/* Does it warn of the operator's file? */
static bool
tells_of_file(struct plant *p)
{
	OWN_TEXT path = mem_textf("%s/log", T_TMPDIR);
	CLEAR(buf) said = BUF_INIT(1024 * 1024);
	int before = dup(STDERR_FILENO), log = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	struct err err = ERR_INIT;

	dup2(log, STDERR_FILENO);
	follow(p);
	dup2(before, STDERR_FILENO);
	close(before);
	close(log);
	CHECK_OK(file_load(&said, path, &err), err);
	return strstr(buf_text(&said), "CN=plant root has retired, and devices are let in by it still") != NULL;
}

TEST("the operator's file of CAs is his: what follows a root in it is registered, and that it has retired is said at each start, "
     "until it is out of the file")
{
	CLEAR(plant) p = plant_new();
	OWN_TEXT path = mem_textf("%s/device-ca.pem", T_TMPDIR);
	CLEAR(buf) pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	cert_put_pem(p.root.cert, &pem);
	CHECK_OK(file_save(path, pem.data, pem.len, 0600, &err), err);
	ca_close(p.cas);
	p.cas = ca_open(p.registry, CA_OF_HUB, path, &err);
	announce(&p);
	CHECK_REGISTERED(&p, "CN=plant root 2 verified");
	CHECK_OK(rollover_activate(&p.trust.roots, STORY_NOW, &err), err);
	CHECK(!tells_of_file(&p));
	CHECK_OK(rollover_retire(&p.trust.roots, STORY_NOW, &err), err);
	CHECK(tells_of_file(&p));
	CHECK(tells_of_file(&p)); /* as after another start */
	ca_close(p.cas);
	p.cas = ca_open(p.registry, CA_OF_HUB, NULL, &err);
	CHECK(!tells_of_file(&p));
	CHECK_REGISTERED(&p, "CN=plant root 2 verified");
}

TEST("a folder that is damaged changes nothing, and is named")
{
	CLEAR(plant) p = plant_new();
	OWN_TEXT state = mem_textf("%s/trust.json", p.dir);
	struct err err = ERR_INIT;

	enlist(&p, true);
	announce(&p);
	CHECK_OK(file_save(state, "{\"version\":1,", 13, 0644, &err), err);
	CHECK_INT(hub_roots_apply(p.cas, p.registry, p.dir, &err), -1);
	CHECK_CONTAINS(err.text, "trust.json");
	CHECK_REGISTERED(&p, FIRST "; " SECOND);
}
