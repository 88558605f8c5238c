/* SPDX-License-Identifier: Apache-2.0 */
/* Commands over REST (hub 1.7, 4.4, 4.6): sent and purged by services, which fetch the feedback about them.  What a command carries beside its body comes in headers, named as
 * devices name them over HTTPS (hub 2.1). */
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/commands/feedback.h"
#include "hub/rest/rest.h"
#include "wire/property_bag.h"

#define WORD_MAX 128

static const char app[] = "iothub-app-";

struct command_request {
	struct command_call command;
	struct http_request *req;
	char *message_id, *properties;
	void (*respond)(struct command_request *request);
};

static void
command_request_free(struct command_request *request)
{
	command_call_clear(&request->command);
	mem_free(request->message_id);
	mem_free(request->properties);
	mem_free(request);
}

/* -- Answers -------------------------------------------------------------------------------------------------------------------------------- */

static const struct {
	enum rest_error error;
	const char *sentence;
} failures[COMMAND_ANSWER_COUNT] = {
	[COMMAND_NO_DEVICE] = { REST_DEVICE_NOT_FOUND, "there is no such device" },
	[COMMAND_NO_MODULE] = { REST_MODULE_NOT_FOUND, "there is no such module" },
	[COMMAND_QUEUE_FULL] = { REST_DEVICE_MAXIMUM_QUEUE_DEPTH_EXCEEDED, "as many messages wait for it as may" },
	[COMMAND_BAD_EXPIRY] = { REST_INVALID_MESSAGE_EXPIRY_TIME, "iothub-expiry is not within the next two days" },
	[COMMAND_TOO_LARGE] = { REST_MESSAGE_TOO_LARGE, "a message is at most 64 KB, with its properties" },
	[COMMAND_LOCK_LOST] = { REST_DEVICE_MESSAGE_LOCK_LOST, "this lock holds no message, or no longer" },
	[COMMAND_FAILED] = { REST_SERVER_ERROR, "the registry could not be used" },
};

static void
on_done(struct command_call *command)
{
	struct command_request *request = CONTAINER_OF(command, struct command_request, command);

	if (command->answer == COMMAND_OK)
		request->respond(request);
	else
		rest_fail(request->req, failures[command->answer].error, "%s: %s", command->device_id,
			failures[command->answer].sentence);
	command_request_free(request);
}

