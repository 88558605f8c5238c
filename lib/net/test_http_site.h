/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the HTTP client share: a server of ours, on a unix socket and on TLS, one that answers whatever bytes it is told to, and calls to them. */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/text.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "wire/codec.h"
#include "test_fixture.h"

#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

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

static inline char *
binding_text(const uint8_t *binding, size_t len)
{
	struct buf text = BUF_INIT(256);

	base64_encode(&text, binding, len);
	return buf_take_text(&text);
}

/* Tells what it was asked. */
static inline void
answer_echo(struct http_request *req)
{
	uint8_t bound[CONN_BINDING_MAX];
	OWN_TEXT binding = binding_text(bound, conn_channel_binding(http_conn(req), bound));
	size_t len;
	const void *body = http_body(req, &len);
	const char *length = http_header(req, "content-length"), *type = http_header(req, "content-type");

	http_respond_json(req, 200, (const char *[]){ "ETag: \"e1\"", "iothub-errorcode: None", NULL },
		json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s%, s:b, s:s, s:I}", "method", http_method(req), "path",
			http_path(req), "host", http_header(req, "host"), "length", length, "type", type, "x",
			http_header(req, "x"), "body", body ? (const char *)body : "", len, "has_cert", http_peer_leaf(req) != NULL,
			"binding", binding, "conn", (json_int_t)conn_id(http_conn(req))));
}

/* Without having said so. */
static inline void
answer_echo_and_end(struct http_request *req)
{
	struct conn *conn = http_conn(req);

	answer_echo(req);
	conn_close(conn, "");
}

static inline void
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
	else if (text_is(what, "ends"))
		answer_echo_and_end(req);
	else
		answer_echo(req);
}

static inline struct site *
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

static inline void
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

static inline void *
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

static inline void
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

static inline void
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

static inline void
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

static inline void
talk_clear(struct talk *t)
{
	http_answer_clear(&t->answer);
	json_decref(t->json);
	mem_free(t->url);
}

static inline struct talk
local_talk(const char *method, const char *path)
{
	struct talk t = { .url = mem_textf("http://site%s", path) };

	t.call = (struct http_call){ .method = method, .url = t.url, .unix_path = site()->path };
	return t;
}

static inline struct talk
tls_talk(const char *host, int port)
{
	struct talk t = { .url = mem_textf("https://%s:%d/echo", host, port) };

	t.call = (struct http_call){
		.method = "GET", .url = t.url, .connect_to = "127.0.0.1", .anchors = pki()->anchors, .who = "tester"
	};
	return t;
}

static inline void
fetch(struct talk *t)
{
	t->status = http_fetch(&t->answer, &t->call, &t->err);
	if (t->status == 0 && t->answer.body.len > 0)
		t->json = json_loadb((char *)t->answer.body.data, t->answer.body.len, 0, NULL);
}

static inline const char *
said(const struct talk *t, const char *name)
{
	if (t->status < 0)
		fail_msg("%s", t->err.text);
	return json_string_value(json_object_get(t->json, name));
}

static inline json_int_t
conn_of(const struct talk *t)
{
	if (t->status < 0)
		fail_msg("%s", t->err.text);
	return json_integer_value(json_object_get(t->json, "conn"));
}

static inline struct talk
raw_talk_to(const struct raw *raw)
{
	struct talk t = local_talk("POST", "/");

	t.call.unix_path = raw->path;
	return t;
}
