/* SPDX-License-Identifier: Apache-2.0 */
/* Strands over real TLS: each is a connection of its own, whatever its neighbours do. */
#include <malloc.h>

#include "test_strand_story.h"

TEST("what is said on each strand comes to its other end, and to no other")
{
	struct story s;

	story_begin(&s);
	s.far_echoes = true;
	open_strands(&s, 3);
	say(&s.near[2], "third");
	say(&s.near[0], "first");
	say(&s.near[1], "second");
	say(&s.near[0], " again");
	CHECK(until(s.loop, has_come, &s.near[0]) && until(s.loop, has_come, &s.near[1]) && until(s.loop, has_come, &s.near[2]));
	CHECK_STR((char *)s.near[0].got, "first again");
	CHECK_STR((char *)s.near[1].got, "second");
	CHECK_STR((char *)s.near[2].got, "third");
	CHECK_STR((char *)s.far[2].got, "third");
	CHECK(s.near[0].n_opened == 1 && s.far[0].n_opened == 1 && s.near[0].n_drained > 0);
	story_clear(&s);
}

TEST("a strand answers questions as a connection does, but its carrier's client certificate is nobody's whom it carries")
{
	struct story s;
	struct certs carriers, near, far;
	struct conn *conn;

	story_begin(&s);
	open_strands(&s, 2);
	conn = s.near[0].conn;
	CHECK(verdict_accepted(conn_verdict(conn)) && !conn_verdict(s.far[0].conn));
	CHECK_STR(conn_tls_version(conn), "TLSv1.3");
	CHECK_STR(conn_tls_version(s.far[0].conn), "TLSv1.3");
	CHECK(text_starts(conn_peer_name(s.far[0].conn), "127.0.0.1:"));
	carriers = conn_peer_chain(conn_carrier_conn(s.there));
	near = conn_peer_chain(conn);
	far = conn_peer_chain(s.far[0].conn);
	CHECK(carriers.n == 1 && near.n == 1 && far.n == 0);
	CHECK(conn_peer_leaf(s.far[0].conn) == NULL && conn_channel_binding(conn, (uint8_t[CONN_BINDING_MAX]){ 0 }) == 0);
	CHECK(conn_id(conn) != conn_id(s.near[1].conn) && conn_find(s.loop, conn_id(conn)) == conn);
	CHECK(!conn_is_hung_up(conn) && conn_queued(conn) == 0 && !conn_resumed(conn));
	certs_clear(&carriers);
	certs_clear(&near);
	story_clear(&s);
}

static int n_records;

static void
count_records(int write_p, int version, int content_type, const void *buf, size_t len, SSL *ssl, void *arg)
{
	(void)version;
	(void)buf;
	(void)len;
	(void)ssl;
	(void)arg;
	n_records += write_p && content_type == SSL3_RT_HEADER;
}

TEST("what a hundred strands write in a turn leaves in one record of TLS")
{
	struct story s;

	story_begin(&s);
	open_strands(&s, 100);
	n_records = 0;
	SSL_set_msg_callback(conn_carrier_conn(s.here)->ssl, count_records);
	for (size_t i = 0; i < 100; i++)
		say(&s.near[i], "a message of a device");
	CHECK(until(s.loop, has_come, &s.far[99]));
	for (size_t i = 0; i < 100; i++)
		CHECK_STR((char *)s.far[i].got, "a message of a device");
	CHECK(n_records == 1);
	story_clear(&s);
}

TEST("a strand at rest costs less than a kilobyte, at both ends together")
{
	struct story s;
	struct mallinfo2 before, after;

	story_begin(&s);
	open_strands(&s, 10);
	before = mallinfo2();
	open_strands(&s, 250);
	after = mallinfo2();
	CHECK((after.uordblks - before.uordblks) / 250 < 1024);
	story_clear(&s);
}
