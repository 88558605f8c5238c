/* SPDX-License-Identifier: Apache-2.0 */
/* load DIR N: the load of bench/run.  It makes a fleet of N devices (fleet.h, its files in DIR) and then does what standard input says, a line a command; each answers with a
 * line when it is done, so that the caller can look at the server between any two.
 *
 *	target PORT self|chain|leaf|token|mixed NAME HUB ROOTS
 *				which server from now on, and what a device shows (fleet.h); the name that the server must prove by the
 *				roots in that file; the name of the hub in the user name
 *	at-a-time N		so many connect at a time from now on, 16 before it: a server that is counted is slow, and has deadlines
 *	begin-with N		connect begins with the Nth device from now on, with the first one before it
 *	connect N		N devices connect and leave again
 *	open N			N more devices connect and stay
 *	window N		so many messages of a device may wait for their acknowledgements from now on, one before it
 *	publish N		each open device sends N messages at QoS 1, the next when the oldest of its window is acknowledged
 *	subscribe		each open device subscribes to its twin and to methods
 *	ping			each open device sends PINGREQ, and is answered
 *	storm N			the connections of all open devices but the first N break, and all of them connect again, 1,000 at a time; meanwhile each of the N sends messages, one
 *				after the other.  A connection that breaks is tried again.  Tells how often that was, how many messages there were and how long they waited for
 *				their acknowledgements, in milliseconds
 *	close			the open devices leave
 *
 * The devices (peer.h) verify the server's chain and name in every handshake.  Anything that goes wrong ends the program with 1: a measurement with
 * failures is none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "peer.h"

#define TEXT_LEN 256
#define AT_A_TIME 16
#define AT_A_TIME_IN_STORM 1000 /* our own handshakes have a queue */
#define WAIT_MAX_MS 10000
#define PAYLOAD_LEN 256
#define DEVICES_MAX 100000

struct device {
	struct load *load;
	const struct fleet_device *is;
	struct peer *peer; /* NULL: not connected */
	int64_t to_send;   /* messages after those that wait for their acknowledgements */
	size_t n_sent;	   /* those */
	int64_t sent_ms;
	bool is_bystander;
};

struct load {
	struct fleet *fleet;
	struct loop *loop;
	struct device *devices;
	const struct peer_ops *ops; /* of the command that runs */
	struct peer_target target;
	char name[TEXT_LEN], hub[TEXT_LEN];
	size_t n_open;	/* the first so many devices */
	size_t n_next;	/* device to begin with */
	size_t n_first; /* of connect */
	size_t n_begun, n_done, n_wanted, at_a_time, window;
	char payload[PAYLOAD_LEN];
	bool is_storming;
	size_t n_retries, n_waiting;
	uint32_t waits[WAIT_MAX_MS + 1]; /* how many messages waited so many milliseconds */
};

static void __attribute__((noreturn)) give_up(const char *who, const char *why)
{
	fprintf(stderr, "load: %s: %s\n", who, why);
	exit(1);
}

static void
begin(struct load *load, struct device *d)
{
	struct err err = ERR_INIT;

	d->peer = peer_connect(load->loop, d->is, &load->target, load->ops, d, &err);
	if (!d->peer)
		give_up(d->is->id, err.text);
}

static void
begin_next(struct load *load)
{
	load->n_begun++;
	begin(load, &load->devices[load->n_next++ % load->fleet->n_devices]);
}

/* One of n is done; another may begin. */
static void
one_done(struct load *load)
{
	if (++load->n_done == load->n_wanted)
		loop_stop(load->loop);
	else if (load->n_begun < load->n_wanted)
		begin_next(load);
}

static void
on_end(struct peer *peer, void *user, bool by_us, const char *why)
{
	struct device *d = user;

	(void)peer;
	if (!by_us)
		give_up(d->is->id, why);
	d->peer = NULL;
	one_done(d->load);
}

/* -- connect ------------------------------------------------------------------------------------------------------------------------- */

static void
do_at_a_time(struct load *load, size_t n)
{
	load->at_a_time = n;
}

static void
do_begin_with(struct load *load, size_t n)
{
	load->n_first = n - 1;
}

static void
do_window(struct load *load, size_t n)
{
	load->window = n;
}

static void
leave_again(struct peer *peer, void *user)
{
	(void)user;
	peer_close(peer);
}

static const struct peer_ops visit_ops = { .on_live = leave_again, .on_end = on_end };

