/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against a server of ours, on a unix socket and on TLS, and against one that answers whatever bytes it is told to. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/text.h"
#include "keys/key.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "test_fixture.h"

/* -- A server of ours ------------------------------------------------------------------------------------------------------------------ */

#define ANSWER_MAX (8 * 1024 * 1024)

struct site {
	struct loop *loop;
	struct http_server *server;
	struct listener *local, *tls;
	struct tls_holder *holder;
	char path[128];
	int port;
	atomic_int n_requests;
};

/* Tells what it was asked. */
static void
answer_echo(struct http_request *req)
{
	size_t len;
	const void *body = http_body(req, &len);
	const char *length = http_header(req, "content-length"), *type = http_header(req, "content-type");

	http_respond_json(req, 200, (const char *[]){ "ETag: \"e1\"", "iothub-errorcode: None", NULL },
		json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s%, s:b, s:I}", "method", http_method(req), "path", http_path(req),
			"host", http_header(req, "host"), "length", length, "type", type, "x", http_header(req, "x"), "body",
			body ? (const char *)body : "", len, "has_cert", http_peer_leaf(req) != NULL, "conn",
			(json_int_t)conn_id(http_conn(req))));
}

static void
handle(struct http_request *req, void *arg)
{
	static const char words[] = "{\"Message\":\"the server's words\"}";
	struct site *site = arg;
	const char *what = http_segment(req, 0), *status = http_query(req, "status");
	int64_t number = 200;
	size_t len;
	const void *body = http_body(req, &len);

	site->n_requests++;
	if (status && text_to_i64(status, 200, 599, &number))
		http_respond(req, (int)number, NULL, words, strlen(words));
	else if (text_is(what, "mirror"))
		http_respond(req, 200, NULL, body, len);
	else
		answer_echo(req);
}

static struct site *
site(void)
{
	static struct site s;
	struct err err = ERR_INIT;

	if (s.loop)
		return &s;
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	s.loop = loop_new("site");
	s.server = http_server_new(&(struct http_server_config){ .handle = handle, .arg = &s, .max_body = ANSWER_MAX });
	s.holder = server_tls("site", NULL);
	snprintf(s.path, sizeof(s.path), "%s/site.sock", T_TMPDIR);
	s.local = listener_open(&s.loop, 1,
		&(struct listener_config){ .unix_path = s.path,
			.unix_mode = 0600,
			.ops = http_server_ops(),
			.user = s.server,
			.on_accept = http_server_on_accept },
		&err);
	s.tls = listener_open(&s.loop, 1,
		&(struct listener_config){ .address = "127.0.0.1",
			.tls = s.holder,
			.ops = http_server_ops(),
			.user = s.server,
			.on_accept = http_server_on_accept },
		&err);
	if (!s.local || !s.tls)
		fail_msg("%s", err.text);
	s.port = listener_port(s.tls);
	CHECK_OK(loop_start_thread(s.loop, &err), err);
	return &s;
}

/* -- A server that answers bytes ------------------------------------------------------------------------------------------------------- */

/* Each connection gets the next answer once its request's head is there, and is closed, or held open. */
struct raw {
	const char *answers[4];
	bool holds;	  /* the last one, until its peer goes */
	bool hears_next;  /* the first is closed only when another request has come */
	const char *late; /* sent on the first one once it may be; then that is held */
	atomic_bool may_send_late, *late_sent;
	atomic_bool *on_head; /* set when the last head was read; may be NULL */
	char path[100], heard[4096];
	int listener, n_accepted, port;
	atomic_int held; /* the descriptor */
	pthread_t thread;
};

