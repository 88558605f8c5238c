/* SPDX-License-Identifier: Apache-2.0 */
/* What services do (hub 7): enrollments and groups, one by one, listed, and up to ten at once. */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/provisioning/custom_allocation.h"
#include "hub/provisioning/linked_hub.h"
#include "hub/provisioning/provisioning_inside.h"
#include "hub/provisioning/provisioning_page.h"
#include "wire/json.h"

#define BULK_MAX 10

enum numbers {
	BAD_ARGUMENT = 400004,
	NO_ENROLLMENT = 404201,
	NO_GROUP = 404204,
	EXISTS = 409201,
	GROUP_EXISTS = 409202,
	WRONG_ETAG = 412001,
	BROKEN = 500001,
};

static void
answer_enrollment(struct provisioning_call *call, const struct enrollment *e)
{
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", e->etag);
	const char *headers[] = { etag, NULL };

	http_respond_json(call->req, 200, headers, enrollment_to_json(e));
}

/* What is there, or NULL: answered. */
static struct enrollment *
get(struct provisioning_call *call)
{
	bool is_group = call->route->is_group;
	struct err err = ERR_INIT;
	struct enrollment *e;

	if (enrollment_store_find(provisioning_db(call), is_group, call->ids[0], &e, &err) < 0)
		provisioning_fail_broken(call, &err);
	else if (!e)
		provisioning_fail(call, is_group ? NO_GROUP : NO_ENROLLMENT, "there is no enrollment%s %s",
			is_group ? " group" : "", call->ids[0]);
	return e;
}

static void
show(struct provisioning_call *call)
{
	OWN(enrollment) e = get(call);

	if (e)
		answer_enrollment(call, e);
}

static void
show_mechanism(struct provisioning_call *call)
{
	OWN(enrollment) e = get(call);

	if (e)
		http_respond_json(call->req, 200, NULL, enrollment_attestation_json(e, true));
}

static int
check_linked(const struct provisioning_call *call, const char *host, struct err *err)
{
	OWN(linked_hub) hub = NULL;

	if (!host)
		return err_set(err, ERR_INVALID, "iotHubs names hubs");
	if (text_is_nocase(host, call->provisioning->config.hub))
		return 0;
	if (linked_hub_find(provisioning_db(call), host, &hub, err) < 0)
		return -1;
	return hub ? 0 : err_set(err, ERR_INVALID, "%s is not a linked hub", host);
}

static int
check_cas(const struct provisioning_call *call, const struct enrollment *e, struct err *err)
{
	for (int i = 0; i < 2; i++) {
		struct ca_call look = { .op = CA_GET, .name = e->ca_names[i] };

		if (!e->ca_names[i])
			continue;
		ca_run(call->provisioning->cas, &look);
		look.name = NULL;
		if (look.answer != CA_OK)
			return err_set(err, ERR_INVALID, "there is no certificate %s", e->ca_names[i]);
		ca_call_clear(&look);
	}
	return 0;
}

