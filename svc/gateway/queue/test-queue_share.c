/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have how much of a queue that is nearly full. */
#include "gateway/queue/queue_share.h"

#include <pthread.h>

#include "t.h"

#define EDGE "edge"
#define MAX 1600
#define EIGHTH (MAX / 8)

static uint32_t
sender_of(const struct queue_share *share, const char *device_id, const char *module_id)
{
	return queue_share_sender(share, slice_of(device_id), slice_of(module_id));
}

static bool
take(struct queue_share *share, uint32_t sender, uint64_t size, uint64_t *used)
{
	if (!queue_share_may(share, sender, size, *used, MAX))
		return false;
	queue_share_add(share, sender, size);
	*used += size;
	return true;
}

static void
leave(struct queue_share *share, uint32_t sender, uint64_t size, uint64_t *used)
{
	queue_share_leave(share, sender, size);
	*used -= size;
}

/* As many bytes as it gets, ten by ten. */
static uint64_t
flood(struct queue_share *share, uint32_t sender, uint64_t *used)
{
	uint64_t before = *used;

	while (take(share, sender, 10, used))
		;
	return *used - before;
}

TEST("seven eighths are whoever's, of what is left then each one that floods takes half, and who sends little has room")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint64_t used = 0;

	CHECK_INT(flood(share, sender_of(share, "a", ""), &used), MAX - EIGHTH);
	CHECK_INT(flood(share, sender_of(share, "b", ""), &used), EIGHTH / 2);
	CHECK_INT(flood(share, sender_of(share, "c", ""), &used), EIGHTH / 4);
	for (int i = 0; i < 2; i++)
		CHECK(take(share, sender_of(share, "quiet", ""), 10, &used));
	CHECK(!take(share, sender_of(share, "a", ""), 10, &used));
	CHECK(used < MAX);
}

TEST("nobody takes more than there is")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint32_t a = sender_of(share, "a", "");
	uint64_t used = MAX - 5;

	CHECK(!take(share, a, 6, &used));
	CHECK(!take(share, a, MAX + 1, &(uint64_t){ 0 }));
	CHECK(take(share, a, 5, &used));
	CHECK(!take(share, a, 1, &used));
	used = MAX + 1; /* routes have lowered it */
	CHECK(!take(share, sender_of(share, "b", ""), 1, &used));
}

TEST("who was refused is taken again when his messages have left, also while those of others stay for good")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint32_t a = sender_of(share, "a", ""), stays = sender_of(share, "b", "");
	uint64_t used = 0, had;

	while (used < MAX - EIGHTH)
		CHECK(take(share, stays, 10, &used));
	for (int i = 0; i < 1000; i++) {
		had = flood(share, a, &used);
		CHECK_INT(had, EIGHTH / 2);
		CHECK(!take(share, a, 10, &used));
		leave(share, a, 10, &used);
		CHECK(take(share, a, 10, &used));
		leave(share, a, had, &used);
	}
}

TEST("what leaves that was not counted makes nobody's count too high")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint32_t a = sender_of(share, "a", "");
	uint64_t used = MAX - EIGHTH;

	queue_share_leave(share, a, 1000);
	CHECK_INT(flood(share, a, &used), EIGHTH);
}

TEST("a device and all of its modules are one sender, and each module of the gateway's own device is one")
{
	OWN(queue_share) share = queue_share_new(EDGE);

	CHECK(sender_of(share, "a", "m") == sender_of(share, "a", ""));
	CHECK(sender_of(share, "a", "m") == sender_of(share, "a", "n"));
	CHECK(sender_of(share, "a", "m") != sender_of(share, "b", "m"));
	CHECK(sender_of(share, EDGE, "m") == sender_of(share, EDGE, "m"));
	CHECK(sender_of(share, EDGE, "m") != sender_of(share, EDGE, "n"));
	CHECK(sender_of(share, EDGE, "m") != sender_of(share, "m", ""));
	CHECK(sender_of(share, EDGE, "a") != sender_of(share, "a", ""));
	CHECK(sender_of(share, "edge2", "m") == sender_of(share, "edge2", ""));
}

TEST("a device that floods with all of its modules leaves as much as one that floods alone")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint64_t used = 0;

	CHECK_INT(flood(share, sender_of(share, "a", ""), &used), MAX - EIGHTH);
	for (int i = 0; i < 50; i++) {
		OWN_TEXT module = mem_textf("m%d", i);

		CHECK_INT(flood(share, sender_of(share, "a", module), &used), 0);
	}
	CHECK_INT(flood(share, sender_of(share, EDGE, "m"), &used), EIGHTH / 2);
}

TEST("beside one that floods, others have their room: of a thousand not one shares both of its counters")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint64_t used = 0;
	int n_refused = 0;

	flood(share, sender_of(share, "flood", ""), &used);
	for (int i = 0; i < 1000; i++) {
		OWN_TEXT name = mem_textf("dev%d", i);

		n_refused += !queue_share_may(share, sender_of(share, name, ""), 10, used, MAX);
	}
	CHECK(n_refused <= 1); /* by chance, once in 16 thousand runs */
}

struct counting {
	struct queue_share *share;
	uint32_t sender;
};

static void *
come_and_go(void *arg)
{
	struct counting *c = arg;

	for (int i = 0; i < 100000; i++) {
		queue_share_add(c->share, c->sender, 10);
		queue_share_leave(c->share, c->sender, 10);
	}
	return NULL;
}

TEST("what comes and goes on several threads is counted exactly")
{
	OWN(queue_share) share = queue_share_new(EDGE);
	uint32_t a = sender_of(share, "a", "");
	struct counting counting = { share, a };
	pthread_t threads[4];

	queue_share_add(share, a, 50);
	for (size_t i = 0; i < COUNT(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, come_and_go, &counting), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(queue_share_waiting(share, a), 50);
}