static void
raw_talk(struct raw *raw, int fd, const char *answer, bool hold)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(raw->heard) - 1 && !strstr(raw->heard, "\r\n\r\n")) {
		n = recv(fd, raw->heard + len, sizeof(raw->heard) - 1 - len, 0);
		if (n <= 0)
			break;
		len += (size_t)n;
		raw->heard[len] = '\0';
	}
	if (hold && raw->on_head)
		*raw->on_head = true;
	send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	if (raw->hears_next && raw->n_accepted == 1)
		recv(fd, raw->heard, 1, MSG_PEEK);
	if (raw->late && raw->n_accepted == 1) {
		while (!raw->may_send_late)
			sched_yield();
		send(fd, raw->late, strlen(raw->late), MSG_NOSIGNAL);
		hold = true;
		raw->held = fd;
		*raw->late_sent = true;
	}
	raw->held = hold ? fd : 0;
	while (hold && recv(fd, raw->heard, 1, 0) > 0)
		;
	raw->held = 0;
	close(fd);
}

static void *
raw_main(void *arg)
{
	struct raw *raw = arg;

	while (raw->answers[raw->n_accepted]) {
		int fd = accept(raw->listener, NULL, NULL);

		if (fd < 0)
			break;
		memset(raw->heard, 0, sizeof(raw->heard));
		raw->n_accepted++;
		raw_talk(raw, fd, raw->answers[raw->n_accepted - 1], raw->holds && !raw->answers[raw->n_accepted]);
	}
	return NULL;
}

static void
raw_start_unix(struct raw *raw)
{
	static int n;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(raw->path, sizeof(raw->path), "%s/raw%d", T_TMPDIR, n++);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", raw->path);
	raw->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(raw->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(raw->listener, 8), 0);
	pthread_create(&raw->thread, NULL, raw_main, raw);
}

static void
raw_start_tcp(struct raw *raw)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	raw->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(raw->listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(raw->listener, 8), 0);
	getsockname(raw->listener, (struct sockaddr *)&address, &len);
	raw->port = ntohs(address.sin_port);
	pthread_create(&raw->thread, NULL, raw_main, raw);
}

static void
raw_stop(struct raw *raw)
{
	shutdown(raw->listener, SHUT_RDWR);
	if (raw->held)
		shutdown(raw->held, SHUT_RDWR); /* its peer should have gone: the test fails, and does not hang */
	pthread_join(raw->thread, NULL);
	close(raw->listener);
}

/* -- Calls ------------------------------------------------------------------------------------------------------------------------------ */

struct talk {
	struct http_call call;
	struct http_answer answer;
	struct err err;
	int status;
	char *url;
	json_t *json;
};

static void
talk_clear(struct talk *t)
{
	http_answer_clear(&t->answer);
	json_decref(t->json);
	mem_free(t->url);
}

static struct talk
local_talk(const char *method, const char *path)
{
	struct talk t = { .url = mem_textf("http://site%s", path) };

	t.call = (struct http_call){ .method = method, .url = t.url, .unix_path = site()->path };
	return t;
}

static struct talk
tls_talk(const char *host, int port)
{
	struct talk t = { .url = mem_textf("https://%s:%d/echo", host, port) };

	t.call = (struct http_call){
		.method = "GET", .url = t.url, .connect_to = "127.0.0.1", .anchors = pki()->anchors, .who = "tester"
	};
	return t;
}

static void
fetch(struct talk *t)
{
	t->status = http_fetch(&t->answer, &t->call, &t->err);
	if (t->status == 0 && t->answer.body.len > 0)
		t->json = json_loadb((char *)t->answer.body.data, t->answer.body.len, 0, NULL);
}

static const char *
said(const struct talk *t, const char *name)
{
	if (t->status < 0)
		fail_msg("%s", t->err.text);
	return json_string_value(json_object_get(t->json, name));
}

static json_int_t
conn_of(const struct talk *t)
{
	if (t->status < 0)
		fail_msg("%s", t->err.text);
	return json_integer_value(json_object_get(t->json, "conn"));
}

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
		buf_putf(&body, "%zu,", body.len);
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

static struct talk
raw_talk_to(const struct raw *raw)
{
	struct talk t = local_talk("POST", "/");

	t.call.unix_path = raw->path;
	return t;
}

#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

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