/* What this service can't do is refused when it is asked for, not when a device comes. */
static int
check_possible(const struct provisioning_call *call, const struct enrollment *e, struct err *err)
{
	const char *hub = json_string_value(json_object_get(e->wishes, "iotHubHostName"));
	const json_t *hubs = json_object_get(e->wishes, "iotHubs");
	const char *policy = json_string_value(json_object_get(e->wishes, "credentialPolicyName"));

	if (custom_allocation_is_wanted(e) && !call->provisioning->hub_anchors)
		return err_set(err, ERR_INVALID,
			"allocationPolicy custom needs a start with --provisioning-hubs-ca, the roots that web hooks are trusted "
			"by");
	if (policy && !call->provisioning->config.issuing)
		return err_set(err, ERR_INVALID, "credentialPolicyName is not possible here: there is no issuing CA");
	if (policy && !issuing_policy(call->provisioning->config.issuing, policy))
		return err_set(err, ERR_INVALID, "credentialPolicyName: there is no credential policy %s", policy);
	if (check_cas(call, e, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(hubs); i++)
		if (check_linked(call, json_string_value(json_array_get(hubs, i)), err) < 0)
			return -1;
	if (hub && *hub)
		return check_linked(call, hub, err);
	return 0;
}

static int
match(const struct enrollment *before, bool is_group, const char *if_match)
{
	if (!if_match)
		return before ? (is_group ? GROUP_EXISTS : EXISTS) : 0;
	if (!before)
		return is_group ? NO_GROUP : NO_ENROLLMENT;
	return text_is(if_match, "*") || text_is(if_match, before->etag) ? 0 : WRONG_ETAG;
}

/* Also when what was written is taken back: then they are read as they were. */
static void
forget_groups(struct provisioning_call *call)
{
	if (call->route->is_group)
		enrollment_groups_clear(&call->provisioning->groups);
}

/* 0, or the number of what is wrong, with a sentence. */
static int
put_one(struct provisioning_call *call, const char *id, const json_t *body, const char *if_match, struct enrollment **out,
	struct err *err)
{
	bool is_group = call->route->is_group;
	OWN(enrollment) before = NULL;
	OWN(enrollment) after = NULL;
	struct enrollment_wish wish = { .id = id, .is_group = is_group, .body = body, .now = clock_wall() };
	int wrong;

	if (enrollment_store_find(provisioning_db(call), is_group, id, &before, err) < 0)
		return BROKEN;
	wrong = match(before, is_group, if_match);
	if (wrong) {
		(void)err_set(err, ERR_CONFLICT,
			wrong == WRONG_ETAG ? "the etag is not that of what is there"
			: before	    ? "it is there already"
					    : "it is not there");
		return wrong;
	}
	wish.before = before;
	after = enrollment_compose(&wish, err);
	if (!after || check_possible(call, after, err) < 0)
		return BAD_ARGUMENT;
	if (enrollment_store_put(provisioning_db(call), after, err) < 0)
		return BROKEN;
	forget_groups(call);
	*out = GIVE(after);
	return 0;
}

static int
remove_one(struct provisioning_call *call, const char *id, const char *if_match, struct err *err)
{
	bool is_group = call->route->is_group;
	OWN(enrollment) before = NULL;
	int wrong;

	if (enrollment_store_find(provisioning_db(call), is_group, id, &before, err) < 0)
		return BROKEN;
	wrong = match(before, is_group, if_match ? if_match : "*");
	if (wrong) {
		(void)err_set(err, ERR_CONFLICT, before ? "the etag is not that of what is there" : "it is not there");
		return wrong;
	}
	if (enrollment_store_remove(provisioning_db(call), is_group, id, err) < 0)
		return BROKEN;
	forget_groups(call);
	return 0;
}

static void
fail(struct provisioning_call *call, int number, const struct err *err)
{
	if (number == BROKEN)
		provisioning_fail_broken(call, err);
	else
		provisioning_fail(call, number, "%s: %s", call->ids[0], err->text);
}

static void
put(struct provisioning_call *call)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	OWN_TEXT if_match = provisioning_if_match(call->req);
	OWN(enrollment) e = NULL;
	struct err err = ERR_INIT;
	int wrong = body ? put_one(call, call->ids[0], body, if_match, &e, &err) : 0;

	if (wrong)
		fail(call, wrong, &err);
	else if (e)
		answer_enrollment(call, e);
}

static void delete (struct provisioning_call *call)
{
	OWN_TEXT if_match = provisioning_if_match(call->req);
	struct err err = ERR_INIT;
	int wrong = remove_one(call, call->ids[0], if_match, &err);

	if (wrong)
		fail(call, wrong, &err);
	else
		http_respond(call->req, 204, NULL, NULL, 0);
}

/* -- Up to ten at once -------------------------------------------------------------------------------------------------------------- */

static int
bulk_one(struct provisioning_call *call, const char *mode, const char *id, const json_t *item, struct err *err)
{
	const char *etag = json_string_value(json_object_get(item, "etag"));
	OWN(enrollment) e = NULL;

	if (text_is_nocase(mode, "create"))
		return put_one(call, id, item, NULL, &e, err);
	if (text_is_nocase(mode, "update"))
		return put_one(call, id, item, "*", &e, err);
	if (text_is_nocase(mode, "updateIfMatchETag"))
		return put_one(call, id, item, etag ? etag : "", &e, err);
	return remove_one(call, id, NULL, err);
}

