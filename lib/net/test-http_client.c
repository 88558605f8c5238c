/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client: what it says and hears, and how it keeps connections. */
#include "test_http_site.h"

/* -- Requests and answers ---------------------------------------------------------------------------------------------------------------- */

TEST("a request arrives as it was meant, and its answer comes back with what is kept of the head")
{
	CLEAR(talk) t = local_talk("POST", "/echo/a%20b?c=d");

	t.call.headers = (const char *[]){ "X: y", "Content-Type: text/plain", NULL };
	t.call.body = "hello";
	t.call.body_len = 5;
	fetch(&t);
	CHECK_STR(said(&t, "method"), "POST");
	CHECK_STR(said(&t, "path"), "/echo/a%20b");
	CHECK_STR(said(&t, "host"), "site");
	CHECK_STR(said(&t, "x"), "y");
	CHECK_STR(said(&t, "type"), "text/plain");
	CHECK_STR(said(&t, "length"), "5");
	CHECK_STR(said(&t, "body"), "hello");
	CHECK_INT(t.answer.status, 200);
	CHECK_STR(t.answer.etag, "\"e1\"");
	CHECK_STR(t.answer.error_code, "None");
	CHECK_CONTAINS(t.answer.content_type, "application/json");
	CHECK(!t.answer.verdict);
}

TEST("a PUT without a body names the length 0, a GET names none; no type is made up")
{
	CLEAR(talk) put = local_talk("PUT", "/echo");
	CLEAR(talk) get = local_talk("GET", "/echo");

	fetch(&put);
	fetch(&get);
	CHECK_STR(said(&put, "length"), "0");
	CHECK_STR(said(&get, "length"), NULL);
	CHECK_STR(said(&put, "type"), NULL);
}

TEST("HEAD and 204 have no body, and the connection goes on")
{
	CLEAR(talk) head = local_talk("HEAD", "/echo");
	CLEAR(talk) none = local_talk("GET", "/?status=204");
	CLEAR(talk) after = local_talk("GET", "/echo");

	fetch(&head);
	fetch(&none);
	fetch(&after);
	CHECK_INT(head.answer.status, 200);
	CHECK_STR(head.answer.etag, "\"e1\"");
	CHECK_INT(head.answer.body.len, 0);
	CHECK_INT(none.answer.status, 204);
	CHECK_STR(said(&after, "method"), "GET");
}

static void
check_mirror(struct talk t, size_t len)
{
	struct buf body = BUF_INIT(ANSWER_MAX);

	while (body.len < len)
		buf_putf(&body, "%u,", body.len);
	t.call.method = "POST";
	t.call.body = body.data;
	t.call.body_len = body.len;
	fetch(&t);
	if (t.status < 0)
		fail_msg("%s", t.err.text);
	CHECK_INT(t.answer.body.len, body.len);
	CHECK_MEM(t.answer.body.data, body.data, body.len);
	buf_clear(&body);
	talk_clear(&t);
}

TEST("three megabytes go there and come back, on a unix socket and over TLS")
{
	struct talk tls = tls_talk("localhost", site()->port);

	mem_free(tls.url);
	tls.call.url = tls.url = mem_textf("https://localhost:%d/mirror", site()->port);
	check_mirror(local_talk("POST", "/mirror"), 3 << 20);
	check_mirror(tls, 3 << 20);
}

TEST("an answer as large as max_body is taken, one byte more is LIMIT")
{
	CLEAR(talk) fits = local_talk("POST", "/mirror");
	CLEAR(talk) more = local_talk("POST", "/mirror");

	fits.call.body = more.call.body = "0123456789a";
	fits.call.body_len = fits.call.max_body = more.call.max_body = 10;
	more.call.body_len = 11;
	fetch(&fits);
	fetch(&more);
	CHECK_INT(fits.status, 0);
	CHECK_INT(more.status, -1);
	CHECK_ERR(more.err, ERR_LIMIT, "the answer is larger than what is accepted");
	CHECK_CONTAINS(more.err.text, site()->path);
}