/* -- Time --------------------------------------------------------------------------------------------------------------------------------- */

TEST("a server that does not answer is given up after timeout_ms, in the middle of an answer too")
{
	static const char *const answers[] = { "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell" };

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct raw raw = { .answers = { answers[i] }, .holds = true };
		CLEAR(talk) t = { 0 };
		int64_t begin = clock_boot_ms();

		raw_start_unix(&raw);
		t = raw_talk_to(&raw);
		t.call.timeout_ms = 100;
		fetch(&t);
		CHECK_ERR(t.err, ERR_UNAVAILABLE, "no answer in time");
		CHECK(clock_boot_ms() - begin >= 100 && clock_boot_ms() - begin < PATIENCE_MS);
		raw_stop(&raw);
	}
}

TEST("a server that accepts and says nothing in TLS is given up after timeout_ms")
{
	struct raw raw = { .answers = { "" }, .holds = true };
	CLEAR(talk) t = { 0 };

	raw_start_tcp(&raw);
	t = tls_talk("localhost", raw.port);
	t.call.timeout_ms = 100;
	fetch(&t);
	CHECK_INT(t.status, -1);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "");
	raw_stop(&raw);
}

TEST("a call that nobody needs from the beginning is not sent, and a kept connection stays")
{
	atomic_bool cancelled = true;
	CLEAR(talk) before = local_talk("GET", "/echo");
	CLEAR(talk) t = local_talk("GET", "/echo");
	CLEAR(talk) after = local_talk("GET", "/echo");
	int n;

	fetch(&before);
	n = site()->n_requests;
	t.call.cancelled = &cancelled;
	fetch(&t);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "not needed any more");
	CHECK_INT(site()->n_requests, n);
	fetch(&after);
	CHECK_INT(conn_of(&after), conn_of(&before));
}

TEST("a call that nobody needs any more ends within about a second")
{
	atomic_bool cancelled = false;
	struct raw raw = { .answers = { "" }, .holds = true, .on_head = &cancelled };
	CLEAR(talk) t = { 0 };
	int64_t begin = clock_boot_ms();

	raw_start_unix(&raw);
	t = raw_talk_to(&raw);
	t.call.cancelled = &cancelled;
	t.call.timeout_ms = 10 * PATIENCE_MS;
	fetch(&t);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "not needed any more");
	CHECK(clock_boot_ms() - begin < PATIENCE_MS);
	raw_stop(&raw);
}

/* -- TLS ---------------------------------------------------------------------------------------------------------------------------------- */

TEST("over https the verdict is handed out, the host names the port, and no certificate is shown unasked for")
{
	CLEAR(talk) t = tls_talk("localhost", site()->port);
	OWN_TEXT host = mem_textf("localhost:%d", site()->port);

	fetch(&t);
	CHECK_STR(said(&t, "host"), host);
	CHECK(json_is_false(json_object_get(t.json, "has_cert")));
	CHECK(t.answer.verdict && verdict_accepted(t.answer.verdict));
	CHECK_STR(t.answer.verdict->who, "tester");
}

TEST("a client certificate is shown, signed for on another thread")
{
	CLEAR(talk) t = tls_talk("localhost", site()->port);

	t.call.chain = &pki()->device_chain;
	t.call.key = pki()->device_key;
	fetch(&t);
	said(&t, "path");
	CHECK(json_is_true(json_object_get(t.json, "has_cert")));
}

TEST("a key that is not the certificate's is told before anything is sent")
{
	CLEAR(talk) t = tls_talk("localhost", site()->port);

	t.call.chain = &pki()->device_chain;
	t.call.key = pki()->other_key;
	fetch(&t);
	CHECK_INT(t.status, -1);
	CHECK_CONTAINS(t.err.text, t.url);
}