static void
submit(struct rest *rest, struct command_request *request, void (*respond)(struct command_request *request))
{
	struct conn *conn = http_conn(request->req);

	request->respond = respond;
	request->command.done = on_done;
	if (conn && command_queue_submit(rest->commands, &request->command, loop_owner(conn_loop(conn))))
		return;
	rest_fail(request->req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	command_request_free(request);
}

static struct command_request *
command_request_new(struct http_request *req, enum command_op op, const char *const *ids)
{
	struct command_request *request = NEW(command_request);

	request->req = req;
	request->command.op = op;
	request->command.device_id = mem_text(ids[0]);
	request->command.module_id = mem_text(ids[1]);
	return request;
}

/* -- Sending -------------------------------------------------------------------------------------------------------------------------------- */

static int
check_text(const char *name, const char *value, size_t max, struct err *err)
{
	size_t len = strlen(value);

	if (len > max || !text_is_utf8(value, len) || text_has_control(value, len))
		return err_set(err, ERR_INVALID, "%s is UTF-8 of at most %zu bytes", name, max);
	return 0;
}

static int
take_word(struct slice *out, const struct http_request *req, const char *name, struct err *err)
{
	const char *value = http_header(req, name);

	if (!value)
		return 0;
	*out = slice_of(value);
	return check_text(name, value, WORD_MAX, err);
}

static int
take_words(struct command *c, const struct http_request *req, struct err *err)
{
	const struct {
		const char *header;
		struct slice *word;
	} words[] = {
		{ "iothub-messageid", &c->message_id },
		{ "iothub-correlationid", &c->correlation_id },
		{ "iothub-userid", &c->user_id },
		{ "iothub-contenttype", &c->content_type },
		{ "iothub-contentencoding", &c->content_encoding },
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (take_word(words[i].word, req, words[i].header, err) < 0)
			return -1;
	return 0;
}

static int
take_terms(struct command *c, const struct http_request *req, struct err *err)
{
	const char *expiry = http_header(req, "iothub-expiry");
	int64_t seconds;

	if (!command_ack_parse(http_header(req, "iothub-ack"), &c->ack))
		return err_set(err, ERR_INVALID, "iothub-ack is none, positive, negative or full");
	if (!expiry)
		return 0;
	if (!clock_parse(expiry, &seconds))
		return err_set(err, ERR_INVALID, "iothub-expiry is no time as in RFC 3339");
	/* A time before 1970 or at its beginning is as much in the past as any other. */
	c->expires_ms = seconds > 0 ? seconds * 1000 : 1;
	return 0;
}

static int
take_properties(struct command_request *request, struct err *err)
{
	CLEAR(buf) bag = BUF_INIT(COMMAND_SIZE_MAX + 1);
	const char *name, *value;

	for (size_t at = 0; http_next_header(request->req, &at, &name, &value);) {
		if (strncasecmp(name, app, sizeof(app) - 1) != 0)
			continue;
		name += sizeof(app) - 1;
		/* What begins so is ours to say. */
		if (!*name || *name == '$')
			return err_set(err, ERR_INVALID, "a property has a name that begins with no dollar");
		if (check_text(name, value, COMMAND_SIZE_MAX, err) < 0)
			return -1;
		property_put(&bag, name, value);
	}
	if (bag.failed)
		return err_set(err, ERR_LIMIT, "a message is at most 64 KB, with its properties");
	request->properties = buf_take_text(&bag);
	request->command.command.properties = slice_of(request->properties);
	return 0;
}

static int
take_command(struct command_request *request, struct err *err)
{
	struct command *c = &request->command.command;
	char id[RANDOM_UUID_LEN];

	c->payload.text = http_body(request->req, &c->payload.len);
	if (c->payload.len > COMMAND_SIZE_MAX)
		return err_set(err, ERR_LIMIT, "a message is at most 64 KB, with its properties");
	if (take_words(c, request->req, err) < 0 || take_terms(c, request->req, err) < 0 || take_properties(request, err) < 0)
		return -1;
	if (c->message_id.len > 0)
		return 0;
	request->message_id = mem_text(random_uuid(id)); /* without one, feedback would be about nothing */
	c->message_id = slice_of(request->message_id);
	return 0;
}

static void
respond_sent(struct command_request *request)
{
	OWN_TEXT message_id = slice_text(request->command.command.message_id);

	http_respond_json(request->req, 201, NULL,
		json_pack("{s:s, s:I}", "messageId", message_id, "sequenceNumber", (json_int_t)request->command.sequence));
}

static void
post_command(struct rest *rest, struct http_request *req, const char *const *ids)
{
	struct command_request *request = command_request_new(req, COMMAND_ADD, ids);
	struct err err = ERR_INIT;

	if (take_command(request, &err) == 0) {
		submit(rest, request, respond_sent);
		return;
	}
	rest_fail(req, err.kind == ERR_LIMIT ? REST_MESSAGE_TOO_LARGE : REST_ARGUMENT_INVALID, "%s", err.text);
	command_request_free(request);
}

/* -- Purging -------------------------------------------------------------------------------------------------------------------------------- */

static void
respond_purged(struct command_request *request)
{
	http_respond_json(request->req, 200, NULL,
		json_pack("{s:I, s:s, s:s?}", "totalMessagesPurged", (json_int_t)request->command.n_purged, "deviceId",
			request->command.device_id, "moduleId", request->command.module_id));
}

static void
delete_commands(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit(rest, command_request_new(req, COMMAND_PURGE, ids), respond_purged);
}

/* -- Feedback ------------------------------------------------------------------------------------------------------------------------------- */

struct feedback_request {
	struct feedback_call feedback;
	struct rest *rest;
	struct http_request *req;
};

/* As a message of the hub to the service: it names itself by the first part of its host name. */
static void
respond_records(struct feedback_request *request)
{
	const char *host = request->rest->hostname;
	OWN_TEXT etag = mem_textf("ETag: \"%s\"", request->feedback.lock_token);
	OWN_TEXT message_id = mem_textf("iothub-messageid: %s", request->feedback.lock_token);
	OWN_TEXT user_id = mem_textf("iothub-userid: %.*s", (int)strcspn(host, "."), host);
	OWN_TEXT text = json_dumps(request->feedback.records, JSON_COMPACT);
	const char *headers[] = { etag, message_id, user_id, "Content-Type: application/vnd.microsoft.iothub.feedback.json", NULL };

	http_respond(request->req, 200, headers, text, strlen(text));
}

static void
respond_feedback(struct feedback_request *request)
{
	switch (request->feedback.answer) {
	case FEEDBACK_OK:
		if (request->feedback.op == FEEDBACK_TAKE)
			respond_records(request);
		else
			http_respond(request->req, 204, NULL, NULL, 0);
		return;
	case FEEDBACK_NOTHING:
		http_respond(request->req, 204, NULL, NULL, 0);
		return;
	case FEEDBACK_LOCK_LOST:
		rest_fail(request->req, REST_DEVICE_MESSAGE_LOCK_LOST, "this lock holds no feedback, or no longer");
		return;
	case FEEDBACK_FAILED:
		rest_fail(request->req, REST_SERVER_ERROR, "the registry could not be used");
		return;
	}
}

static void
on_feedback(struct feedback_call *feedback)
{
	struct feedback_request *request = CONTAINER_OF(feedback, struct feedback_request, feedback);

	respond_feedback(request);
	feedback_call_clear(feedback);
	mem_free(request);
}

static void
submit_feedback(struct rest *rest, struct http_request *req, enum feedback_op op, const char *lock_token)
{
	struct feedback_request *request = NEW(feedback_request);
	struct conn *conn = http_conn(req);

	request->rest = rest;
	request->req = req;
	request->feedback.op = op;
	request->feedback.lock_token = mem_text(lock_token);
	request->feedback.done = on_feedback;
	if (conn && feedback_submit(rest->registry, &request->feedback, loop_owner(conn_loop(conn))))
		return;
	rest_fail(req, REST_THROTTLING_EXCEPTION, "too many changes wait; try again");
	feedback_call_clear(&request->feedback);
	mem_free(request);
}

static void
get_feedback(struct rest *rest, struct http_request *req, const char *const *ids)
{
	(void)ids;
	submit_feedback(rest, req, FEEDBACK_TAKE, NULL);
}

static void
delete_feedback(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit_feedback(rest, req, FEEDBACK_COMPLETE, ids[0]);
}

static void
abandon_feedback(struct rest *rest, struct http_request *req, const char *const *ids)
{
	submit_feedback(rest, req, FEEDBACK_ABANDON, ids[0]);
}

const struct rest_route rest_command_routes[] = {
	{ "POST", "devices/*/messages/devicebound", REST_SERVICE, AUTH_SERVICE_CONNECT, post_command },
	{ "POST", "devices/*/modules/*/messages/devicebound", REST_SERVICE, AUTH_SERVICE_CONNECT, post_command },
	{ "DELETE", "devices/*/commands", REST_SERVICE, AUTH_SERVICE_CONNECT, delete_commands },
	{ "DELETE", "devices/*/modules/*/commands", REST_SERVICE, AUTH_SERVICE_CONNECT, delete_commands },
	{ "GET", "messages/serviceBound/feedback", REST_SERVICE, AUTH_SERVICE_CONNECT, get_feedback },
	{ "DELETE", "messages/serviceBound/feedback/*", REST_SERVICE, AUTH_SERVICE_CONNECT, delete_feedback },
	{ "POST", "messages/serviceBound/feedback/*/abandon", REST_SERVICE, AUTH_SERVICE_CONNECT, abandon_feedback },
	{ 0 },
};