static void
run(struct load *load, const struct peer_ops *ops, size_t first, size_t n, size_t at_a_time)
{
	load->ops = ops;
	load->n_next = first;
	load->n_begun = load->n_done = 0;
	load->n_wanted = n;
	for (size_t i = 0; i < at_a_time && i < n; i++)
		begin_next(load);
	loop_run(load->loop);
}

static void
do_connect(struct load *load, size_t n)
{
	run(load, &visit_ops, load->n_first, n, load->at_a_time);
}

/* -- open, publish, subscribe, ping, close -------------------------------------------------------------------------------------------------------------- */

static void
on_opened(struct peer *peer, void *user)
{
	struct device *d = user;

	(void)peer;
	one_done(d->load);
}

static void
send_one(struct device *d)
{
	d->to_send--;
	d->n_sent++;
	peer_publish(d->peer, d->load->payload, PAYLOAD_LEN);
}

static void
bystander_sends(struct device *d)
{
	d->sent_ms = clock_boot_ms();
	peer_publish(d->peer, d->load->payload, PAYLOAD_LEN);
}

/* They go on as long as the storm does. */
static void
bystander_answered(struct device *d)
{
	int64_t waited = clock_boot_ms() - d->sent_ms;

	d->load->waits[waited < WAIT_MAX_MS ? waited : WAIT_MAX_MS]++;
	if (d->load->is_storming)
		bystander_sends(d);
	else if (--d->load->n_waiting == 0)
		loop_stop(d->load->loop);
}

static void
on_answer(struct peer *peer, void *user)
{
	struct device *d = user;

	(void)peer;
	if (d->is_bystander) {
		bystander_answered(d);
		return;
	}
	if (d->n_sent > 0)
		d->n_sent--;
	if (d->to_send > 0)
		send_one(d);
	else if (d->n_sent == 0)
		one_done(d->load);
}

static const struct peer_ops stay_ops = { .on_live = on_opened, .on_answer = on_answer, .on_end = on_end };

static void
do_open(struct load *load, size_t n)
{
	if (n > load->fleet->n_devices - load->n_open)
		give_up("open", "the fleet is smaller");
	run(load, &stay_ops, load->n_open, n, load->at_a_time);
	load->n_open += n;
}

/* For what is done by the devices that are open. */
static void
expect_all(struct load *load)
{
	load->n_begun = load->n_wanted = load->n_open;
	load->n_done = 0;
}

static void
run_until_done(struct load *load)
{
	if (load->n_done < load->n_wanted)
		loop_run(load->loop);
}

static void
do_publish(struct load *load, size_t n)
{
	expect_all(load);
	for (size_t i = 0; i < load->n_open; i++) {
		load->devices[i].to_send = (int64_t)n;
		while (load->devices[i].to_send > 0 && load->devices[i].n_sent < load->window)
			send_one(&load->devices[i]);
	}
	run_until_done(load);
}

/* Each does it once. */
static void
all_do(struct load *load, void (*what)(struct peer *peer))
{
	expect_all(load);
	for (size_t i = 0; i < load->n_open; i++)
		what(load->devices[i].peer);
	run_until_done(load);
}

static void
do_subscribe(struct load *load, size_t n)
{
	(void)n;
	all_do(load, peer_subscribe);
}

static void
do_ping(struct load *load, size_t n)
{
	(void)n;
	all_do(load, peer_ping);
}

static void
do_close(struct load *load, size_t n)
{
	(void)n;
	all_do(load, peer_close);
	load->n_open = 0;
}

/* -- storm ------------------------------------------------------------------------------------------------------------------------------- */

static void
on_storm_end(struct peer *peer, void *user, bool by_us, const char *why)
{
	struct device *d = user;

	if (by_us) {
		on_end(peer, user, by_us, why);
		return;
	}
	d->load->n_retries++;
	begin(d->load, d);
}

static const struct peer_ops storm_ops = { .on_live = on_opened, .on_answer = on_answer, .on_end = on_storm_end };

/* The wait that no more than so many per mille exceeded. */
static size_t
wait_at(const struct load *load, size_t n, size_t per_mille)
{
	size_t seen = 0, ms = 0;

	for (; ms < WAIT_MAX_MS && (seen + load->waits[ms]) * 1000 < n * per_mille; ms++)
		seen += load->waits[ms];
	return ms;
}

static void
tell_storm(const struct load *load)
{
	size_t n = 0;

	for (size_t i = 0; i <= WAIT_MAX_MS; i++)
		n += load->waits[i];
	printf("waits %zu retries %zu messages %zu middle %zu of-100 %zu longest\n", load->n_retries, n, wait_at(load, n, 500),
		wait_at(load, n, 990), wait_at(load, n, 1000));
}

