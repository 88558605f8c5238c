/* SPDX-License-Identifier: Apache-2.0 */
/* What each has taken of the last quarter, since it was begun: all is forgotten when there is more room than that again. */
#include "gateway/queue/queue_share.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define SAY_AGAIN_MS 60000

struct queue_share {
	pthread_mutex_t lock;
	struct map *takers;
	atomic_bool is_begun;
	int64_t said_ms; /* boot clock; 0: never */
};

struct taker {
	char *name;
	uint64_t bytes;
};

static void
forget(struct queue_share *share)
{
	size_t at = 0;
	void *value;

	while (map_next(share->takers, &at, NULL, NULL, &value)) {
		struct taker *taker = value;

		mem_free(taker->name);
		mem_free(taker);
	}
	map_free(share->takers);
	share->takers = map_new_keys_in_values();
	share->is_begun = false;
}

struct queue_share *
queue_share_new(void)
{
	struct queue_share *share = NEW(queue_share);

	pthread_mutex_init(&share->lock, NULL);
	share->takers = map_new_keys_in_values();
	return share;
}

void
queue_share_free(struct queue_share *share)
{
	if (!share)
		return;
	forget(share);
	map_free(share->takers);
	pthread_mutex_destroy(&share->lock);
	mem_free(share);
}

static struct taker *
taker_of(struct queue_share *share, const struct message *m)
{
	OWN_TEXT name = mem_textf("%.*s%s%.*s", (int)m->device_id.len, m->device_id.text, m->module_id.len > 0 ? "/" : "",
		(int)m->module_id.len, m->module_id.len > 0 ? m->module_id.text : "");
	struct taker *taker = map_find_text(share->takers, name);

	if (taker)
		return taker;
	taker = NEW(taker);
	taker->name = GIVE(name);
	map_put_text(share->takers, taker->name, taker);
	return taker;
}

/* Once a minute, whoever it is. */
static void
say(struct queue_share *share, const struct taker *taker)
{
	int64_t now_ms = clock_boot_ms();

	if (share->said_ms > 0 && now_ms - share->said_ms < SAY_AGAIN_MS)
		return;
	share->said_ms = now_ms;
	log_warn("the queue is nearly full: messages of %s are refused, which has taken as much of what was left as there is for "
		 "all others",
		taker->name);
}

bool
queue_share_take(struct queue_share *share, const struct message *message, uint64_t size, uint64_t used, uint64_t max)
{
	uint64_t left = used < max ? max - used : 0;
	struct taker *taker;
	bool has_it;

	if (size > left)
		return false;
	if (left - size > max / 4 && !share->is_begun)
		return true;
	pthread_mutex_lock(&share->lock);
	if (left - size > max / 4) {
		forget(share);
		has_it = true;
	} else {
		share->is_begun = true;
		taker = taker_of(share, message);
		has_it = taker->bytes + size <= left;
		if (has_it)
			taker->bytes += size;
		else
			say(share, taker);
	}
	pthread_mutex_unlock(&share->lock);
	return has_it;
}
