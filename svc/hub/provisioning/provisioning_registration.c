/* SPDX-License-Identifier: Apache-2.0 */
/* What services ask about registrations (hub 7): one, all of a group, and to forget one.  A registration that is forgotten leaves the device in its hub. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/provisioning_page.h"
#include "hub/provisioning/registrar.h"
#include "wire/json.h"

enum numbers {
	NO_REGISTRATION = 404202,
	NO_GROUP = 404204,
	WRONG_ETAG = 412001,
};

/* What the device sends is for services; `payload` is what a device gets. */
static json_t *
shown_json(const struct registration *r)
{
	json_t *state = registrar_state_json(r, NULL);
	struct err err = ERR_INIT;
	json_t *payload = r->payload ? json_parse(r->payload, strlen(r->payload), &err) : NULL;

	if (payload)
		json_object_set_new(state, "devicePayload", payload);
	return state;
}

/* What is there, or NULL: answered. */
static struct registration *
get(struct provisioning_call *call)
{
	struct registration *r = NULL;
	struct err err = ERR_INIT;

	if (registration_find(provisioning_db(call), call->ids[0], &r, &err) < 0)
		provisioning_fail_broken(call, &err);
	else if (!r)
		provisioning_fail(call, NO_REGISTRATION, "there is no registration %s", call->ids[0]);
	return r;
}

static void
show(struct provisioning_call *call)
{
	OWN(registration) r = get(call);
	OWN_TEXT etag = r ? mem_textf("ETag: \"%s\"", r->etag) : NULL;
	const char *headers[] = { etag, NULL };

	if (r)
		http_respond_json(call->req, 200, headers, shown_json(r));
}

static void
forget(struct provisioning_call *call)
{
	OWN_TEXT if_match = provisioning_if_match(call->req); /* once it is answered, the request is gone */
	OWN(registration) r = get(call);
	struct err err = ERR_INIT;

	if (!r)
		return;
	if (if_match && !text_is(if_match, "*") && !text_is(if_match, r->etag))
		provisioning_fail(call, WRONG_ETAG, "the etag is not that of what is there");
	else if (registration_remove(provisioning_db(call), r->id, &err) < 0)
		provisioning_fail_broken(call, &err);
	else
		http_respond(call->req, 204, NULL, NULL, 0);
}

/* -- All of a group ------------------------------------------------------------------------------------------------------------------ */

static bool
group_is_there(struct provisioning_call *call)
{
	OWN(enrollment) group = NULL;
	struct err err = ERR_INIT;

	if (enrollment_store_find(provisioning_db(call), true, call->ids[0], &group, &err) < 0)
		provisioning_fail_broken(call, &err);
	else if (!group)
		provisioning_fail(call, NO_GROUP, "there is no enrollment group %s", call->ids[0]);
	return group != NULL;
}

static void
add_to_page(void *arg, struct registration *registration_take)
{
	OWN(registration) r = registration_take;

	if (provisioning_page_has_room(arg))
		provisioning_page_add(arg, shown_json(r), r->id);
}

/* A query in the body is not looked at: clients send one, and the contract has none. */
static void
query(struct provisioning_call *call)
{
	struct provisioning_page page;
	struct err err = ERR_INIT;

	if (!group_is_there(call) || !provisioning_page_begin(call, &page))
		return;
	if (registration_list(provisioning_db(call), call->ids[0], page.after, (int64_t)page.max + 1, add_to_page, &page, &err) < 0)
		provisioning_fail_broken(call, &err);
	else
		provisioning_page_answer(call, &page, "deviceRegistration");
	provisioning_page_clear(&page);
}

const struct provisioning_route provisioning_registration_routes[] = {
	{ "GET", "registrations/*", PROVISIONING_REGISTRATION_READ, false, show },
	{ "DELETE", "registrations/*", PROVISIONING_REGISTRATION_WRITE, false, forget },
	{ "POST", "registrations/*/query", PROVISIONING_REGISTRATION_READ, true, query },
	{ 0 },
};
