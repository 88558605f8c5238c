/* SPDX-License-Identifier: Apache-2.0 */
/* The family of the gateway "top": "edge" below it, "line" below that, and so on down; a leaf below each is called after it. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "gateway/scope/lineage.h"
#include "t.h"

struct family {
	struct identity *member[16];
	size_t n;
};

static struct identity *
add(struct family *f, const char *id, bool is_edge, const char *parent)
{
	struct identity *i = f->member[f->n++] = identity_new(id, NULL);

	i->enabled = true;
	i->is_edge = is_edge;
	i->scope = is_edge  ? mem_textf(IDENTITY_SCOPE_PREFIX "%s-1a", id)
		   : parent ? mem_textf(IDENTITY_SCOPE_PREFIX "%s-1a", parent)
			    : NULL;
	if (is_edge && parent)
		i->parents[i->n_parents++] = mem_textf(IDENTITY_SCOPE_PREFIX "%s-1a", parent);
	return i;
}

static const struct identity *
find(const void *arg, const char *device_id)
{
	const struct family *f = arg;

	for (size_t i = 0; i < f->n; i++)
		if (text_is(f->member[i]->device_id, device_id))
			return f->member[i];
	return NULL;
}

static void
family_clear(struct family *f)
{
	for (size_t i = 0; i < f->n; i++)
		identity_free(f->member[i]);
	f->n = 0;
}

static bool
trace(const struct family *f, const char *id, struct lineage *out)
{
	return lineage_trace(out, &(struct lineage_records){ .find = find, .arg = f, .edge_id = "top" }, find(f, id));
}

static char *
chain(const struct family *f, const char *id, const char *module_id)
{
	struct lineage lineage;

	return trace(f, id, &lineage) ? lineage_chain(&lineage, module_id, "top") : NULL;
}

#define CHECK_CHAIN(f, id, module_id, wanted)                                                                                      \
	do {                                                                                                                       \
		OWN_TEXT text = chain(f, id, module_id);                                                                           \
		CHECK_STR(text, wanted);                                                                                           \
	} while (0)

TEST("a chain leads from the target over its device and each gateway to this one")
{
	struct family f = { 0 };

	add(&f, "top", true, NULL);
	add(&f, "edge", true, "top");
	add(&f, "line", true, "edge");
	add(&f, "leaf", false, "top");
	add(&f, "deep", false, "line");
	CHECK_CHAIN(&f, "leaf", NULL, "leaf;top");
	CHECK_CHAIN(&f, "leaf", "mod", "leaf/mod;leaf;top");
	CHECK_CHAIN(&f, "deep", NULL, "deep;line;edge;top");
	CHECK_CHAIN(&f, "deep", "mod", "deep/mod;deep;line;edge;top");
	CHECK_CHAIN(&f, "line", "$edgeHub", "line/$edgeHub;line;edge;top");
	CHECK_CHAIN(&f, "top", "own", "top/own;top");
	family_clear(&f);
}

TEST("who is not below this gateway has no lineage: another's, nobody's, of a scope that its gateway no longer has, of a gateway "
     "that is none or is not there")
{
	struct family f = { 0 };
	struct lineage lineage;

	add(&f, "top", true, NULL);
	add(&f, "edge", true, "top");
	add(&f, "plain", false, "top");
	add(&f, "other", false, "elsewhere");
	add(&f, "alone", false, NULL);
	add(&f, "below-a-leaf", false, "plain");
	add(&f, "above", true, NULL);
	CHECK(!trace(&f, "other", &lineage) && !trace(&f, "alone", &lineage) && !trace(&f, "below-a-leaf", &lineage));
	CHECK(!trace(&f, "above", &lineage));
	mem_free(add(&f, "late", false, "edge")->scope);
	f.member[f.n - 1]->scope = mem_text(IDENTITY_SCOPE_PREFIX "edge-0a");
	CHECK(!trace(&f, "late", &lineage));
	family_clear(&f);
}

TEST("a loop of gateways leads nowhere, and a device that is its own parent neither")
{
	struct family f = { 0 };
	struct lineage lineage;

	add(&f, "top", true, NULL);
	add(&f, "a", true, "b");
	add(&f, "b", true, "a");
	add(&f, "self", true, "self");
	add(&f, "leaf", false, "a");
	CHECK(!trace(&f, "a", &lineage) && !trace(&f, "self", &lineage) && !trace(&f, "leaf", &lineage));
	family_clear(&f);
}

TEST("five gateways may be one above the other, this one included, and a leaf below them; not six")
{
	static const char *const ids[] = { "e2", "e3", "e4", "e5", "e6" };
	struct family f = { 0 };
	struct lineage lineage;

	add(&f, "top", true, NULL);
	for (size_t i = 0; i < COUNT(ids); i++)
		add(&f, ids[i], true, i > 0 ? ids[i - 1] : "top");
	add(&f, "leaf5", false, "e5");
	add(&f, "leaf6", false, "e6");
	CHECK_CHAIN(&f, "e5", NULL, "e5;e4;e3;e2;top");
	CHECK_CHAIN(&f, "leaf5", NULL, "leaf5;e5;e4;e3;e2;top");
	CHECK(!trace(&f, "e6", &lineage) && !trace(&f, "leaf6", &lineage));
	family_clear(&f);
}

TEST("a disabled gateway closes the way through it, and none else; whether the device is enabled is not asked here")
{
	struct family f = { 0 };
	struct lineage lineage;

	add(&f, "top", true, NULL);
	add(&f, "edge", true, "top")->enabled = false;
	add(&f, "leaf", false, "edge");
	add(&f, "other", false, "top")->enabled = false;
	CHECK(trace(&f, "leaf", &lineage) && !lineage_is_open(&lineage) && lineage_passes(&lineage, "edge") &&
		lineage_passes(&lineage, "leaf"));
	CHECK(trace(&f, "edge", &lineage) && lineage_is_open(&lineage));
	CHECK(trace(&f, "other", &lineage) && lineage_is_open(&lineage) && !lineage_passes(&lineage, "edge"));
	family_clear(&f);
}

TEST("as long as it is not known who we are, all that is known is right below")
{
	struct family f = { 0 };

	add(&f, "leaf", false, "whoever");
	CHECK_CHAIN(&f, "leaf", NULL, "leaf;top");
	mem_free(add(&f, "top", true, NULL)->scope);
	f.member[1]->scope = NULL;
	CHECK_CHAIN(&f, "leaf", NULL, "leaf;top");
	family_clear(&f);
}

TEST("a scope names the device in front of its last hyphen")
{
	OWN_TEXT id = identity_scope_device(IDENTITY_SCOPE_PREFIX "my-edge-637");

	CHECK_STR(id, "my-edge");
	CHECK(!identity_scope_device(NULL) && !identity_scope_device("my-edge-637") &&
		!identity_scope_device(IDENTITY_SCOPE_PREFIX "edge"));
}
