/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers can make a server hold by bodies whose end they do not send. */
#include <signal.h>

#include "base/text.h"
#include "net/http_server.h"
#include "test_fixture.h"

#define BODY (64 * 1024)
#define BODIES (16 * BODY)

struct site {
	struct loop *loop;
	struct http_server *server;
	int port;
};

static void
handle(struct http_request *req, void *arg)
{
	(void)arg;
	http_respond(req, 200, NULL, "taken", 5);
}

/* -- A sink, for who asks for one ------------------------------------------------------------------------------------------------------- */

static void
sink_write(struct http_sink *sink, const void *data, size_t len)
{
	(void)sink;
	(void)data;
	(void)len;
}

static void
sink_free(struct http_sink *sink)
{
	mem_free(sink);
}

static struct http_sink *
choose_sink(struct http_request *req, void *arg)
{
	struct http_sink *sink = text_is(http_segment(req, 0), "sink") ? NEW(http_sink) : NULL;

	(void)arg;
	if (sink)
		*sink = (struct http_sink){ .max = 1 << 30, .write = sink_write, .free = sink_free };
	return sink;
}

/* -- The site --------------------------------------------------------------------------------------------------------------------------- */

static struct site *
site(void)
{
	static struct site s;
	struct listener *listener;
	struct err err = ERR_INIT;

	if (s.loop)
		return &s;
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	s.loop = loop_new("site");
	s.server = http_server_new(&(struct http_server_config){ .handle = handle,
		.max_body = BODY,
		.max_bodies = BODIES,
		.sink = choose_sink,
		.streams = pool_new("streams", 1, 100) });
	listener = listener_open(&s.loop, 1,
		&(struct listener_config){
			.address = "127.0.0.1", .ops = http_server_ops(), .user = s.server, .on_accept = http_server_on_accept },
		&err);
	if (!listener)
		fail_msg("%s", err.text);
	s.port = listener_port(listener);
	return &s;
}

/* A POST of `len` bytes, with `sent` of them. */
static int
post(const char *path, size_t len, size_t sent)
{
	static const char zeros[BODY];
	int fd = plain_connect(site()->port), size = 4 * BODY;
	char head[128];
	int n = snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path, len);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	CHECK_INT(send(fd, head, (size_t)n, 0), n);
	CHECK_INT(send(fd, zeros, sent, 0), sent);
	return fd;
}

/* Is a whole body of this size answered so?  A server that has not yet read, or noticed, what others did is asked again. */
static bool
is_answered(size_t len, const char *want)
{
	int64_t deadline = clock_boot_ms() + PATIENCE_MS;
	struct gather *g = NEW(gather);
	bool is;

	do {
		*g = (struct gather){ .fd = post("/", len, len), .want = "\r\n\r\n" };
		until(site()->loop, gather_is_done, g);
		is = strstr(g->text, want) != NULL;
		close(g->fd);
	} while (!is && clock_boot_ms() < deadline);
	mem_free(g);
	return is;
}

static void
fill(const char *path, size_t len)
{
	int strangers[BODIES / BODY];

	for (size_t i = 0; i < COUNT(strangers); i++)
		strangers[i] = post(path, len, BODY - 1);
	CHECK(is_answered(BODY, "HTTP/1.1 503"));
	CHECK(is_answered(100, "HTTP/1.1 200"));
	for (size_t i = 0; i < COUNT(strangers); i++)
		close(strangers[i]);
	for (int i = 0; i < 10; i++) /* nor do those that are answered add up */
		CHECK(is_answered(BODY, "HTTP/1.1 200"));
}

TEST("when bodies without an end fill what all may have, another one is answered 503, a small one is taken, and when they are gone "
     "any")
{
	fill("/", BODY);
}

TEST("so it is when they go to sinks, of which each is sent less than a piece")
{
	fill("/sink", 100 * BODY);
}

TEST("what a sink has taken counts no more")
{
	static const char zeros[BODY];
	int fd = post("/sink", 4 * BODIES, 1);
	struct gather *g = NEW(gather);

	*g = (struct gather){ .fd = fd, .want = "taken" };
	for (size_t left = 4 * BODIES - 1; left > 0;) {
		ssize_t n = send(fd, zeros, left < BODY ? left : BODY, MSG_DONTWAIT);

		left -= n > 0 ? (size_t)n : 0;
		if (n < 0)
			run_for(site()->loop, 1);
	}
	until(site()->loop, gather_is_done, g);
	CHECK_CONTAINS(g->text, "HTTP/1.1 200");
	close(fd);
	mem_free(g);
}
