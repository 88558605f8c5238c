/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/trial.h"
#include "base/text.h"
#include "wire/json.h"

#define ALL ((struct authority_scope){ 0 })

static void
add(struct authorities *set, const char *name, const struct made *ca, struct authority_scope scope)
{
	struct err err = ERR_INIT;

	if (authorities_add(set, name, ca->cert, &scope, true, &err) < 0)
		fail_msg("%s", err.text);
}

static struct authority_scope
scope_of(const char *text)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = json_parse(text, strlen(text), &err);
	struct authority_scope scope = { 0 };

	if (authority_scope_from_json(&scope, json, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return scope;
}

/* The verdict about dev1, which shows these. */
static struct verdict *
judged(struct authorities *set, const struct made *const *shown, int64_t now, bool is_edge)
{
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_CA);

	for (size_t i = 0; shown[i]; i++)
		certs_add(&trial.chain, shown[i]->cert);
	trial.target->is_edge = is_edge;
	trial.records.device_cas = set;
	trial.now = now;
	return trial_decide(&trial);
}

#define SHOWN(...) ((const struct made *const[]){ __VA_ARGS__, NULL })

static void
check_names(const struct verdict *v, const char *name)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (v->checks[i].passed && v->checks[i].reason == OK && text_is(v->checks[i].what, "certificate authority")) {
			CHECK_STR(v->checks[i].subject, name);
			return;
		}
	fail_msg("no CA is named");
}

TEST("several CAs: each vouches for what it issued, and the verdict names it")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) one = story_root("factory one");
	CLEAR(made) two = story_root("factory two");
	CLEAR(made) leaf = story_device("dev1", &two);
	OWN(verdict) v = NULL;

	add(set, "one", &one, ALL);
	add(set, "two", &two, ALL);
	v = judged(set, SHOWN(&leaf), STORY_NOW, false);
	CHECK_ACCEPTED(v);
	check_names(v, "two");
}

TEST("two CAs with the same subject and different keys: the one that signed is named, and of the other it is told why not")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) old = story_root("factory");
	CLEAR(made) new = story_root("factory");
	/* Without an authorityKeyIdentifier the names are all that leads from one to the other. */
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &new);
	OWN(verdict) v = NULL;
	bool told = false;

	add(set, "old", &old, ALL);
	add(set, "new", &new, ALL);
	v = judged(set, SHOWN(&leaf), STORY_NOW, false);
	CHECK_ACCEPTED(v);
	check_names(v, "new");
	for (size_t i = 0; i < v->n_checks; i++)
		told = told || (v->checks[i].reason == CA_OTHER_KEY && text_is(v->checks[i].subject, "old"));
	CHECK(told);
}

TEST("a CA of the right name and another key vouches for nobody")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) real = story_root("factory");
	CLEAR(made) fake = story_root("factory");
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &fake);
	OWN(verdict) v = NULL;

	add(set, "real", &real, ALL);
	v = judged(set, SHOWN(&leaf, &fake), STORY_NOW, false);
	CHECK(!verdict_accepted(v));
}

TEST("several intermediates in any order, with and without the root, and strangers between them")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) upper = story_intermediate("upper", &root);
	CLEAR(made) lower = story_intermediate("lower", &upper);
	CLEAR(made) stranger = story_root("stranger");
	CLEAR(made) leaf = story_device("dev1", &lower);
	OWN(verdict) sorted = NULL;
	OWN(verdict) mixed = NULL;
	OWN(verdict) gap = NULL;

	add(set, "root", &root, ALL);
	gap = judged(set, SHOWN(&leaf, &upper), STORY_NOW, false);
	CHECK_CAUSE(gap, TRUST_UNKNOWN_ISSUER);
	sorted = judged(set, SHOWN(&leaf, &lower, &upper), STORY_NOW, false);
	CHECK_ACCEPTED(sorted);
	authorities_free(GIVE(set));
	set = authorities_new();
	add(set, "root", &root, ALL);
	mixed = judged(set, SHOWN(&leaf, &root, &stranger, &upper, &leaf, &lower), STORY_NOW, false);
	CHECK_ACCEPTED(mixed);
	CHECK_INT(mixed->n_chain, 4);
}