TEST("statuses become kinds of failures, with the server's words")
{
	static const struct {
		int status;
		enum err_kind kind;
	} rows[] = { { 400, ERR_INVALID }, { 401, ERR_DENIED }, { 403, ERR_DENIED }, { 404, ERR_MISSING }, { 409, ERR_CONFLICT },
		{ 412, ERR_CONFLICT }, { 429, ERR_LIMIT }, { 500, ERR_UNAVAILABLE }, { 503, ERR_UNAVAILABLE },
		{ 302, ERR_UNAVAILABLE } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT path = mem_textf("/?status=%d", rows[i].status);
		CLEAR(talk) t = local_talk("GET", path);

		CHECK_INT(http_fetch_json(&t.json, &t.answer, &t.call, NULL, &t.err), -1);
		CHECK_ERR(t.err, rows[i].kind, "the server's words");
		CHECK(!strchr(t.err.text, '?')); /* a key may stand behind it */
		CHECK_INT(t.answer.status, rows[i].status);
	}
}

TEST("what can't be sent is INVALID, and nothing is sent")
{
	struct talk rows[] = { local_talk("GET", "/echo"), local_talk("GE T", "/echo"), local_talk("GET", "/a b"),
		local_talk("GET", "/echo"), tls_talk("localhost", site()->port), tls_talk("localhost", site()->port) };
	int before = site()->n_requests;

	rows[0].call.headers = (const char *[]){ "X: y\r\nZ: injected", NULL };
	rows[3].call.url = "https://site/echo";
	rows[4].call.url = "http://localhost/echo";
	rows[5].call.anchors = NULL;
	for (size_t i = 0; i < COUNT(rows); i++) {
		fetch(&rows[i]);
		CHECK_INT(rows[i].status, -1);
		CHECK_ERR(rows[i].err, ERR_INVALID, rows[i].call.method);
		talk_clear(&rows[i]);
	}
	CHECK_INT(site()->n_requests, before);
}

/* -- Connections ------------------------------------------------------------------------------------------------------------------------- */

TEST("a thread's calls to a unix socket share a connection; after an answer that was too large they have another")
{
	CLEAR(talk) first = local_talk("GET", "/echo");
	CLEAR(talk) second = local_talk("GET", "/echo");
	CLEAR(talk) large = local_talk("GET", "/echo");
	CLEAR(talk) third = local_talk("GET", "/echo");

	large.call.max_body = 1;
	fetch(&first);
	fetch(&second);
	fetch(&large);
	fetch(&third);
	CHECK_INT(conn_of(&second), conn_of(&first));
	CHECK_INT(large.status, -1);
	CHECK(conn_of(&third) != conn_of(&first));
}

static struct tls_client *
new_client(void)
{
	struct err err = ERR_INIT;
	struct tls_client *client = tls_client_new(&(struct tls_client_config){ .who = "tester", .anchors = pki()->anchors }, &err);

	if (!client)
		fail_msg("%s", err.text);
	return client;
}

TEST("calls over https of one client share a thread's connection to a server, which is judged once; another client's, or to "
     "another place, do not")
{
	OWN(tls_client) client = new_client();
	OWN(tls_client) other = new_client();
	CLEAR(talk) alone = tls_talk("localhost", site()->port);
	CLEAR(talk) first = tls_talk("localhost", site()->port);
	CLEAR(talk) second = tls_talk("localhost", site()->port);
	CLEAR(talk) elsewhere = tls_talk("localhost", site()->port);
	CLEAR(talk) others = tls_talk("localhost", site()->port);
	CLEAR(talk) third = tls_talk("localhost", site()->port);

	first.call.tls = second.call.tls = elsewhere.call.tls = third.call.tls = client;
	first.call.anchors = NULL;
	others.call.tls = other;
	elsewhere.call.connect_to = "localhost";
	fetch(&alone);
	fetch(&first);
	fetch(&second);
	fetch(&elsewhere);
	fetch(&others);
	fetch(&third);
	CHECK_STR(first.answer.verdict->who, "tester");
	CHECK(!second.answer.verdict);
	CHECK(conn_of(&first) != conn_of(&alone));
	CHECK_INT(conn_of(&second), conn_of(&first));
	CHECK(conn_of(&elsewhere) != conn_of(&first));
	CHECK(others.answer.verdict && conn_of(&others) != conn_of(&first));
	CHECK_INT(conn_of(&third), conn_of(&first));
}