static bool
mode_is_known(const char *mode)
{
	return text_is_nocase(mode, "create") || text_is_nocase(mode, "update") || text_is_nocase(mode, "updateIfMatchETag") ||
	       text_is_nocase(mode, "delete");
}

static void
bulk(struct provisioning_call *call)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	const char *mode = json_string_value(json_object_get(body, "mode"));
	const json_t *list = json_object_get(body, "enrollments");
	json_t *errors;

	if (!body)
		return;
	if (!mode || !mode_is_known(mode) || !json_is_array(list) || json_array_size(list) == 0 ||
		json_array_size(list) > BULK_MAX) {
		provisioning_fail(call, BAD_ARGUMENT, "a bulk operation has a mode and 1 to %d enrollments", BULK_MAX);
		return;
	}
	errors = json_array();
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_object_get(json_array_get(list, i), "registrationId"));
		struct err err = ERR_INIT;
		int wrong = id ? bulk_one(call, mode, id, json_array_get(list, i), &err) : BAD_ARGUMENT;

		if (wrong)
			json_array_append_new(errors, json_pack("{s:s, s:i, s:s}", "registrationId", id ? id : "", "errorCode",
							      wrong, "errorStatus", wrong == BROKEN ? "internal error" : err.text));
	}
	http_respond_json(
		call->req, 200, NULL, json_pack("{s:b, s:o}", "isSuccessful", json_array_size(errors) == 0, "errors", errors));
}

/* -- Lists ------------------------------------------------------------------------------------------------------------------------- */

static void
add_to_page(void *arg, struct enrollment *enrollment_take)
{
	OWN(enrollment) e = enrollment_take;

	if (provisioning_page_has_room(arg))
		provisioning_page_add(arg, enrollment_to_json(e), e->id);
}

/* "*" and "SELECT *", as clients send it: nothing else is known here. */
static bool
query_is_all(const char *query)
{
	if (!query || text_is(query, "*") || text_is_nocase(query, "SELECT *"))
		return true;
	return text_is_nocase(query, "SELECT * FROM enrollments") || text_is_nocase(query, "SELECT * FROM enrollmentGroups");
}

static void
query(struct provisioning_call *call)
{
	OWN_LIB(json_t) body = provisioning_body(call);
	struct provisioning_page page;
	struct err err = ERR_INIT;

	if (!body)
		return;
	if (!query_is_all(json_string_value(json_object_get(body, "query")))) {
		provisioning_fail(call, BAD_ARGUMENT, "the query is none of: *, SELECT *");
		return;
	}
	if (!provisioning_page_begin(call, &page))
		return;
	if (enrollment_store_list(
		    provisioning_db(call), call->route->is_group, page.after, (int64_t)page.max + 1, add_to_page, &page, &err) < 0)
		provisioning_fail_broken(call, &err);
	else
		provisioning_page_answer(call, &page, call->route->is_group ? "enrollmentGroup" : "enrollment");
	provisioning_page_clear(&page);
}

#define READ PROVISIONING_ENROLLMENT_READ
#define WRITE PROVISIONING_ENROLLMENT_WRITE
const struct provisioning_route provisioning_service_routes[] = {
	{ "POST", "enrollments/query", READ, false, query },
	{ "POST", "enrollments", WRITE, false, bulk },
	{ "GET", "enrollments/*", READ, false, show },
	{ "PUT", "enrollments/*", WRITE, false, put },
	{ "DELETE", "enrollments/*", WRITE, false, delete },
	{ "POST", "enrollments/*/attestationmechanism", READ | WRITE, false, show_mechanism },
	{ "POST", "enrollmentGroups/query", READ, true, query },
	{ "GET", "enrollmentGroups/*", READ, true, show },
	{ "PUT", "enrollmentGroups/*", WRITE, true, put },
	{ "DELETE", "enrollmentGroups/*", WRITE, true, delete },
	{ "POST", "enrollmentGroups/*/attestationmechanism", READ | WRITE, true, show_mechanism },
	{ 0 },
};