TEST("a CA that is not verified authenticates nobody, and the verdict says whose proof is missing")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	struct err err = ERR_INIT;
	OWN(verdict) v = NULL;

	CHECK_INT(authorities_add(set, "pending", root.cert, &ALL, false, &err), 0);
	v = judged(set, SHOWN(&leaf), STORY_NOW, false);
	CHECK_CAUSE(v, CA_NOT_VERIFIED);
	CHECK(!authorities_find(set, cert_sha256(root.cert)));
}

TEST("the scope of a CA: patterns of ids, gateways or not")
{
	static const struct {
		const char *scope;
		bool is_edge, covers;
	} rows[] = {
		{ "{}", false, true },
		{ "{\"devices\":[\"dev*\"]}", false, true },
		{ "{\"devices\":[\"x\",\"d?v1\"]}", true, true },
		{ "{\"devices\":[\"*1*v*\"]}", false, false },
		{ "{\"devices\":[\"dev\"]}", false, false },
		{ "{\"devices\":[\"DEV1\"]}", false, false },
		{ "{\"devices\":[\"dev1?\"]}", false, false },
		{ "{\"devices\":[\"*d*e*v*1*\"]}", false, true },
		{ "{\"kind\":\"edge\"}", false, false },
		{ "{\"kind\":\"edge\"}", true, true },
		{ "{\"kind\":\"leaf\",\"devices\":[\"dev1\"]}", false, true },
		{ "{\"kind\":\"leaf\",\"devices\":[\"dev1\"]}", true, false },
	};
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN(authorities) set = authorities_new();
		struct authority_scope scope = scope_of(rows[i].scope);

		add(set, "root", &root, scope);
		authority_scope_clear(&scope);
		/* Twice: the second time the chain is remembered, and the scope asked for all the same. */
		for (int n = 0; n < 2; n++) {
			OWN(verdict) v = judged(set, SHOWN(&leaf), STORY_NOW, rows[i].is_edge);

			if (rows[i].covers)
				CHECK_ACCEPTED(v);
			else
				CHECK_CAUSE(v, CA_OUT_OF_SCOPE);
		}
	}
}

TEST("a scope that can't be meant is refused: nothing misspelt makes it wider")
{
	static const char *const bad[] = {
		"{\"devices\":[]}",
		"{\"devices\":\"dev*\"}",
		"{\"devices\":[1]}",
		"{\"devices\":[\"a b\"]}",
		"{\"devices\":[\"\"]}",
		"{\"kind\":\"gateway\"}",
		"{\"kind\":1}",
		"{\"device\":[\"dev*\"]}",
		"{\"devices\":[null]}",
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = ERR_INIT;
		struct authority_scope scope = { 0 };
		OWN_LIB(json_t) json = json_parse(bad[i], strlen(bad[i]), &err);

		CHECK(authority_scope_from_json(&scope, json, &err) < 0);
		CHECK(*err.text);
	}
}

TEST("the registered CA nearest to the device decides: an intermediate's narrow scope holds below a registered root")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) supplier = story_intermediate("supplier", &root);
	CLEAR(made) leaf = story_device("dev1", &supplier);
	struct authority_scope narrow = scope_of("{\"devices\":[\"supplier-*\"]}");
	OWN(verdict) v = NULL;

	add(set, "root", &root, ALL);
	add(set, "supplier", &supplier, narrow);
	authority_scope_clear(&narrow);
	v = judged(set, SHOWN(&leaf, &supplier, &root), STORY_NOW, false);
	CHECK_CAUSE(v, CA_OUT_OF_SCOPE);
}

