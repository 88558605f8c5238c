/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do: link other hubs, look at the links, take them away.  Taking a link away changes nothing in that hub. */
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/linked_hub.h"
#include "hub/provisioning/provisioning_inside.h"
#include "wire/json.h"

enum numbers {
	BAD_ARGUMENT = 400004,
	NO_HUB = 404205,
	TOO_MANY = 409204,
};

static void
list(struct provisioning_call *call)
{
	struct linked_hubs hubs;
	struct err err = ERR_INIT;
	json_t *array;

	if (linked_hubs_load(provisioning_db(call), &hubs, &err) < 0) {
		provisioning_fail_broken(call, &err);
	} else {
		array = json_array();
		for (size_t i = 0; i < hubs.n; i++)
			json_array_append_new(array, linked_hub_to_json(hubs.item[i]));
		http_respond_json(call->req, 200, NULL, array);
	}
	linked_hubs_clear(&hubs);
}

/* What is there, or NULL: answered. */
static struct linked_hub *
get(struct provisioning_call *call)
{
	struct linked_hub *hub = NULL;
	struct err err = ERR_INIT;

	if (linked_hub_find(provisioning_db(call), call->ids[0], &hub, &err) < 0)
		provisioning_fail_broken(call, &err);
	else if (!hub)
		provisioning_fail(call, NO_HUB, "there is no linked hub %s", call->ids[0]);
	return hub;
}

static void
show(struct provisioning_call *call)
{
	OWN(linked_hub) hub = get(call);

	if (hub)
		http_respond_json(call->req, 200, NULL, linked_hub_to_json(hub));
}

static void
store(struct provisioning_call *call, const struct linked_hub *hub, bool is_new)
{
	struct linked_hubs hubs;
	struct err err = ERR_INIT;
	bool good = linked_hubs_load(provisioning_db(call), &hubs, &err) == 0;

	if (good && is_new && hubs.n == LINKED_HUBS_MAX)
		provisioning_fail(call, TOO_MANY, "%d hubs are linked", LINKED_HUBS_MAX);
	else if (!good || linked_hub_put(provisioning_db(call), hub, &err) < 0)
		provisioning_fail_broken(call, &err);
	else
		http_respond_json(call->req, 200, NULL, linked_hub_to_json(hub));
	linked_hubs_clear(&hubs);
}

/* If-Match: it must be there. */
static void
put(struct provisioning_call *call)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	OWN(linked_hub) before = NULL;
	OWN(linked_hub) hub = NULL;
	struct err err = ERR_INIT;

	if (!body)
		return;
	if (linked_hub_find(provisioning_db(call), call->ids[0], &before, &err) < 0) {
		provisioning_fail_broken(call, &err);
		return;
	}
	if (!before && http_header(call->req, "If-Match")) {
		provisioning_fail(call, NO_HUB, "there is no linked hub %s", call->ids[0]);
		return;
	}
	hub = linked_hub_from_json(call->ids[0], body, before, &err);
	if (!hub)
		provisioning_fail(call, BAD_ARGUMENT, "%s", err.text);
	else if (!call->provisioning->hub_anchors)
		provisioning_fail(
			call, BAD_ARGUMENT, "rootedge hub needs --provisioning-hubs-ca, the roots that linked hubs are trusted by");
	else if (text_is_nocase(hub->host, call->provisioning->config.hub))
		provisioning_fail(call, BAD_ARGUMENT, "%s is this hub, which is linked always", hub->host);
	else
		store(call, hub, !before);
}

static void
take_away(struct provisioning_call *call)
{
	OWN(linked_hub) hub = get(call);
	struct err err = ERR_INIT;

	if (!hub)
		return;
	if (linked_hub_remove(provisioning_db(call), hub->host, &err) < 0)
		provisioning_fail_broken(call, &err);
	else
		http_respond(call->req, 204, NULL, NULL, 0);
}

const struct provisioning_route provisioning_hub_routes[] = {
	{ "GET", "linkedHubs", PROVISIONING_ENROLLMENT_READ, false, list },
	{ "GET", "linkedHubs/*", PROVISIONING_ENROLLMENT_READ, false, show },
	{ "PUT", "linkedHubs/*", PROVISIONING_ENROLLMENT_WRITE, false, put },
	{ "DELETE", "linkedHubs/*", PROVISIONING_ENROLLMENT_WRITE, false, take_away },
	{ 0 },
};
