/* SPDX-License-Identifier: Apache-2.0 */
/* Answers without a known end, as a peer made of a plain socket sees them. */
#include <signal.h>
#include <stdatomic.h>

#include "base/text.h"
#include "net/http_server.h"
#include "test_fixture.h"

#define PIECE 65536

/* -- A server that streams ------------------------------------------------------------------------------------------------------------- */

struct site {
	struct loop *loop;
	struct http_server *server;
	struct listener *listener;
	int port;
	atomic_int n_drained, n_gone, n_not_begun;
};

struct streaming {
	struct http_request *req;
	struct site *site;
	int64_t left; /* pieces; below 0: without end */
	bool floods, aborts;
};

static void
streaming_free(struct streaming *s)
{
	http_stream_end(s->req);
	mem_free(s);
}

static void
write_piece(struct streaming *s)
{
	static char flood[PIECE];
	char text[32];

	if (s->floods) {
		http_stream_write(s->req, flood, sizeof(flood));
		return;
	}
	http_stream_write(s->req, text, (size_t)snprintf(text, sizeof(text), "piece %lld;", (long long)s->left));
	http_stream_write(s->req, "", 0); /* is not the end */
}

static void
on_stream_drain(void *arg)
{
	struct streaming *s = arg;

	s->site->n_drained++;
	if (s->aborts) {
		http_stream_abort(s->req, "for the test");
		mem_free(s);
	} else if (s->left == 0) {
		streaming_free(s);
	} else if (s->left > 0 || s->floods) {
		s->left -= s->left > 0;
		write_piece(s);
	}
}

static void
on_stream_gone(void *arg)
{
	struct streaming *s = arg;

	s->site->n_gone++;
	http_stream_write(s->req, "nowhere", 7);
	streaming_free(s);
}

static const struct http_stream_ops stream_ops = { .on_drain = on_stream_drain, .on_gone = on_stream_gone };

static void
handle(struct http_request *req, void *arg)
{
	const char *what = http_segment(req, 0), *n = http_query(req, "n");
	struct streaming *streaming;

	if (text_is(what, "plain")) {
		http_respond(req, 200, NULL, "plain", 5);
		return;
	}
	streaming = NEW(streaming);
	*streaming = (struct streaming){
		.req = req, .site = arg, .left = -1, .floods = text_is(what, "flood"), .aborts = text_is(what, "abort")
	};
	if (n && !text_to_i64(n, 0, 1000, &streaming->left))
		abort();
	if (http_stream_begin(req, 200, (const char *[]){ "Content-Type: text/plain", NULL }, &stream_ops, streaming)) {
		write_piece(streaming);
		if (text_is(what, "die")) { /* the connection is dead before it is closed */
			conn_abort(http_conn(req), "for the test");
			streaming_free(streaming);
		}
		return;
	}
	streaming->site->n_not_begun++;
	mem_free(streaming);
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
	s.server = http_server_new(&(struct http_server_config){ .handle = handle, .arg = &s });
	s.listener = listener_open(&s.loop, 1,
		&(struct listener_config){
			.address = "127.0.0.1", .ops = http_server_ops(), .user = s.server, .on_accept = http_server_on_accept },
		&err);
	if (!s.listener)
		fail_msg("%s", err.text);
	s.port = listener_port(s.listener);
	CHECK_OK(loop_start_thread(s.loop, &err), err);
	return &s;
}

/* -- A peer ---------------------------------------------------------------------------------------------------------------------------- */

static int
dial(const char *request)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)site()->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	CHECK_INT(send(fd, request, strlen(request), 0), strlen(request));
	return fd;
}

/* Read until what was read ends so. */
static char *
hear(int fd, const char *end)
{
	struct buf heard = BUF_INIT(1 << 20);
	char some[512];
	ssize_t n;

	while (!text_ends(buf_text(&heard), end) && (n = recv(fd, some, sizeof(some), 0)) > 0)
		buf_put(&heard, some, (size_t)n);
	return buf_take_text(&heard);
}

static bool
is_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) <= 0;
}

