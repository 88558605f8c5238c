/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch of the local services.  The order of the tests is that of the originals, because clients see it: api-version, path and its age, method, body. */
#include "common/endpoint.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define NOW_BODY_MAX 8192

/* Without the charset that the hub's answers have: edge-services 0.1. */
static void
answer_json(struct http_request *request, int status, json_t *body_take)
{
	static const char *const headers[] = { "Content-Type: application/json", NULL };
	OWN_LIB(json_t) body = body_take;
	OWN_TEXT text = json_line(body);

	http_respond(request, status, headers, text, strlen(text));
	mem_wipe(text, strlen(text));
}

static void
answer_error(struct http_request *request, int status, const char *message)
{
	json_t *body = json_pack("{s:s}", "message", message);

	answer_json(request, status, body ? body : json_object());
}

static bool
is_known_version(const struct endpoint_table *table, const char *version)
{
	for (const char *const *v = table->versions; *v; v++)
		if (text_is(*v, version))
			return true;
	return false;
}

/* Does the path match, segment by segment?  Its variables go to call->var.  A slash at the end makes another path, as in the original. */
static bool
path_matches(const char *pattern, struct endpoint_call *call)
{
	struct slice rest = slice_of(pattern + 1), part;
	size_t i = 0, n_vars = 0;
	bool more = true;

	if (text_ends(pattern, "/") != text_ends(http_path(call->request), "/"))
		return false;
	for (; more && rest.len > 0; i++) {
		const char *segment = http_segment(call->request, i);

		more = slice_cut(&rest, '/', &part);
		if (!segment)
			return false;
		if (!slice_is(part, "{}")) {
			if (!slice_is(part, segment))
				return false;
		} else if (!*segment || n_vars == ENDPOINT_VARS_MAX) {
			return false;
		} else {
			call->var[n_vars++] = segment;
		}
	}
	return http_n_segments(call->request) == i;
}

static const struct endpoint *
find_quick(const struct endpoint_table *table, struct endpoint_call *call, const char *version)
{
	for (size_t i = 0; i < table->n_quick; i++)
		if (text_is(table->quick[i].method, http_method(call->request)) &&
			strcmp(version, table->quick[i].min_version) >= 0 && path_matches(table->quick[i].path, call))
			return &table->quick[i];
	return NULL;
}

static const struct endpoint *
find_endpoint(const struct endpoint_table *table, struct endpoint_call *call, const char *version, bool *path_known)
{
	const char *method = http_method(call->request);

	*path_known = false;
	for (size_t i = 0; i < table->n_endpoints; i++) {
		const struct endpoint *endpoint = &table->endpoints[i];

		if (strcmp(version, endpoint->min_version) < 0 || !path_matches(endpoint->path, call))
			continue;
		*path_known = true;
		if (text_is(endpoint->method, method))
			return endpoint;
	}
	return NULL;
}

static bool
is_json(const struct http_request *request)
{
	const char *type = http_header(request, "content-type");
	OWN_TEXT word = type ? mem_textn(type, strcspn(type, "; ")) : NULL;

	return !type || text_is_nocase(word, "application/json");
}

/* 0: go on; otherwise the status to refuse with. */
static int
take_body(struct endpoint_call *call, bool required, struct err *err)
{
	size_t len;
	const void *text = http_body(call->request, &len);

	if (!is_json(call->request)) {
		if (!required)
			return 0;
		err_set(err, ERR_INVALID, "request body must be application/json");
		return 415;
	}
	if (len == 0 && !required)
		return 0;
	call->body = json_parse(text, len, err);
	return call->body ? 0 : 422;
}

/* As where the originals turn JSON into their structures. */
static int
check_members(const char *members, const json_t *body, struct err *err)
{
	struct slice rest = slice_of(members), word;
	bool more = true;
	const char *text;

	while (more) {
		OWN_TEXT name = NULL;
		bool optional;

		more = slice_cut(&rest, ' ', &word);
		name = slice_text(word);
		optional = text_ends(name, "?");
		if (optional)
			name[word.len - 1] = '\0';
		if ((optional ? json_find_text(body, name, &text, err) : json_get_text(body, name, &text, err)) < 0)
			return 422;
	}
	return 0;
}

static int
check_body(const struct endpoint_table *table, const struct endpoint *endpoint, const json_t *body, struct err *err)
{
	for (size_t i = 0; body && i < table->n_bodies; i++)
		if (text_is(table->bodies[i].path, endpoint->path) && text_is(table->bodies[i].method, endpoint->method))
			return check_members(table->bodies[i].members, body, err);
	return 0;
}

static int
status_of(const struct endpoint_table *table, enum err_kind kind)
{
	switch (kind) {
	case ERR_INVALID:
	case ERR_CONFLICT:
		return 400;
	case ERR_DENIED:
		return table->denied_status;
	case ERR_MISSING:
		return table->missing_status;
	case ERR_LIMIT:
		return 413;
	case ERR_NONE:
	case ERR_UNAVAILABLE:
	case ERR_BROKEN:
		break;
	}
	return 500;
}