TEST("a server that is not trusted, or has another name, is DENIED with the verdict, and hears no request")
{
	struct talk rows[] = { tls_talk("localhost", site()->port), tls_talk("other.local", site()->port),
		tls_talk("[::1]", site()->port) };
	static const char *const causes[] = { "CN=root", "other.local", "::1" };
	int before = site()->n_requests;

	rows[0].call.anchors = pki()->other_anchors;
	for (size_t i = 0; i < COUNT(rows); i++) {
		fetch(&rows[i]);
		CHECK_INT(rows[i].status, -1);
		CHECK_ERR(rows[i].err, ERR_DENIED, causes[i]);
		CHECK(rows[i].answer.verdict && !verdict_accepted(rows[i].answer.verdict));
		talk_clear(&rows[i]);
	}
	CHECK_INT(site()->n_requests, before);
}

/* A private half that takes its time. */
struct slow_key {
	atomic_bool asked, may_sign;
};

static int
sign_slowly(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct slow_key *slow = arg;

	(void)tbs;
	(void)len;
	(void)sig;
	(void)sig_len;
	slow->asked = true;
	while (!slow->may_sign)
		sched_yield();
	return err_set(err, ERR_UNAVAILABLE, "too late");
}

static void
release_nothing(void *arg)
{
	(void)arg;
}

static const struct key_remote_ops slow_ops = { .sign = sign_slowly, .release = release_nothing };

TEST("time is over also while the key's owner still has the handshake, and the next call is none the worse")
{
	struct slow_key slow = { 0 };
	struct err err = ERR_INIT;
	OWN(key) key = key_remote_new(key_pkey(pki()->device_key), &slow_ops, &slow, &err);
	CLEAR(talk) late = tls_talk("localhost", site()->port);
	CLEAR(talk) next = tls_talk("localhost", site()->port);

	late.call.chain = &pki()->device_chain;
	late.call.key = key;
	late.call.timeout_ms = 500;
	fetch(&late);
	CHECK(slow.asked);
	CHECK_ERR(late.err, ERR_UNAVAILABLE, "");
	slow.may_sign = true;
	fetch(&next);
	CHECK_STR(said(&next, "path"), "/echo");
}

/* -- A proxy ------------------------------------------------------------------------------------------------------------------------------- */

TEST("a proxy that refuses is told with its status; it hears who is meant, and of its user, and nothing else")
{
	struct raw raw = { .answers = { "HTTP/1.1 407 Who?\r\nContent-Length: 3\r\n\r\nno!" } };
	CLEAR(talk) t = { 0 };
	OWN_TEXT proxy = NULL;

	raw_start_tcp(&raw);
	proxy = mem_textf("http://me:secret@127.0.0.1:%d", raw.port);
	setenv("HTTPS_PROXY", proxy, 1);
	t = tls_talk("hub.local", 443);
	t.call.connect_to = NULL;
	t.call.headers = (const char *[]){ "Authorization: token", NULL };
	fetch(&t);
	unsetenv("HTTPS_PROXY");
	raw_stop(&raw);
	CHECK_INT(t.status, -1);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "status 407");
	CHECK(!strstr(t.err.text, "secret"));
	CHECK_STR(raw.heard,
		"CONNECT hub.local:443 HTTP/1.1\r\nHost: hub.local:443\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n");
}

TEST("a proxy that sends bytes of its own after its yes is not believed")
{
	struct raw raw = { .answers = { "HTTP/1.1 200 Go\r\n\r\n\x15\x03\x03" } };
	CLEAR(talk) t = { 0 };
	OWN_TEXT proxy = NULL;

	raw_start_tcp(&raw);
	proxy = mem_textf("127.0.0.1:%d", raw.port);
	setenv("HTTPS_PROXY", proxy, 1);
	t = tls_talk("hub.local", 443);
	fetch(&t);
	unsetenv("HTTPS_PROXY");
	raw_stop(&raw);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "before it was asked");
}

TEST("a unix socket needs no proxy")
{
	CLEAR(talk) t = local_talk("GET", "/echo");

	setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	fetch(&t);
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	CHECK_STR(said(&t, "method"), "GET");
}
