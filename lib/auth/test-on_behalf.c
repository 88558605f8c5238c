/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways that speak for others.  The family: "top" above "edge" above the leaf "leaf" and the sibling gateway "side" with its
 * leaf "nephew". */
#include "auth/trial.h"

#define EDGE_KEY "the key of edge/$edgeHub"
#define TOP_KEY "the key of top/$edgeHub."

struct family {
	struct identity *top, *edge, *side, *leaf, *nephew, *module, *top_hub, *edge_hub, *side_hub;
};

static struct identity *
member(const char *device, const char *module, const char *scope, const char *parent)
{
	struct identity *i = identity_new(device, module);

	i->enabled = true;
	i->auth = module ? IDENTITY_AUTH_SAS : IDENTITY_AUTH_THUMBPRINT;
	i->is_edge = !module && scope && strcmp(scope, "scope-of") != 0 && strstr(scope, device) != NULL;
	i->scope = mem_text(scope);
	if (parent)
		i->parents[i->n_parents++] = mem_text(parent);
	return i;
}

static struct family
family_new(void)
{
	struct family f = {
		.top = member("top", NULL, "ms-azure-iot-edge://top-1", NULL),
		.edge = member("edge", NULL, "ms-azure-iot-edge://edge-2", "ms-azure-iot-edge://top-1"),
		.side = member("side", NULL, "ms-azure-iot-edge://side-3", "ms-azure-iot-edge://top-1"),
		.leaf = member("leaf", NULL, "ms-azure-iot-edge://edge-2", NULL),
		.nephew = member("nephew", NULL, "ms-azure-iot-edge://side-3", NULL),
		.module = member("leaf", "mod", NULL, NULL),
		.top_hub = member("top", "$edgeHub", NULL, NULL),
		.edge_hub = member("edge", "$edgeHub", NULL, NULL),
		.side_hub = member("side", "$edgeHub", NULL, NULL),
	};

	trial_key(&f.top_hub->keys[0], TOP_KEY);
	trial_key(&f.edge_hub->keys[0], EDGE_KEY);
	trial_key(&f.side_hub->keys[0], "the key of side/$edgeHub");
	return f;
}

static void
family_clear(struct family *f)
{
	struct identity *all[] = { f->top, f->edge, f->side, f->leaf, f->nephew, f->module, f->top_hub, f->edge_hub, f->side_hub };

	for (size_t i = 0; i < COUNT(all); i++)
		identity_free(all[i]);
}

/* The gateway `actor` asks for `target` with this chain; `path` are the records of the devices between, and the chain's own. */
struct ask {
	const struct identity *target, *actor, *actor_device, *path[4];
	const char *chain, *resource, *key;
	bool no_token;
};

static enum reason
cause(const struct ask *ask)
{
	struct auth_claim claim = {
		.audience.host = TRIAL_HUB,
		.device_id = ask->target->device_id,
		.module_id = ask->target->module_id,
		.auth_chain = ask->chain,
	};
	struct auth_records records = {
		.target = ask->target,
		.actor = ask->actor,
		.actor_device = ask->actor_device,
		.path = ask->path,
	};
	OWN_TEXT token = ask->no_token ? NULL
				       : trial_token(ask->resource ? ask->resource : TRIAL_HUB "/devices/edge/modules/$edgeHub",
						 ask->key ? ask->key : EDGE_KEY, 0);
	OWN(verdict) v = NULL;

	while (records.n_path < COUNT(ask->path) && ask->path[records.n_path])
		records.n_path++;
	v = auth_decide("hub", &claim, &(struct auth_evidence){ .token = token }, &records, &(struct auth_policy){ 0 }, STORY_NOW);
	return verdict_cause(v);
}

TEST("a gateway speaks for its child with the token of its own $edgeHub, however the child itself is registered")
{
	CLEAR(family) f = family_new();

	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge" }), OK);
}

TEST("a gateway speaks for the module of its child, and for modules of its own")
{
	CLEAR(family) f = family_new();
	OWN(identity) own = member("edge", "sim", NULL, NULL);

	CHECK_INT(cause(&(struct ask){ f.module, f.edge_hub, f.edge, { f.leaf }, .chain = "leaf/mod;leaf;edge" }), OK);
	CHECK_INT(cause(&(struct ask){ own, f.edge_hub, f.edge, .chain = "edge/sim;edge" }), OK);
}

TEST("a gateway speaks for the child of its child, and for its child gateway")
{
	CLEAR(family) f = family_new();
	const char *top = TRIAL_HUB "/devices/top/modules/$edgeHub";

	CHECK_INT(cause(&(struct ask){ f.leaf, f.top_hub, f.top, { f.edge }, "leaf;edge;top", top, TOP_KEY, false }), OK);
	CHECK_INT(cause(&(struct ask){ f.edge, f.top_hub, f.top, .chain = "edge;top", .resource = top, .key = TOP_KEY }), OK);
}

