/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/listener.h"
#include "t.h"

#define N_CLIENTS 6

struct door {
	struct loop *loop;
	struct listener *listener;
	int clients[N_CLIENTS];
	struct timer tick; /* or nothing would happen, and the loop would not look */
};

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	(void)conn;
	(void)data;
	return len;
}

static const struct conn_ops ops = { .on_data = on_data };

static void
on_tick(struct timer *timer)
{
	timer_arm(timer, 5);
}

static void
door_open(struct door *d, const struct listener_config *config)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct err err = ERR_INIT;

	d->loop = loop_new("test");
	d->listener = listener_open(&d->loop, 1, config, &err);
	if (!d->listener)
		fail_msg("%s", err.text);
	address.sin_port = htons((uint16_t)listener_port(d->listener));
	for (size_t i = 0; i < N_CLIENTS; i++) {
		d->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		CHECK(connect(d->clients[i], (struct sockaddr *)&address, sizeof(address)) == 0);
	}
	timer_init(&d->tick, d->loop, on_tick);
	timer_arm(&d->tick, 5);
}

static void
run_until_accepted(struct door *d, uint64_t n)
{
	int64_t deadline = clock_boot_ms() + 20000;

	while (listener_counts(d->listener).accepted + listener_counts(d->listener).refused < n) {
		CHECK(clock_boot_ms() < deadline);
		loop_run_once(d->loop);
	}
}

static void
door_close(struct door *d)
{
	timer_cancel(&d->tick);
	for (size_t i = 0; i < N_CLIENTS; i++)
		close(d->clients[i]);
	listener_close(d->listener);
	loop_free(d->loop);
}

TEST("beyond the burst connections are accepted at the rate, none is lost, and the wait is counted")
{
	struct door d;
	int64_t begin = clock_boot_ms();

	door_open(
		&d, &(struct listener_config){ .address = "127.0.0.1", .ops = &ops, .accepts_per_second = 20, .accept_burst = 3 });
	run_until_accepted(&d, N_CLIENTS);
	CHECK(clock_boot_ms() - begin >= (N_CLIENTS - 3) * 50 - 1);
	CHECK_INT(listener_counts(d.listener).accepted, N_CLIENTS);
	CHECK(listener_counts(d.listener).delays >= 1);
	CHECK_INT(listener_counts(d.listener).refused, 0);
	door_close(&d);
}

TEST("without a rate nobody waits, and who is one too many is counted")
{
	struct door d;

	door_open(&d, &(struct listener_config){ .address = "127.0.0.1", .ops = &ops, .max_conns = 4 });
	run_until_accepted(&d, N_CLIENTS);
	CHECK_INT(listener_counts(d.listener).accepted, 4);
	CHECK_INT(listener_counts(d.listener).refused, 2);
	CHECK_INT(listener_counts(d.listener).delays, 0);
	door_close(&d);
}

TEST("beyond the last descriptor that connections may have they are refused, so that the process has some left for itself")
{
	struct door d;
	int free_fd = dup(STDERR_FILENO), of_listener = 4; /* a loop's two, the socket, the spare one */

	close(free_fd);
	door_open(&d,
		&(struct listener_config){ .address = "127.0.0.1", .ops = &ops, .last_fd = free_fd + of_listener + N_CLIENTS + 2 });
	run_until_accepted(&d, N_CLIENTS);
	CHECK(listener_counts(d.listener).accepted >= 1);
	CHECK(listener_counts(d.listener).refused >= 1);
	door_close(&d);
}

TEST("listeners that share a bound have so many connections together, as many as it is now, and what ends makes room")
{
	struct listener_share share = { .most = 3 };
	struct listener_config config = { .address = "127.0.0.1", .ops = &ops, .share = &share };
	struct door one, other;

	door_open(&one, &config);
	door_open(&other, &config);
	run_until_accepted(&one, N_CLIENTS);
	CHECK_INT(listener_counts(one.listener).accepted, 3);
	CHECK_INT(share.n, 3);
	share.most = 4;
	run_until_accepted(&other, N_CLIENTS);
	CHECK_INT(listener_counts(other.listener).accepted, 1);
	CHECK_INT(share.n, 4);
	door_close(&one);
	CHECK_INT(share.n, 1);
	door_close(&other);
	CHECK_INT(share.n, 0);
}