TEST("a kept connection over https that its server ends, by its answer or afterwards, is replaced")
{
	OWN(tls_client) client = new_client();
	CLEAR(talk) last = tls_talk("localhost", site()->port);
	CLEAR(talk) ended = tls_talk("localhost", site()->port);
	CLEAR(talk) next = tls_talk("localhost", site()->port);

	last.call.headers = (const char *[]){ "Connection: close", NULL };
	mem_free(ended.url);
	ended.call.url = ended.url = mem_textf("https://localhost:%d/ends", site()->port);
	last.call.tls = ended.call.tls = next.call.tls = client;
	fetch(&last);
	fetch(&ended);
	fetch(&next);
	CHECK(ended.answer.verdict && conn_of(&ended) != conn_of(&last));
	CHECK(next.answer.verdict && conn_of(&next) != conn_of(&ended));
}

TEST("the calls of a session share its connection, and know what binds to it before they are made")
{
	OWN(http_session) session = http_session_new();
	CLEAR(talk) first = tls_talk("localhost", site()->port);
	CLEAR(talk) second = tls_talk("localhost", site()->port);
	CLEAR(talk) other = tls_talk("localhost", site()->port);
	uint8_t binding[CONN_BINDING_MAX];
	struct err err = ERR_INIT;
	OWN_TEXT text = NULL;

	first.call.session = second.call.session = session;
	second.call.bound = true;
	CHECK_INT(http_session_binding(session, binding), 0);
	CHECK_OK(http_connect(&first.call, &err), err);
	text = binding_text(binding, http_session_binding(session, binding));
	CHECK_INT(strlen(text), 44);
	CHECK_OK(http_connect(&first.call, &err), err);
	fetch(&first);
	fetch(&second);
	fetch(&other);
	CHECK_STR(json_string_value(json_object_get(second.json, "binding")), text);
	CHECK_INT(conn_of(&first), conn_of(&second));
	CHECK(conn_of(&other) != conn_of(&first));
}

TEST("a session's connection that has ended is replaced, but not for a call that is bound to it")
{
	OWN(http_session) session = http_session_new();
	CLEAR(talk) last = tls_talk("localhost", site()->port);
	CLEAR(talk) bound = tls_talk("localhost", site()->port);
	CLEAR(talk) next = tls_talk("localhost", site()->port);
	uint8_t binding[CONN_BINDING_MAX];

	last.call.headers = (const char *[]){ "Connection: close", NULL };
	last.call.session = bound.call.session = next.call.session = session;
	bound.call.bound = true;
	fetch(&last);
	CHECK_INT(last.answer.status, 200);
	CHECK_INT(http_session_binding(session, binding), 0);
	fetch(&bound);
	CHECK_INT(bound.status, -1);
	CHECK_ERR(bound.err, ERR_UNAVAILABLE, "no longer there");
	fetch(&next);
	CHECK(conn_of(&next) != conn_of(&last));
	CHECK(http_session_binding(session, binding) > 0);
}

static void *
call_on_thread(void *arg)
{
	struct talk *t = arg;

	fetch(t);
	return NULL;
}

static bool
has_conns(void *arg)
{
	return listener_n_conns(site()->local) == *(size_t *)arg;
}

TEST("a thread's connections end with it")
{
	CLEAR(talk) here = local_talk("GET", "/echo");
	struct talk there = local_talk("GET", "/echo");
	OWN(loop) loop = loop_new("waiting");
	pthread_t thread;
	size_t mine = 1;

	fetch(&here);
	pthread_create(&thread, NULL, call_on_thread, &there);
	pthread_join(thread, NULL);
	CHECK(conn_of(&there) != conn_of(&here));
	CHECK(until(loop, has_conns, &mine));
	talk_clear(&there);
}

TEST("a kept connection that the server has closed is replaced, unseen by the caller")
{
	struct raw raw = { .answers = { EMPTY, EMPTY } };
	CLEAR(talk) first = { 0 };
	CLEAR(talk) second = { 0 };

	raw_start_unix(&raw);
	first = raw_talk_to(&raw);
	second = raw_talk_to(&raw);
	fetch(&first);
	fetch(&second);
	raw_stop(&raw);
	CHECK_INT(first.status, 0);
	CHECK_INT(second.status, 0);
	CHECK_INT(second.answer.status, 200);
	CHECK_INT(raw.n_accepted, 2);
}

TEST("a request that meets the end of a kept connection goes out again on a new one")
{
	struct raw raw = { .answers = { EMPTY, EMPTY }, .hears_next = true };
	CLEAR(talk) first = { 0 };
	CLEAR(talk) second = { 0 };

	raw_start_unix(&raw);
	first = raw_talk_to(&raw);
	second = raw_talk_to(&raw);
	fetch(&first);
	fetch(&second);
	raw_stop(&raw);
	CHECK_INT(first.status, 0);
	CHECK_INT(second.status, 0);
	CHECK_INT(raw.n_accepted, 2);
}

