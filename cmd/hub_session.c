/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a hub.  Each is signed with a token of its own, which lives no longer than it needs to. */
#include "hub_session.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/sas.h"

#define TOKEN_LIFE_S 300
#define API "api-version=2021-04-12"
#define ANSWER_MAX (4 << 20)
#define HEADERS_MAX 64
#define STREAM_QUIET_MS 60000 /* four of the hub's heartbeats */

int
hub_session_open(struct hub_session *s, const char *connection_string, const char *ca_path, const char *connect_to, struct err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct certs roots = { 0 };

	sigaction(SIGPIPE, &ignore, NULL); /* libssl writes to servers that are gone */
	*s = (struct hub_session){ .connect_to = connect_to, .hub = connstr_parse(connection_string, err) };
	if (!s->hub)
		return -1;
	if (!s->hub->policy || !s->hub->has_key)
		return err_set(err, ERR_INVALID, "the connection string is not that of a policy");
	if (certs_load(&roots, ca_path, CERTS_MAX, err) < 0)
		return -1;
	s->anchors = anchors_new(&roots, err);
	certs_clear(&roots);
	return s->anchors ? 0 : -1;
}

void
hub_session_clear(struct hub_session *s)
{
	mem_free(s->etag);
	connstr_free(s->hub);
	anchors_free(s->anchors);
}

static char *
authorization_of(const struct hub_session *s)
{
	CLEAR(buf) token = BUF_INIT(SAS_TOKEN_MAX);

	sas_sign(&token, s->hub->host, clock_wall() + TOKEN_LIFE_S, s->hub->policy, &s->hub->key);
	return mem_textf("Authorization: %s", buf_text(&token));
}

/* Into an error, as for JSON. */
static int
fetch_raw(json_t **out, struct http_answer *answer, struct http_call *call, const struct hub_request *request, struct err *err)
{
	call->body = request->raw;
	call->body_len = request->raw_len;
	if (http_fetch(answer, call, err) < 0)
		return -1;
	if (answer->status < 200 || answer->status > 299)
		return err_set(err, ERR_UNAVAILABLE, "%s %s: status %d%s%s", call->method, request->path, answer->status,
			answer->error_code ? " " : "", answer->error_code ? answer->error_code : "");
	*out = answer->body.len > 0 ? json_parse(answer->body.data, answer->body.len, err) : NULL;
	return *out || answer->body.len == 0 ? 0 : -1;
}

/* Who says no says why: a hub "ErrorCode:NAME;sentence", provisioning a number and a sentence.  The sentence is for people, the request is what they typed. */
static void
say_plainly(const struct http_answer *answer, struct err *err)
{
	struct err ignored = ERR_INIT;
	OWN_LIB(json_t) body = answer->body.len > 0 ? json_parse(answer->body.data, answer->body.len, &ignored) : NULL;
	const char *message = json_string_value(json_object_get(body, "Message"));
	const char *sentence = message ? strchr(message, ';') : NULL;
	const char *other = json_string_value(json_object_get(body, "message"));
	json_int_t number = json_integer_value(json_object_get(body, "errorCode"));
	int kind = err->kind;

	if (answer->status < 300)
		return;
	if (answer->error_code && sentence) {
		*err = (struct err)ERR_INIT;
		(void)err_set(err, kind, "%s (%d %s)", sentence + 1, answer->status, answer->error_code);
	} else if (other && number) {
		*err = (struct err)ERR_INIT;
		(void)err_set(err, kind, "%s (%d)",
			answer->status == 401 ? "the policy or its key is wrong, or it may not do this" : other, (int)number);
	}
}

int
hub_session_ask(struct hub_session *s, const struct hub_request *request, json_t **out, char **continuation, struct err *err)
{
	OWN_TEXT url = mem_textf("https://%s/%s?" API "%s%s", s->hub->host, request->path, request->query ? "&" : "",
		request->query ? request->query : "");
	OWN_TEXT authorization = authorization_of(s);
	struct http_answer answer = { .body = BUF_INIT(ANSWER_MAX) };
	const char *headers[HEADERS_MAX + 2] = { NULL };
	struct http_call call = {
		.method = request->method,
		.url = url,
		.connect_to = s->connect_to,
		.headers = headers,
		.anchors = s->anchors,
		.timeout_ms = s->timeout_ms,
		.who = "tool",
	};
	int done;

	headers[0] = authorization;
	for (size_t i = 0; request->headers && request->headers[i] && i < HEADERS_MAX; i++)
		headers[i + 1] = request->headers[i];
	if (request->raw)
		done = fetch_raw(out, &answer, &call, request, err);
	else
		done = http_fetch_json(out, &answer, &call, request->body, err);
	if (done < 0)
		say_plainly(&answer, err);
	mem_free(s->etag);
	s->etag = answer.etag;
	answer.etag = NULL;
	if (continuation) {
		*continuation = answer.continuation;
		answer.continuation = NULL;
	}
	http_answer_clear(&answer);
	return done;
}

int
hub_session_request(struct hub_session *s, const char *method, const char *path, const json_t *body, bool replace, json_t **out,
	struct err *err)
{
	static const char *const whatever_is_there[] = { "If-Match: *", NULL };
	struct hub_request request = {
		.method = method, .path = path, .body = body, .headers = replace ? whatever_is_there : NULL
	};

	return hub_session_ask(s, &request, out, NULL, err);
}

int
hub_session_stream(struct hub_session *s, const char *path, const char *last_id,
	bool (*on_body)(void *arg, const void *data, size_t len), void *arg, struct err *err)
{
	OWN_TEXT url = mem_textf("https://%s/%s", s->hub->host, path);
	OWN_TEXT authorization = authorization_of(s);
	OWN_TEXT last = *last_id ? mem_textf("Last-Event-ID: %s", last_id) : NULL;
	OWN_LIB(json_t) nothing = NULL;
	struct http_answer answer = { .body = BUF_INIT(ANSWER_MAX) };
	const char *headers[] = { authorization, last, NULL };
	struct http_call call = {
		.method = "GET",
		.url = url,
		.connect_to = s->connect_to,
		.headers = headers,
		.anchors = s->anchors,
		.timeout_ms = STREAM_QUIET_MS,
		.on_body = on_body,
		.arg = arg,
		.who = "tool",
	};
	int done = http_fetch_json(&nothing, &answer, &call, NULL, err);

	http_answer_clear(&answer);
	return done;
}

/* The lock is the etag, in quotes. */
static int
complete(struct hub_session *s, const char *path, struct err *err)
{
	OWN_TEXT etag = mem_text(s->etag ? s->etag : "");
	size_t len = strlen(etag);
	OWN_TEXT lock = len > 2 ? mem_textn(etag + 1, len - 2) : NULL;
	OWN_TEXT locked = lock ? mem_textf("%s/%s", path, lock) : NULL;
	OWN_LIB(json_t) nothing = NULL;

	if (!locked)
		return err_set(err, ERR_BROKEN, "the hub's answer has no lock");
	return hub_session_request(s, "DELETE", locked, NULL, false, &nothing, err);
}

int
hub_session_take(struct hub_session *s, const char *path, json_t **out, struct err *err)
{
	OWN_LIB(json_t) all = json_array();
	json_t *piece = NULL;

	do {
		if (hub_session_request(s, "GET", path, NULL, false, &piece, err) < 0)
			return -1;
		if (piece) {
			json_array_append_new(all, piece);
			if (complete(s, path, err) < 0)
				return -1;
		}
	} while (piece);
	*out = json_incref(all);
	return 0;
}
