/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate objects: what may be registered, what proves, and what survives a restart. */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "hub/registry/ca.h"
#include "pki/story.h"
#include "wire/codec.h"
#include "wire/json.h"

struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct ca_registry *cas;
};

static void
fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	clock_set_for_test(STORY_NOW);
	f->store = registry_store_open(f->path, &err);
	f->registry = f->store ? registry_open(f->store, NULL, &err) : NULL;
	f->cas = f->registry ? ca_open(f->registry, CA_OF_HUB, NULL, &err) : NULL;
	if (!f->cas)
		fail_msg("%s", err.text);
}

static void
fixture_clear(struct fixture *f)
{
	ca_close(f->cas);
	registry_close(f->registry);
	registry_store_close(f->store);
	clock_set_for_test(0);
}

static struct fixture
fixture_new(void)
{
	struct fixture f = { 0 };
	static int n;

	snprintf(f.path, sizeof(f.path), "%s/ca-%d.sqlite", T_TMPDIR, n++);
	fixture_open(&f);
	return f;
}

/* The answer; and for who asks the object as it is now. */
static enum ca_answer
call(struct fixture *f, struct ca_call c, const char *name, const char *if_match, const struct made *made, struct ca_record **now)
{
	enum ca_answer answer;

	c.name = mem_text(name);
	c.if_match = mem_text(if_match);
	c.cert = made ? cert_ref(made->cert) : NULL;
	ca_run(f->cas, &c);
	answer = c.answer;
	if (now)
		*now = c.n_found > 0 ? ca_record_copy(c.found[0]) : NULL;
	ca_call_clear(&c);
	return answer;
}

#define PUT ((struct ca_call){ .op = CA_PUT })
#define OP(which) ((struct ca_call){ .op = which })

static bool
vouches(struct fixture *f, const struct made *ca)
{
	OWN(authorities) set = ca_current(f->cas);

	return authorities_find(set, cert_sha256(ca->cert)) != NULL;
}

TEST("a CA is registered unverified, verified by a leaf with the code as CN, and is all of it after a restart")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	OWN(ca_record) put = NULL;
	OWN(ca_record) coded = NULL;
	OWN(ca_record) verified = NULL;
	OWN(ca_record) kept = NULL;
	uint64_t epoch;

	CHECK_INT(call(&f, PUT, "factory", NULL, &root, &put), CA_OK);
	CHECK(!put->is_verified);
	CHECK(!vouches(&f, &root));
	CHECK_INT(call(&f, OP(CA_VERIFY), "factory", "*", &root, NULL), CA_NO_CODE);
	CHECK_INT(call(&f, OP(CA_CODE), "factory", put->etag, NULL, &coded), CA_OK);
	CHECK_INT(strlen(coded->code), 2 * CA_CODE_BYTES);
	CHECK(!text_is(put->etag, coded->etag));
	CHECK_INT(call(&f, OP(CA_VERIFY), "factory", put->etag, &root, NULL), CA_WRONG_ETAG);
	{
		CLEAR(made) proof = story_server(coded->code, &root);

		epoch = registry_epoch(f.registry);
		CHECK_INT(call(&f, OP(CA_VERIFY), "factory", coded->etag, &proof, &verified), CA_OK);
		CHECK(registry_epoch(f.registry) > epoch);
		CHECK(verified->is_verified && !verified->code);
		CHECK(vouches(&f, &root));
		/* A code proves once. */
		CHECK_INT(call(&f, OP(CA_VERIFY), "factory", verified->etag, &proof, NULL), CA_NO_CODE);
	}
	fixture_clear(&f);
	fixture_open(&f);
	CHECK(vouches(&f, &root));
	CHECK_INT(call(&f, OP(CA_GET), "factory", NULL, NULL, &kept), CA_OK);
	CHECK_STR(kept->etag, verified->etag);
	CHECK(kept->is_verified);
}

TEST("what proves nothing: another CN, another key, a leaf out of date, the code of before")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) twin = story_root("root");
	OWN(ca_record) old = NULL;
	OWN(ca_record) coded = NULL;

	CHECK_INT(call(&f, PUT, "factory", NULL, &root, NULL), CA_OK);
	CHECK_INT(call(&f, OP(CA_CODE), "factory", "*", NULL, &old), CA_OK);
	CHECK_INT(call(&f, OP(CA_CODE), "factory", "*", NULL, &coded), CA_OK);
	{
		CLEAR(made) wrong_name = story_device("somebody", &root);
		CLEAR(made) wrong_key = story_device(coded->code, &twin);
		CLEAR(made) old_code = story_device(old->code, &root);
		CLEAR(made) expired = story_crooked(
			(struct crooked){ .common_name = coded->code, .not_before = STORY_NOW - 200, .not_after = STORY_NOW - 100 },
			&root);
		CLEAR(made) two_names = story_crooked((struct crooked){ .common_name = coded->code, .second_name = "more" }, &root);
		CLEAR(made) self_signed = story_device(coded->code, NULL);
		const struct made *bad[] = { &wrong_name, &wrong_key, &old_code, &expired, &two_names, &self_signed };

		for (size_t i = 0; i < COUNT(bad); i++)
			CHECK_INT(call(&f, OP(CA_VERIFY), "factory", "*", bad[i], NULL), CA_INVALID);
	}
	CHECK(!vouches(&f, &root));
}