TEST("a CA renewed under its old key: the certificate that is in date decides")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) old = story_crooked((struct crooked){ .common_name = "factory",
						.extensions = { "basicConstraints", "critical,CA:TRUE" },
						.not_before = STORY_NOW - 200,
						.not_after = STORY_NOW - 100 },
		&root);
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &old);
	struct made again = { .key = old.key };
	struct issuer by = { .cert = root.cert, .key = root.key };
	struct profile profile = { .kind = ISSUE_INTERMEDIATE,
		.common_name = "factory",
		.path_len = -1,
		.not_before = STORY_NOW - 50,
		.not_after = STORY_NOW + STORY_DAY };
	struct err err = ERR_INIT;
	OWN(verdict) v = NULL;

	again.cert = issue_cert(&profile, key_pkey(old.key), &by, &err);
	add(set, "a-old", &old, ALL);
	add(set, "b-new", &again, ALL);
	cert_free(again.cert);
	v = judged(set, SHOWN(&leaf), STORY_NOW, false);
	CHECK_ACCEPTED(v);
	check_names(v, "b-new");
}

TEST("atk-01: a registered CA that has expired vouches for nobody, and neither does one whose time is still to come")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_make(
		(struct profile){ .kind = ISSUE_ROOT, .common_name = "root", .path_len = -1, .not_after = STORY_NOW + 100 }, NULL);
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &root);
	OWN(verdict) late = NULL;
	OWN(verdict) early = NULL;

	add(set, "root", &root, ALL);
	late = judged(set, SHOWN(&leaf), STORY_NOW + 100, false);
	CHECK_CAUSE(late, CERT_EXPIRED);
	early = judged(set, SHOWN(&leaf), STORY_NOW - 2 * STORY_DAY, false);
	CHECK_CAUSE(early, CERT_NOT_YET_VALID);
}

TEST("atk-09: what a resumed session leaves out is remembered, until a date of the chain has passed, and no longer than the set of "
     "CAs")
{
	OWN(authorities) set = authorities_new();
	OWN(authorities) next = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_make(
		(struct profile){ .kind = ISSUE_INTERMEDIATE, .common_name = "CA", .path_len = -1, .not_after = STORY_NOW + 100 },
		&root);
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &ca);
	OWN(verdict) first = NULL;
	OWN(verdict) resumed = NULL;
	OWN(verdict) late = NULL;
	OWN(verdict) early = NULL;
	OWN(verdict) elsewhere = NULL;

	add(set, "root", &root, ALL);
	add(next, "root", &root, ALL);
	first = judged(set, SHOWN(&leaf, &ca), STORY_NOW, false);
	CHECK_ACCEPTED(first);
	resumed = judged(set, SHOWN(&leaf), STORY_NOW + 99, false);
	CHECK_ACCEPTED(resumed);
	CHECK_INT(resumed->n_chain, 3);
	check_names(resumed, "root");
	late = judged(set, SHOWN(&leaf, &ca), STORY_NOW + 100, false);
	CHECK_CAUSE(late, CERT_EXPIRED);
	early = judged(set, SHOWN(&leaf, &ca), STORY_NOW - 2 * STORY_DAY, false);
	CHECK_CAUSE(early, CERT_NOT_YET_VALID);
	elsewhere = judged(next, SHOWN(&leaf), STORY_NOW, false);
	CHECK_CAUSE(elsewhere, TRUST_UNKNOWN_ISSUER);
}

TEST("what is remembered of a device's certificate is not another's: the common name is judged each time")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(trial) other = trial_of("dev2", NULL, IDENTITY_AUTH_CA);
	OWN(verdict) v = NULL;

	add(set, "root", &root, ALL);
	v = judged(set, SHOWN(&leaf), STORY_NOW, false);
	CHECK_ACCEPTED(v);
	trial_show(&other, &leaf, NULL);
	other.records.device_cas = set;
	trial_refused(&other, NAME_CN_MISMATCH);
}