static void
drop_all_but(struct load *load, size_t n)
{
	load->n_begun = load->n_wanted = load->n_open - n;
	load->n_done = 0;
	for (size_t i = n; i < load->n_open; i++)
		peer_drop(load->devices[i].peer);
	run_until_done(load);
}

static void
do_storm(struct load *load, size_t n)
{
	if (n >= load->n_open)
		give_up("storm", "all would be bystanders");
	memset(load->waits, 0, sizeof(load->waits));
	load->n_retries = 0;
	load->is_storming = true;
	load->n_waiting = n;
	for (size_t i = 0; i < n; i++) {
		load->devices[i].is_bystander = true;
		bystander_sends(&load->devices[i]);
	}
	drop_all_but(load, n);
	run(load, &storm_ops, n, load->n_open - n, AT_A_TIME_IN_STORM);
	load->is_storming = false;
	loop_run(load->loop); /* for the last acknowledgements */
	for (size_t i = 0; i < n; i++)
		load->devices[i].is_bystander = false;
	tell_storm(load);
}

/* -- Commands ---------------------------------------------------------------------------------------------------------------------------- */

static enum fleet_kind
kind_of(const char *text)
{
	static const char *const names[] = { [FLEET_SELF] = "self",
		[FLEET_CHAIN] = "chain",
		[FLEET_LEAF] = "leaf",
		[FLEET_TOKEN] = "token",
		[FLEET_MIXED] = "mixed" };

	for (size_t i = 0; i < COUNT(names); i++)
		if (text_is(text, names[i]))
			return (enum fleet_kind)i;
	give_up("not a kind of device", text);
}

static void
aim(struct load *load, int port, const char *kind, const char *roots_path)
{
	struct certs roots = { 0 };
	struct err err = ERR_INIT;

	load->target.name = load->name;
	load->target.hub = load->hub;
	load->target.port = port;
	load->target.kind = kind_of(kind);
	anchors_free(load->target.roots);
	load->target.roots = certs_load(&roots, roots_path, CERTS_MAX, &err) < 0 ? NULL : anchors_new(&roots, &err);
	certs_clear(&roots);
	if (!load->target.roots)
		give_up("target", err.text);
}

static const struct {
	const char *name;
	void (*run)(struct load *load, size_t n);
} commands[] = { { "at-a-time", do_at_a_time }, { "window", do_window }, { "begin-with", do_begin_with }, { "connect", do_connect },
	{ "open", do_open }, { "publish", do_publish }, { "subscribe", do_subscribe }, { "ping", do_ping }, { "storm", do_storm },
	{ "close", do_close } };

static void
obey(struct load *load, const char *line)
{
	char word[16] = "", kind[16] = "", roots[TEXT_LEN] = "";
	unsigned int n = 1;
	int64_t begun = clock_boot_ms();

	if (sscanf(line, "target %u %15s %255s %255s %255s", &n, kind, load->name, load->hub, roots) == 5) {
		aim(load, (int)n, kind, roots);
		puts("target");
		return;
	}
	if (sscanf(line, "%15s %u", word, &n) < 1 || n == 0)
		give_up("not a command", line);
	for (size_t i = 0; i < COUNT(commands); i++)
		if (text_is(word, commands[i].name)) {
			commands[i].run(load, n);
			printf("%s %lld ms\n", word, (long long)(clock_boot_ms() - begun));
			return;
		}
	give_up("not a command", line);
}

int
main(int argc, char **argv)
{
	struct load load = { .at_a_time = AT_A_TIME, .window = 1 };
	struct err err = ERR_INIT;
	int64_t n;
	char line[4 * TEXT_LEN];

	if (argc != 3 || !text_to_i64(argv[2], 1, DEVICES_MAX, &n)) {
		fputs("load DIR N: see the head of bench/load.c\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	load.fleet = fleet_make(argv[1], "localhost", (size_t)n, &err);
	if (!load.fleet)
		give_up("the fleet", err.text);
	load.loop = loop_new("load");
	load.devices = mem_array(load.fleet->n_devices, sizeof(*load.devices));
	for (size_t i = 0; i < load.fleet->n_devices; i++)
		load.devices[i] = (struct device){ .load = &load, .is = &load.fleet->devices[i] };
	memset(load.payload, 'x', sizeof(load.payload));
	puts("ready");
	while (fgets(line, sizeof(line), stdin))
		obey(&load, line);
	loop_free(load.loop);
	mem_free(load.devices);
	anchors_free(load.target.roots);
	fleet_free(load.fleet);
	return 0;
}