TEST("an intermediate is registered by itself, and verified by itself")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("CA", &root);
	OWN(ca_record) coded = NULL;

	CHECK_INT(call(&f, PUT, "ca", NULL, &ca, NULL), CA_OK);
	CHECK_INT(call(&f, OP(CA_CODE), "ca", "*", NULL, &coded), CA_OK);
	{
		CLEAR(made) by_root = story_device(coded->code, &root);
		CLEAR(made) by_ca = story_device(coded->code, &ca);

		CHECK_INT(call(&f, OP(CA_VERIFY), "ca", "*", &by_root, NULL), CA_INVALID);
		CHECK_INT(call(&f, OP(CA_VERIFY), "ca", "*", &by_ca, NULL), CA_OK);
	}
	CHECK(vouches(&f, &ca));
	CHECK(!vouches(&f, &root));
}

TEST("what is registered already is changed and deleted only by who says which state it means")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	OWN(ca_record) first = NULL;

	CHECK_INT(call(&f, PUT, "a", "*", &root, NULL), CA_MISSING);
	CHECK_INT(call(&f, PUT, "a", NULL, &root, &first), CA_OK);
	CHECK_INT(call(&f, PUT, "a", NULL, &root, NULL), CA_NO_ETAG);
	CHECK_INT(call(&f, PUT, "a", "AAAA", &root, NULL), CA_WRONG_ETAG);
	CHECK_INT(call(&f, PUT, "b", NULL, &root, NULL), CA_ELSEWHERE);
	CHECK_INT(call(&f, OP(CA_CODE), "a", NULL, NULL, NULL), CA_NO_ETAG);
	CHECK_INT(call(&f, OP(CA_REMOVE), "a", NULL, NULL, NULL), CA_NO_ETAG);
	CHECK_INT(call(&f, OP(CA_REMOVE), "a", first->etag, NULL, NULL), CA_OK);
	CHECK_INT(call(&f, OP(CA_GET), "a", NULL, NULL, NULL), CA_MISSING);
	CHECK_INT(call(&f, OP(CA_REMOVE), "a", "*", NULL, NULL), CA_MISSING);
}

TEST("another certificate under a verified name is not verified; the scope stays unless another one is sent")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) next = story_root("root");
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = json_pack("{s:[s]}", "devices", "a*");
	struct ca_call put = { .op = CA_PUT, .has_verified = true, .is_verified = true, .has_scope = true };
	OWN(ca_record) first = NULL;
	OWN(ca_record) same = NULL;
	OWN(ca_record) other = NULL;

	CHECK_INT(authority_scope_from_json(&put.scope, json, &err), 0);
	CHECK_INT(call(&f, put, "a", NULL, &root, &first), CA_OK);
	CHECK(first->is_verified);
	CHECK_INT(call(&f, PUT, "a", "*", &root, &same), CA_OK);
	CHECK(same->is_verified);
	CHECK_INT(call(&f, PUT, "a", "*", &next, &other), CA_OK);
	CHECK(!other->is_verified);
	CHECK_INT(other->scope.n_patterns, 1);
	CHECK(!vouches(&f, &root) && !vouches(&f, &next));
}

TEST("a leaf, an expired CA and what is no certificate are not registered")
{
	CLEAR(fixture) f = fixture_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(made) old = story_make((struct profile){ .kind = ISSUE_ROOT,
					     .common_name = "old",
					     .path_len = -1,
					     .not_before = STORY_NOW - 200,
					     .not_after = STORY_NOW - 100 },
		NULL);
	static const char *const bad[] = { "", "x", "AAAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----" };
	struct err err = ERR_INIT;

	CHECK_INT(call(&f, PUT, "a", NULL, &leaf, NULL), CA_INVALID);
	CHECK_INT(call(&f, PUT, "a", NULL, &old, NULL), CA_INVALID);
	CHECK_INT(call(&f, PUT, "a", NULL, NULL, NULL), CA_INVALID);
	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK(!ca_read_cert(bad[i], 1, &err));
}

TEST("a certificate is read as PEM, as base64 of DER with or without line breaks, and as base64 of PEM; two are too many")
{
	CLEAR(made) root = story_root("root");
	CLEAR(buf) pem = BUF_INIT(8192);
	CLEAR(buf) twice = BUF_INIT(16384);
	CLEAR(buf) base64 = BUF_INIT(16384);
	struct err err = ERR_INIT;
	OWN(cert) one = NULL;
	OWN(cert) two = NULL;

	cert_put_pem(root.cert, &pem);
	one = ca_read_cert(buf_text(&pem), 1, &err);
	CHECK(one);
	base64_encode(&base64, pem.data, pem.len);
	two = ca_read_cert(buf_text(&base64), 1, &err);
	CHECK(two);
	buf_puts(&twice, buf_text(&pem));
	buf_puts(&twice, buf_text(&pem));
	CHECK(!ca_read_cert(buf_text(&twice), 1, &err));
}

TEST("the name of a certificate object has 1 to 64 letters, digits, - . and _")
{
	char name[CA_NAME_MAX + 2];

	memset(name, 'a', sizeof(name));
	name[CA_NAME_MAX + 1] = 0;
	CHECK(!ca_name_is_valid(name));
	name[CA_NAME_MAX] = 0;
	CHECK(ca_name_is_valid(name));
	CHECK(ca_name_is_valid("A-b.c_9"));
	CHECK(!ca_name_is_valid(""));
	CHECK(!ca_name_is_valid("a/b"));
	CHECK(!ca_name_is_valid("a b"));
	CHECK(!ca_name_is_valid("a:b"));
}