/* As the originals write causes (edge-services 0.1). */
static char *
message_of(const struct endpoint_table *table, const struct endpoint_call *call, int status, const struct err *err)
{
	if (status < 500 || !table->hide_failures)
		return mem_text(err->text);
	if (!table->may_see_causes || !table->may_see_causes(call))
		return mem_text("internal error");
	return mem_textf("internal error\ncaused by: %s", err->text);
}

/* Asking whether something is there is nothing to warn of. */
static enum log_level
level_of(int status, enum err_kind kind)
{
	if (status >= 500)
		return LOG_ERROR;
	return kind == ERR_MISSING ? LOG_INFO : LOG_WARN;
}

/* "caused by" begins a line of an answer, and none in the log. */
static void
log_failure(const struct endpoint_call *call, int status, const struct err *err)
{
	OWN_TEXT sentence = mem_text(err->text);

	for (char *c = sentence; *c; c++)
		if (*c == '\n')
			*c = ' ';
	log_at(level_of(status, err->kind), "%s %s: %d: %s", http_method(call->request), http_path(call->request), status,
		sentence);
}

static void
finish(const struct endpoint_table *table, struct endpoint_call *call, int status, json_t *answer, const struct err *err)
{
	if (status < 0) {
		OWN_TEXT message = NULL;

		status = status == -1 ? status_of(table, err->kind) : -status;
		log_failure(call, status, err);
		message = message_of(table, call, status, err);
		answer_error(call->request, status, message);
	} else if (answer) {
		answer_json(call->request, status, answer);
	} else {
		http_respond(call->request, status, NULL, NULL, 0);
	}
}

static void
run(const struct endpoint_table *table, const struct endpoint *endpoint, struct endpoint_call *call)
{
	struct err err = ERR_INIT;
	json_t *answer = NULL;
	int status = endpoint->handle(call, &answer, &err);

	finish(table, call, status, answer, &err);
}

/* Whatever is wrong with a request is told by endpoint_handle. */
bool
endpoint_handle_now(struct http_request *request, void *arg)
{
	const struct endpoint_door *door = arg;
	struct endpoint_call call = { .request = request, .door = door->door };
	const char *version = door->table->n_quick > 0 ? http_query(request, "api-version") : NULL;
	const struct endpoint *endpoint;
	struct err err = ERR_INIT;
	json_t *answer = NULL;
	int status = ENDPOINT_LATER;
	size_t len;

	http_body(request, &len);
	if (!version || !is_known_version(door->table, version) || len > NOW_BODY_MAX)
		return false;
	endpoint = find_quick(door->table, &call, version);
	if (!endpoint)
		return false;
	call.has_process = http_peer_process(request, &call.process);
	if (take_body(&call, true, &err) == 0 && check_body(door->table, endpoint, call.body, &err) == 0)
		status = endpoint->handle(&call, &answer, &err);
	if (status != ENDPOINT_LATER)
		finish(door->table, &call, status, answer, &err);
	json_decref(call.body);
	return status != ENDPOINT_LATER;
}

static bool
may_wait(const struct endpoint_table *table, const struct endpoint *endpoint, const struct endpoint_call *call)
{
	for (size_t i = 0; i < table->n_waits; i++)
		if (text_is(table->waits[i].path, endpoint->path) && text_is(table->waits[i].method, endpoint->method))
			return !table->waits[i].waits || table->waits[i].waits(call);
	return false;
}

bool
endpoint_is_slow(struct http_request *request, void *arg)
{
	const struct endpoint_door *door = arg;
	struct endpoint_call call = { .request = request, .door = door->door };
	const char *version = door->table->n_waits > 0 ? http_query(request, "api-version") : NULL;
	bool path_known;
	const struct endpoint *endpoint = version ? find_endpoint(door->table, &call, version, &path_known) : NULL;

	call.has_process = http_peer_process(request, &call.process);
	return endpoint && may_wait(door->table, endpoint, &call);
}

void
endpoint_handle(struct http_request *request, void *arg)
{
	const struct endpoint_door *door = arg;
	struct endpoint_call call = { .request = request, .door = door->door };
	const char *version = http_query(request, "api-version");
	const struct endpoint *endpoint;
	struct err err = ERR_INIT;
	bool path_known;
	int refused;

	call.has_process = http_peer_process(request, &call.process);
	if (!version) {
		answer_error(request, 400, "api-version not specified");
		return;
	}
	if (!is_known_version(door->table, version)) {
		OWN_TEXT message = mem_textf("invalid api-version \"%.40s\"", version);

		answer_error(request, 400, message);
		return;
	}
	endpoint = find_endpoint(door->table, &call, version, &path_known);
	if (!endpoint) {
		answer_error(request, path_known ? 400 : 404, path_known ? "method not allowed" : "not found");
		return;
	}
	refused = take_body(&call, text_is(endpoint->method, "PUT"), &err);
	if (!refused)
		refused = check_body(door->table, endpoint, call.body, &err);
	if (refused)
		answer_error(request, refused, err.text);
	else
		run(door->table, endpoint, &call);
	json_decref(call.body);
}
