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
	connstr_free(s->hub);
	anchors_free(s->anchors);
}

int
hub_session_request(struct hub_session *s, const char *method, const char *path, const json_t *body, bool replace, json_t **out,
	struct err *err)
{
	CLEAR(buf) token = BUF_INIT(SAS_TOKEN_MAX);
	OWN_TEXT url = mem_textf("https://%s/%s?" API, s->hub->host, path);
	OWN_TEXT authorization = NULL;
	struct http_answer answer = { .body = BUF_INIT(4 << 20) };
	const char *headers[3] = { NULL };
	struct http_call call = {
		.method = method,
		.url = url,
		.connect_to = s->connect_to,
		.headers = headers,
		.anchors = s->anchors,
		.who = "tool",
	};
	int done;

	sas_sign(&token, s->hub->host, clock_wall() + TOKEN_LIFE_S, s->hub->policy, &s->hub->key);
	authorization = mem_textf("Authorization: %s", buf_text(&token));
	headers[0] = authorization;
	headers[1] = replace ? "If-Match: *" : NULL;
	done = http_fetch_json(out, &answer, &call, body, err);
	http_answer_clear(&answer);
	return done;
}

char *
hub_device_path(const char *device_id)
{
	CLEAR(buf) path = BUF_INIT(1024);

	buf_puts(&path, "devices/");
	percent_encode(&path, device_id, strlen(device_id));
	return buf_take_text(&path);
}
