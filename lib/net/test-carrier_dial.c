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
dial_through(
	struct story *s, struct call *call, const char *path, struct anchors *anchors, int port, const struct http_proxy *proxy)
{
	static const struct carrier_dial_ops ops = { .on_verdict = on_verdict, .on_up = on_up, .on_failed = on_failed };
	struct tls_client *tls = client_tls(anchors, false);
	struct carrier_dial_config config = {
		.target = { .host = "localhost", .connect_to = "127.0.0.1", .port = port, .tls = tls },
		.proxy = proxy,
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

static void
dial(struct story *s, struct call *call, const char *path, struct anchors *anchors, int port)
{
	dial_through(s, call, path, anchors, port, NULL);
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

/* -- Through a proxy -------------------------------------------------------------------------------------------------------------------------- */

/* It hears one request, answers it with `answer`, and leads on to `port`. */
struct proxy {
	struct http_proxy http;
	struct listener *listener;
	struct conn *near, *far; /* NULL: not yet, or gone */
	const char *answer;
	int port;
	char heard[400];
};

static struct proxy *proxy;

static size_t
on_far_data(struct conn *conn, const uint8_t *data, size_t len)
{
	(void)conn;
	if (proxy->near)
		conn_write(proxy->near, data, len);
	return len;
}

static void
on_far_open(struct conn *conn)
{
	(void)conn;
	conn_pause(proxy->near, false);
}

static void
on_far_close(struct conn *conn, const char *why)
{
	(void)conn;
	proxy->far = NULL;
	if (proxy->near)
		conn_close(proxy->near, why);
}

static const struct conn_ops far_ops = {
	.on_open = on_far_open, .on_data = on_far_data, .on_close = on_far_close, .read_max = BIG
};

static void
lead_on(struct conn *near)
{
	struct conn_target target = { .host = "127.0.0.1", .port = proxy->port };
	struct err err = ERR_INIT;

	proxy->near = near;
	conn_pause(near, true);
	proxy->far = conn_connect(story->loop, &target, &far_ops, NULL, &err);
	assert_non_null(proxy->far);
}

static size_t
on_near_data(struct conn *conn, const uint8_t *data, size_t len)
{
	if (proxy->far) {
		conn_write(proxy->far, data, len);
		return len;
	}
	snprintf(proxy->heard, sizeof(proxy->heard), "%.*s", (int)len, (const char *)data);
	conn_write(conn, proxy->answer, strlen(proxy->answer));
	if (text_starts(proxy->answer, "HTTP/1.1 200"))
		lead_on(conn);
	return len;
}

static void
on_near_close(struct conn *conn, const char *why)
{
	(void)conn;
	proxy->near = NULL;
	if (proxy->far)
		conn_close(proxy->far, why);
}

static const struct conn_ops near_ops = { .on_data = on_near_data, .on_close = on_near_close, .read_max = BIG };

static void
proxy_listen(struct proxy *p, const char *answer)
{
	struct listener_config listen = { .address = "127.0.0.1", .ops = &near_ops };
	struct err err = ERR_INIT;

	*p = (struct proxy){ .answer = answer, .port = listener_port(story->listener) };
	proxy = p;
	p->listener = listener_open(&story->loop, 1, &listen, &err);
	assert_non_null(p->listener);
	p->http = (struct http_proxy){ .host = mem_text("127.0.0.1"),
		.port = listener_port(p->listener),
		.authorization = mem_text("Proxy-Authorization: Basic bWU6") };
}

static void
proxy_close(struct proxy *p)
{
	listener_close(p->listener);
	mem_free(p->http.host);
	mem_free(p->http.authorization);
}

TEST("through a proxy, which hears CONNECT and no token, a server is judged and carries as it does without")
{
	struct story s;
	struct http_server *http = story_serve(&s);
	struct call call;
	struct proxy p;
	OWN_TEXT wanted =
		mem_textf("CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nProxy-Authorization: Basic bWU6\r\n\r\n",
			listener_port(s.listener), listener_port(s.listener));

	proxy_listen(&p, "HTTP/1.1 200 Connection established\r\n\r\n");
	dial_through(&s, &call, "/strands", pki()->anchors, listener_port(s.listener), &p.http);
	CHECK(call.is_accepted);
	CHECK_STR(p.heard, wanted);
	CHECK(until(s.loop, is_over, NULL));
	CHECK(s.n_retired == 1);
	dial_through(&s, &call, "/strands", pki()->other_anchors, listener_port(s.listener), &p.http);
	CHECK(call.end == CARRIER_DIAL_UNTRUSTED && !call.is_accepted);
	dial_through(&s, &call, "/elsewhere", pki()->anchors, listener_port(s.listener), &p.http);
	CHECK(call.end == CARRIER_DIAL_REFUSED && call.status == 404);
	proxy_close(&p);
	story_clear(&s);
	http_server_free(http);
}

TEST("a proxy that does not lead there is told as such, and so is one that is not there, is no proxy, or answers for the server")
{
	static const struct {
		const char *answer, *why;
	} rows[] = {
		{ "HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n", "it answers CONNECT with status 407" },
		{ "SSH-2.0-OpenSSH_9.2\r\n", "its answer is not HTTP" },
		{ "HTTP/1.1 200 Yes\r\n\r\nand more", "it answers before it was asked" },
	};
	struct story s;
	struct http_server *http = story_serve(&s);
	struct call call;
	struct proxy p;

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT why = NULL;

		proxy_listen(&p, rows[i].answer);
		why = mem_textf("the proxy 127.0.0.1:%d: %s", p.http.port, rows[i].why);
		dial_through(&s, &call, "/strands", pki()->anchors, listener_port(s.listener), &p.http);
		CHECK(call.end == CARRIER_DIAL_NO_TUNNEL && call.status == 0);
		CHECK_STR(call.why, why);
		proxy_close(&p);
	}
	dial_through(&s, &call, "/strands", pki()->anchors, listener_port(s.listener),
		&(struct http_proxy){ .host = (char *)(uintptr_t) "127.0.0.1", .port = 1 });
	CHECK(call.end == CARRIER_DIAL_NO_TUNNEL);
	CHECK_STR(call.why, "the proxy 127.0.0.1:1: Connection refused");
	CHECK(!s.there);
	story_clear(&s);
	http_server_free(http);
}
