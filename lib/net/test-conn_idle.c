/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection with nothing to do still holds.  libssl's record buffers are 16 KiB each, so an idle one must have none: counted by libcrypto's own
 * allocation hooks. */
#include <malloc.h>

#include "test_fixture.h"

#define LARGE (16 * 1024)

static int n_large; /* everything happens on one thread */

static int
is_large(void *p)
{
	return p && malloc_usable_size(p) >= LARGE;
}

static void *
counted_malloc(size_t size, const char *file, int line)
{
	void *p = mem_resize(NULL, size);

	(void)file;
	(void)line;
	n_large += is_large(p);
	return p;
}

static void
counted_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	n_large -= is_large(p);
	mem_free(p);
}

static void *
counted_realloc(void *before, size_t size, const char *file, int line)
{
	void *p;

	(void)file;
	(void)line;
	n_large -= is_large(before);
	p = mem_resize(before, size);
	n_large += is_large(p);
	return p;
}

__attribute__((constructor)) static void
count(void)
{
	CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free);
}

static size_t
let_in(struct conn *conn, const uint8_t *data, size_t len)
{
	(void)data;
	conn_allow_resumption(conn, "dev1");
	conn_write(conn, "welcome", 7);
	return len;
}

static const struct conn_ops ops = { .on_data = let_in, .read_max = 1024 };

static bool
has_come_to(void *arg)
{
	return n_large == *(int *)arg;
}

static void
becomes_idle(int version)
{
	OWN(loop) loop = loop_new("test");
	struct tls_cache *cache = tls_cache_new(10);
	struct tls_holder *holder = server_tls("test", cache);
	struct listener_config config = { .address = "127.0.0.1", .tls = holder, .ops = &ops };
	struct err err = ERR_INIT;
	struct listener *listener = listener_open((struct loop *[]){ loop }, 1, &config, &err);
	int before = n_large;
	struct peer peer;
	size_t sent;

	assert_non_null(listener);
	peer_init(&peer, version, true);
	peer_connect(&peer, listener_port(listener), NULL);
	CHECK(until(loop, peer_has_shaken_hands, &peer));
	CHECK(peer.result == 1);
	CHECK(SSL_write_ex(peer.ssl, "hello", 5, &sent) == 1);
	peer.want = "welcome";
	CHECK(until(loop, peer_has_read, &peer));
	CHECK_STR(peer.text, "welcome");
	CHECK(peer.session != NULL);
	SSL_free(peer.ssl); /* its buffers are not what is counted; the socket stays open */
	peer.ssl = NULL;
	CHECK(until(loop, has_come_to, &before));
	CHECK(listener_n_conns(listener) == 1);
	peer_clear(&peer);
	listener_close(listener);
	conn_abort_all(loop);
	run_for(loop, 1);
	tls_holder_free(holder);
	tls_cache_free(cache);
}

TEST("an idle TLS 1.3 connection holds no buffer of libssl, also after it was given a ticket")
{
	becomes_idle(TLS1_3_VERSION);
}

TEST("an idle TLS 1.2 connection holds no buffer of libssl either")
{
	becomes_idle(TLS1_2_VERSION);
}
