/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer has sent before it resets the connection is handed over, also when a write of ours is the first to hear of the reset. */
#include "test_fixture.h"

#define LAST_WORDS "the last words"

/* The protocol: it answers whatever comes, and after the first piece it pauses, as one that waits for its disk does. */
struct hearer {
	struct conn *conn;
	size_t n_heard;
	char last[sizeof(LAST_WORDS)];
	size_t takes; /* at a time, and pauses when more is there; 0: all */
	bool pauses, is_paused, closed;
};
static struct hearer hearer;

static size_t
hear(struct conn *conn, const uint8_t *data, size_t len)
{
	bool leaves = hearer.takes > 0 && len > hearer.takes;
	size_t n;

	len = leaves ? hearer.takes : len;
	n = len < sizeof(hearer.last) - 1 ? len : sizeof(hearer.last) - 1;
	hearer.conn = conn;
	hearer.n_heard += len;
	memmove(hearer.last, hearer.last + n, sizeof(hearer.last) - 1 - n);
	memcpy(hearer.last + sizeof(hearer.last) - 1 - n, data + len - n, n);
	conn_write(conn, "heard", 5);
	if (leaves || (hearer.pauses && !hearer.is_paused))
		conn_pause(conn, hearer.is_paused = true);
	return len;
}

static void
on_close(struct conn *conn, const char *why)
{
	(void)conn;
	(void)why;
	hearer.closed = true;
}

static const struct conn_ops ops = { .on_data = hear, .on_close = on_close, .read_max = 1024 };

struct site {
	struct loop *loop;
	struct tls_holder *holder;
	struct listener *listener;
};

static struct site
open_site(bool with_tls, const char *unix_path, bool pauses)
{
	struct site site = { .loop = loop_new("test"), .holder = with_tls ? server_tls("test", NULL) : NULL };
	struct listener_config config = {
		.address = "127.0.0.1", .unix_path = unix_path, .unix_mode = 0600, .tls = site.holder, .ops = &ops
	};
	struct err err = ERR_INIT;

	hearer = (struct hearer){ .pauses = pauses };
	site.listener = listener_open((struct loop *[]){ site.loop }, 1, &config, &err);
	assert_non_null(site.listener);
	return site;
}

static void
close_site(struct site *site)
{
	listener_close(site->listener);
	conn_abort_all(site->loop);
	run_for(site->loop, 1);
	tls_holder_free(site->holder);
	loop_free(site->loop);
}

static void
reset_at_close(int fd)
{
	struct linger now = { .l_onoff = 1 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
}

/* The hearer is paused, the peer is gone, and the hearer writes twice: the first or the second of them fails. */
static void
write_in_vain(struct site *site)
{
	for (int i = 0; i < 2; i++) {
		conn_write(hearer.conn, "are you there?", 14);
		run_for(site->loop, 5);
		if (hearer.closed)
			return;
	}
}

TEST("what came before a reset is handed over, though a write fails first and the protocol pauses")
{
	struct site site = open_site(false, NULL, true);
	int fd = plain_connect(listener_port(site.listener));

	reset_at_close(fd);
	CHECK(send(fd, "hello", 5, 0) == 5);
	CHECK(until(site.loop, until_true, &hearer.is_paused));
	CHECK(send(fd, LAST_WORDS, strlen(LAST_WORDS), 0) == strlen(LAST_WORDS));
	close(fd);
	write_in_vain(&site);
	CHECK(!hearer.closed);
	if (!hearer.closed)
		conn_pause(hearer.conn, false);
	CHECK(until(site.loop, until_true, &hearer.closed));
	CHECK_STR(hearer.last, LAST_WORDS);
	close_site(&site);
}

TEST("more than one burst of it is handed over as well, though each piece is answered in vain")
{
	enum { LEN = 1 << 20 };
	OWN_TEXT path = mem_textf("%s/socket", T_TMPDIR);
	struct site site = open_site(false, path, false);
	int fd = unix_connect(path);
	uint8_t *data = mem_new(LEN);
	ssize_t sent;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	sent = send(fd, data, LEN, 0); /* as much as the socket takes */
	CHECK(sent > 65536);
	close(fd);
	CHECK(until(site.loop, until_true, &hearer.closed));
	CHECK(hearer.n_heard == (size_t)sent);
	mem_free(data);
	close_site(&site);
}

static bool
has_paused_or_closed(void *arg)
{
	(void)arg;
	return hearer.is_paused || hearer.closed;
}

/* All of it is there when it is looked at first, and so much that the end is found with it. */
static void
is_taken_by_and_by(bool is_reset)
{
	enum { LEN = 20000 };
	struct site site = open_site(false, NULL, false);
	int fd = plain_connect(listener_port(site.listener));
	char *data = mem_new(LEN);

	memcpy(data + LEN - strlen(LAST_WORDS), LAST_WORDS, strlen(LAST_WORDS));
	hearer.takes = LEN / 3;
	if (is_reset)
		reset_at_close(fd);
	CHECK(send(fd, data, LEN, 0) == LEN);
	close(fd);
	while (until(site.loop, has_paused_or_closed, &site) && !hearer.closed) {
		run_for(site.loop, 5);
		if (hearer.closed)
			break;
		hearer.is_paused = false;
		conn_pause(hearer.conn, false);
	}
	CHECK_INT(hearer.n_heard, LEN);
	CHECK_STR(hearer.last, LAST_WORDS);
	mem_free(data);
	close_site(&site);
}

TEST("an end that comes with more than the protocol takes at a time waits until it has taken all")
{
	is_taken_by_and_by(false);
}

TEST("so does a reset")
{
	is_taken_by_and_by(true);
}

static void
is_heard_out_of_tls(int version)
{
	struct site site = open_site(true, NULL, true);
	struct peer peer;
	size_t sent;

	peer_init(&peer, version, false);
	peer_connect(&peer, listener_port(site.listener), NULL);
	CHECK(until(site.loop, peer_has_shaken_hands, &peer));
	reset_at_close(peer.fd);
	CHECK(SSL_write_ex(peer.ssl, "hello", 5, &sent) == 1);
	CHECK(until(site.loop, until_true, &hearer.is_paused));
	CHECK(SSL_write_ex(peer.ssl, LAST_WORDS, strlen(LAST_WORDS), &sent) == 1);
	peer_close(&peer);
	write_in_vain(&site);
	CHECK(!hearer.closed);
	if (!hearer.closed)
		conn_pause(hearer.conn, false);
	CHECK(until(site.loop, until_true, &hearer.closed));
	CHECK_STR(hearer.last, LAST_WORDS);
	peer_clear(&peer);
	close_site(&site);
}

TEST("it is heard out of TLS 1.3")
{
	is_heard_out_of_tls(TLS1_3_VERSION);
}

TEST("it is heard out of TLS 1.2")
{
	is_heard_out_of_tls(TLS1_2_VERSION);
}

TEST("a connection that nothing can be written to any more closes when nothing is left to read")
{
	struct site site = open_site(false, NULL, true);
	int fd = plain_connect(listener_port(site.listener));

	reset_at_close(fd);
	CHECK(send(fd, "hello", 5, 0) == 5);
	CHECK(until(site.loop, until_true, &hearer.is_paused));
	close(fd);
	write_in_vain(&site);
	if (!hearer.closed)
		conn_pause(hearer.conn, false);
	CHECK(until(site.loop, until_true, &hearer.closed));
	CHECK(hearer.n_heard == 5);
	close_site(&site);
}