TEST("atk-23: a hundred certificates of one name cost a bounded number of signatures")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_crooked((struct crooked){ .common_name = "dev1" }, &root);
	CLEAR(trial) trial = trial_of("dev1", NULL, IDENTITY_AUTH_CA);
	CLEAR(made) real = story_root("elsewhere");

	certs_add(&trial.chain, leaf.cert);
	for (int i = 0; i < 100; i++) {
		CLEAR(made) twin = story_crooked(
			(struct crooked){ .common_name = "root", .extensions = { "basicConstraints", "critical,CA:TRUE" } }, &root);

		certs_add(&trial.chain, twin.cert);
	}
	add(set, "elsewhere", &real, ALL);
	trial.records.device_cas = set;
	trial_refused(&trial, TRUST_UNKNOWN_ISSUER);
}

TEST("what may be registered: version 3, CA:TRUE, keyCertSign where keyUsage is given, an accepted key")
{
	struct err err = ERR_INIT;
	CLEAR(made) root = story_root("root");
	CLEAR(made) ca = story_intermediate("ca", &root);
	CLEAR(made) leaf = story_device("dev1", &root);
	CLEAR(made) v1 = story_crooked((struct crooked){ .common_name = "v1", .version = 1 }, NULL);
	CLEAR(made) no_sign =
		story_crooked((struct crooked){ .common_name = "x",
				      .extensions = { "basicConstraints", "CA:TRUE", "keyUsage", "digitalSignature" } },
			NULL);

	CHECK_INT(authority_check_cert(root.cert, &err), 0);
	CHECK_INT(authority_check_cert(ca.cert, &err), 0);
	CHECK(authority_check_cert(leaf.cert, &err) < 0);
	CHECK(authority_check_cert(v1.cert, &err) < 0);
	CHECK(authority_check_cert(no_sign.cert, &err) < 0);
}

TEST("what the hub hands down is the same set again: verified CAs with their scopes, and nothing of the others")
{
	OWN(authorities) set = authorities_new();
	CLEAR(made) one = story_root("one");
	CLEAR(made) two = story_root("two");
	CLEAR(made) pending = story_root("pending");
	struct authority_scope narrow = scope_of("{\"kind\":\"edge\",\"devices\":[\"a*\",\"b?\"]}");
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = NULL;
	OWN(authorities) again = NULL;

	add(set, "one", &one, ALL);
	add(set, "two", &two, narrow);
	authority_scope_clear(&narrow);
	json = authorities_to_json(set);
	again = authorities_from_json(json, &err);
	CHECK(again && authorities_equal(set, again));
	CHECK_INT(authorities_add(set, "pending", pending.cert, &ALL, false, &err), 0);
	CHECK(!authorities_equal(set, again));
	json_decref(json);
	json = authorities_to_json(set);
	CHECK_INT(json_array_size(json), 2);
	CHECK(authorities_equal(NULL, NULL) && !authorities_equal(NULL, again));
}

TEST("a set that can't be read is no set: a leaf, no scope, a scope or a certificate that is none, too many")
{
	CLEAR(made) root = story_root("root");
	CLEAR(made) leaf = story_device("dev1", &root);
	OWN(authorities) set = authorities_new();
	struct err err = ERR_INIT;
	OWN_LIB(json_t) good = NULL;
	static const char *const bad[] = { "{}", "[1]", "[{}]", "[{\"name\":\"x\",\"certificate\":\"AAAA\",\"scope\":{}}]",
		"[{\"name\":\"x\",\"certificate\":\"?\",\"scope\":{}}]" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN_LIB(json_t) json = json_parse(bad[i], strlen(bad[i]), &err);

		CHECK(!authorities_from_json(json, &err));
	}
	add(set, "root", &root, ALL);
	good = authorities_to_json(set);
	json_object_set_new(json_array_get(good, 0), "scope", json_pack("{s:s}", "kind", "everything"));
	CHECK(!authorities_from_json(good, &err));
	json_object_del(json_array_get(good, 0), "scope");
	CHECK(!authorities_from_json(good, &err));
	authorities_free(GIVE(set));
	set = authorities_new();
	add(set, "leaf", &leaf, ALL);
	json_decref(good);
	good = authorities_to_json(set);
	CHECK(!authorities_from_json(good, &err));
	while (json_array_size(good) <= AUTHORITIES_MAX)
		json_array_append_new(good, json_object());
	CHECK(!authorities_from_json(good, &err));
}