TEST("atk-26: the chain's first element must be who connects")
{
	CLEAR(family) f = family_new();

	CHECK_INT(cause(&(struct ask){ f.nephew, f.edge_hub, f.edge, { f.leaf }, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.module, f.edge_hub, f.edge, { f.leaf }, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.module, f.edge_hub, f.edge, { f.leaf }, .chain = "leaf/mod;edge" }), CHAIN_OF_GATEWAYS);
}

TEST("atk-26: no gateway speaks for its parent, its sibling, its sibling's child, or for itself")
{
	CLEAR(family) f = family_new();

	CHECK_INT(cause(&(struct ask){ f.top, f.edge_hub, f.edge, .chain = "top;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.side, f.edge_hub, f.edge, .chain = "side;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.nephew, f.edge_hub, f.edge, .chain = "nephew;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.nephew, f.edge_hub, f.edge, { f.side }, .chain = "nephew;side;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.edge, f.edge_hub, f.edge, .chain = "edge;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.edge, f.edge_hub, f.edge, .chain = "edge" }), CHAIN_OF_GATEWAYS);
}

TEST("atk-26: a loop in the hierarchy helps nobody to itself")
{
	CLEAR(family) f = family_new();

	f.top->parents[f.top->n_parents++] = mem_text("ms-azure-iot-edge://edge-2");
	CHECK_INT(cause(&(struct ask){ f.edge, f.edge_hub, f.edge, { f.top }, .chain = "edge;top;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, { f.top }, .chain = "leaf;edge;top;edge" }), CHAIN_OF_GATEWAYS);
}

TEST("atk-26: a chain that skips a level, or names devices that are not there, is refused")
{
	CLEAR(family) f = family_new();
	const char *top = TRIAL_HUB "/devices/top/modules/$edgeHub";

	CHECK_INT(cause(&(struct ask){ f.leaf, f.top_hub, f.top, .chain = "leaf;top", .resource = top, .key = TOP_KEY }),
		CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.top_hub, f.top, .chain = "leaf;ghost;top", .resource = top, .key = TOP_KEY }),
		CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge;" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;b;c;d;e;f;g;h;edge" }), CHAIN_OF_GATEWAYS);
}

TEST("the actor must be known, a gateway, and the chain's last; a module of another name is no gateway")
{
	CLEAR(family) f = family_new();
	OWN(identity) module = member("edge", "other", NULL, NULL);

	CHECK_INT(cause(&(struct ask){ f.leaf, NULL, f.edge, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, NULL, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.side_hub, f.side, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, module, f.edge, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.side_hub, f.edge, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
	f.edge->is_edge = false;
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge" }), CHAIN_OF_GATEWAYS);
}

TEST("who is disabled anywhere on the way cuts it: target, its device, gateways between, the actor")
{
	CLEAR(family) f = family_new();
	struct ask far = { f.leaf, f.top_hub, f.top, { f.edge }, "leaf;edge;top", TRIAL_HUB "/devices/top/modules/$edgeHub",
		TOP_KEY, false };
	struct ask module = { f.module, f.edge_hub, f.edge, { f.leaf }, .chain = "leaf/mod;leaf;edge" };

	f.edge->enabled = false;
	CHECK_INT(cause(&far), CHAIN_OF_GATEWAYS);
	f.edge->enabled = true;
	f.top->enabled = false;
	CHECK_INT(cause(&far), CHAIN_OF_GATEWAYS);
	f.top->enabled = true;
	f.top_hub->enabled = false;
	CHECK_INT(cause(&far), CHAIN_OF_GATEWAYS);
	f.top_hub->enabled = true;
	CHECK_INT(cause(&far), OK);
	f.leaf->enabled = false;
	CHECK_INT(cause(&far), DEVICE_DISABLED);
	CHECK_INT(cause(&module), CHAIN_OF_GATEWAYS);
}

TEST("the gateway's token is judged as any: the key, the resource of its $edgeHub, and there must be one")
{
	CLEAR(family) f = family_new();

	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge", .no_token = true }), DEVICE_NO_CREDENTIAL);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge", .key = "another key of 24 bytes." }),
		SAS_BAD_SIGNATURE);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge", .resource = TRIAL_HUB "/devices/leaf" }),
		SAS_WRONG_RESOURCE);
	CHECK_INT(cause(&(struct ask){ f.leaf, f.edge_hub, f.edge, .chain = "leaf;edge", .resource = TRIAL_HUB "/devices/edge" }),
		SAS_WRONG_RESOURCE);
}