static bool
reaches(atomic_int *number, int value)
{
	int64_t deadline = clock_boot_ms() + PATIENCE_MS;

	while (*number != value && clock_boot_ms() < deadline)
		poll(NULL, 0, 1);
	return *number == value;
}

#define HEAD "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nContent-Type: text/plain\r\n"

TEST("a stream comes in chunks, and the request that was sent behind it is answered after its end")
{
	int fd = dial("GET /count?n=2 HTTP/1.1\r\nHost: x\r\n\r\nGET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT heard = hear(fd, "\r\n\r\nplain");

	CHECK_STR(heard, HEAD "Transfer-Encoding: chunked\r\n\r\n8\r\npiece 2;\r\n8\r\npiece 1;\r\n8\r\npiece 0;\r\n0\r\n\r\n"
			      "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 5\r\n\r\nplain");
	close(fd);
}

TEST("a request that comes while the stream is on waits for its end")
{
	int fd = dial("GET /count?n=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT first = hear(fd, "0\r\n\r\n");
	OWN_TEXT second = NULL;

	CHECK_INT(send(fd, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n", 32, 0), 32);
	second = hear(fd, "plain");
	CHECK_CONTAINS(second, "plain");
	close(fd);
}

TEST("HTTP/1.0 has no chunks: the stream ends with the connection")
{
	int fd = dial("GET /count?n=1 HTTP/1.0\r\n\r\n");
	OWN_TEXT heard = hear(fd, "no such end");

	CHECK_STR(heard, HEAD "Connection: close\r\n\r\npiece 1;piece 0;");
	close(fd);
}

TEST("who asks for the head gets no stream")
{
	int before = site()->n_not_begun, fd = dial("HEAD /count?n=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT heard = hear(fd, "\r\n\r\n");

	CHECK_CONTAINS(heard, "200 OK");
	CHECK(reaches(&site()->n_not_begun, before + 1));
	close(fd);
}

TEST("the end of a peer is told once, whether it reads or not")
{
	int before = site()->n_gone;
	int quiet = dial("GET /open HTTP/1.1\r\nHost: x\r\n\r\n"), deaf = dial("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT heard = hear(quiet, "piece -1;\r\n");

	CHECK_CONTAINS(heard, "piece -1;");
	close(quiet);
	CHECK(reaches(&site()->n_gone, before + 1));
	close(deaf);
	CHECK(reaches(&site()->n_gone, before + 2));
}

TEST("a peer that does not read is not written to, and others are served")
{
	int deaf = dial("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"), other, drained, last = -1;
	char some[PIECE];

	/* The kernel's buffers take some; then it stands. */
	for (drained = site()->n_drained; drained != last; drained = site()->n_drained) {
		last = drained;
		poll(NULL, 0, 200);
	}
	other = dial("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT heard = hear(other, "plain");
	CHECK_CONTAINS(heard, "plain");
	CHECK_INT(site()->n_drained, last);
	while (site()->n_drained == last)
		CHECK(recv(deaf, some, sizeof(some), 0) > 0);
	close(other);
	close(deaf);
}

TEST("a stream that is aborted has no end that could be taken for one")
{
	int fd = dial("GET /abort HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT heard = hear(fd, "0\r\n\r\n");

	CHECK(!strstr(heard, "\r\n0\r\n"));
	CHECK(is_ended(fd));
	close(fd);
}

TEST("a stream that ends on a connection that is dead already is told of nothing more")
{
	int before = site()->n_gone, fd = dial("GET /die HTTP/1.1\r\nHost: x\r\n\r\n"), other;

	CHECK(is_ended(fd));
	other = dial("GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
	OWN_TEXT heard = hear(other, "plain");
	CHECK_CONTAINS(heard, "plain");
	CHECK_INT(site()->n_gone, before);
	close(other);
	close(fd);
}

TEST("a peer that sends without end while it is streamed to is cut off")
{
	int before = site()->n_gone, fd = dial("GET /open HTTP/1.1\r\nHost: x\r\n\r\n");
	char some[PIECE] = { 0 };

	while (send(fd, some, sizeof(some), MSG_NOSIGNAL) > 0)
		;
	CHECK(reaches(&site()->n_gone, before + 1));
	close(fd);
}