TEST("bytes that come while nobody asks are not taken for the next answer")
{
	atomic_bool sent = false;
	struct raw raw = {
		.answers = { EMPTY, EMPTY }, .late = "HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n", .late_sent = &sent
	};
	CLEAR(talk) first = { 0 };
	CLEAR(talk) second = { 0 };

	raw_start_unix(&raw);
	first = raw_talk_to(&raw);
	second = raw_talk_to(&raw);
	fetch(&first);
	raw.may_send_late = true;
	while (!sent)
		sched_yield();
	fetch(&second);
	raw_stop(&raw);
	CHECK_INT(first.answer.status, 200);
	CHECK_INT(second.status, 0);
	CHECK_INT(second.answer.status, 200);
}

TEST("a new connection that is closed without an answer is not tried again")
{
	struct raw raw = { .answers = { "", EMPTY } };
	CLEAR(talk) t = { 0 };

	raw_start_unix(&raw);
	t = raw_talk_to(&raw);
	fetch(&t);
	raw_stop(&raw);
	CHECK_INT(t.status, -1);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "closed without an answer");
	CHECK_INT(raw.n_accepted, 1);
}

TEST("what is cut off, or no HTTP, is UNAVAILABLE")
{
	static const struct {
		const char *answer, *why;
	} rows[] = { { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "ends too early" }, { "HTTP/1.1 200", "ends too early" },
		{ "220 mail.local ESMTP\r\n", "not HTTP/1.1" }, { "HTTP/1.1 101 No\r\n\r\n", "not HTTP/1.1" } };

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct raw raw = { .answers = { rows[i].answer } };
		CLEAR(talk) t = { 0 };

		raw_start_unix(&raw);
		t = raw_talk_to(&raw);
		fetch(&t);
		raw_stop(&raw);
		CHECK_INT(t.status, -1);
		CHECK_ERR(t.err, ERR_UNAVAILABLE, rows[i].why);
	}
}

TEST("what follows an answer is not the next one's")
{
	struct raw raw = { .answers = { EMPTY "HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n", EMPTY } };
	CLEAR(talk) first = { 0 };
	CLEAR(talk) second = { 0 };

	raw_start_unix(&raw);
	first = raw_talk_to(&raw);
	second = raw_talk_to(&raw);
	fetch(&first);
	fetch(&second);
	raw_stop(&raw);
	CHECK_INT(first.answer.status, 200);
	CHECK_INT(second.answer.status, 200);
}

TEST("a body without a length ends with the stream")
{
	struct raw raw = { .answers = { "HTTP/1.1 200 OK\r\n\r\n[1,2]" } };
	CLEAR(talk) t = { 0 };

	raw_start_unix(&raw);
	t = raw_talk_to(&raw);
	fetch(&t);
	raw_stop(&raw);
	CHECK_INT(json_array_size(t.json), 2);
}

TEST("a socket that is not there is UNAVAILABLE and named, and so is a port that nobody listens on")
{
	CLEAR(talk) gone = local_talk("GET", "/");
	CLEAR(talk) refused = tls_talk("localhost", 1);

	gone.call.unix_path = "/nonexistent/x.sock";
	fetch(&gone);
	fetch(&refused);
	CHECK_ERR(gone.err, ERR_UNAVAILABLE, "GET /nonexistent/x.sock: ");
	CHECK_ERR(refused.err, ERR_UNAVAILABLE, "refused");
}

/* Takes connections, as its backlog does, and says nothing. */
static int
listen_silently(int *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
	*port = ntohs(address.sin_port);
	return fd;
}

TEST("a server that takes the connection and says nothing is given up after connect_ms, long before a slow one would be")
{
	int port, fd = listen_silently(&port);
	CLEAR(talk) talk = tls_talk("localhost", port);
	int64_t since_ms = clock_boot_ms();

	talk.call.connect_ms = 300;
	talk.call.timeout_ms = 120000;
	fetch(&talk);
	CHECK_INT(talk.err.kind, ERR_UNAVAILABLE);
	CHECK(clock_boot_ms() - since_ms < 60000);
	close(fd);
}
