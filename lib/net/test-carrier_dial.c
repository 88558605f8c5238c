/* SPDX-License-Identifier: Apache-2.0 */
/* Carriers that are asked for by HTTP. */
#include "net/carrier_dial.h"
#include "net/http_server.h"
#include "test_strand_story.h"

struct call {
	struct story *story;
	enum carrier_dial_end end;
	int status;
	char why[120];
	bool is_done, is_accepted;
};

static void
handle(struct http_request *req, void *arg)
{
	static const char *const headers[] = { "Upgrade: " STRAND_PROTOCOL, "Connection: Upgrade", NULL };
	struct story *s = arg;

	CHECK_STR(http_header(req, "authorization"), "SharedAccessSignature of a test");
	if (http_wants_upgrade(req, STRAND_PROTOCOL) && text_is(http_path(req), "/strands"))
		s->there = conn_carrier_begin(http_switch(req, headers), &s->accepting);
	else
		http_respond_json(req, 404, NULL, json_pack("{s:s}", "message", "there is nothing at this path"));
	if (s->there) {
		strand_frame_put(&conn_carrier_conn(s->there)->out, STRAND_RETIRE, 0, 0); /* in the record of the answer */
		conn_io_written(conn_carrier_conn(s->there));
	}
}

static void
on_verdict(void *arg, const struct verdict *verdict)
{
	((struct call *)arg)->is_accepted = verdict_accepted(verdict);
}

static void
on_up(void *arg, struct conn_carrier *carrier)
{
	struct call *call = arg;

	call->story->here = carrier;
	call->is_done = true;
}

static void
on_failed(void *arg, enum carrier_dial_end end, int status, const char *why)
{
	struct call *call = arg;

	call->end = end;
	call->status = status;
	call->is_done = true;
	snprintf(call->why, sizeof(call->why), "%s", why);
}

static bool
call_is_done(void *arg)
{
	return ((struct call *)arg)->is_done;
}

static void
dial(struct story *s, struct call *call, const char *path, struct anchors *anchors, int port)
{
	static const struct carrier_dial_ops ops = { .on_verdict = on_verdict, .on_up = on_up, .on_failed = on_failed };
	struct tls_client *tls = client_tls(anchors, false);
	struct carrier_dial_config config = {
		.target = { .host = "localhost", .connect_to = "127.0.0.1", .port = port, .tls = tls },
		.path = path,
		.authorization = "SharedAccessSignature of a test",
		.carrier = s->opening,
		.ops = &ops,
		.arg = call,
	};
	struct err err = ERR_INIT;

	*call = (struct call){ .story = s };
	assert_non_null(carrier_dial(s->loop, &config, &err));
	CHECK(until(s->loop, call_is_done, call));
	tls_client_free(tls);
}

static struct http_server *
story_serve(struct story *s)
{
	struct http_server *http = http_server_new(&(struct http_server_config){ .handle = handle, .arg = s });
	struct listener_config listen = {
		.address = "127.0.0.1", .ops = http_server_ops(), .on_accept = http_server_on_accept, .user = http
	};
	struct err err = ERR_INIT;

	story_listen(s);
	listener_close(s->listener);
	listen.tls = s->holder;
	s->listener = listener_open(&s->loop, 1, &listen, &err);
	assert_non_null(s->listener);
	return http;
}

TEST("a server that carries strands is asked by HTTP, and what comes with its answer is read at once")
{
	struct story s;
	struct http_server *http = story_serve(&s);
	struct call call;

	dial(&s, &call, "/strands", pki()->anchors, listener_port(s.listener));
	CHECK(call.is_accepted);
	CHECK(until(s.loop, is_over, NULL));
	CHECK(s.n_retired == 1);
	story_clear(&s);
	http_server_free(http);
}

TEST("a server that carries none says so by its status, one that is not trusted gets no token, and one that is away is unreachable")
{
	struct story s;
	struct http_server *http = story_serve(&s);
	struct call call;

	dial(&s, &call, "/elsewhere", pki()->anchors, listener_port(s.listener));
	CHECK(call.end == CARRIER_DIAL_REFUSED && call.status == 404 && call.is_accepted);
	dial(&s, &call, "/strands", pki()->other_anchors, listener_port(s.listener));
	CHECK(call.end == CARRIER_DIAL_UNTRUSTED && call.status == 0 && !call.is_accepted);
	dial(&s, &call, "/strands", pki()->anchors, 1);
	CHECK(call.end == CARRIER_DIAL_UNREACHABLE && call.status == 0);
	CHECK_STR(call.why, "Connection refused");
	CHECK(!s.there);
	story_clear(&s);
	http_server_free(http);
}
