/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of events (event_readers.h).  A group's file is read and replaced under one lock: two consumers of one group keep places in different partitions of it. */
#include "hub/events/event_readers.h"

#include "base/mem.h"

#define THREADS 2

struct event_readers *
event_readers_new(struct event_log *log, const char *dir)
{
	struct event_readers *readers = NEW(event_readers);

	readers->dir = mem_text(dir);
	readers->pool = pool_new("events", THREADS, 4 * EVENT_STREAMS_MAX);
	readers->log = log;
	pthread_mutex_init(&readers->lock, NULL);
	return readers;
}

void
event_readers_stop(struct event_readers *readers)
{
	if (!readers)
		return;
	pool_free(readers->pool);
	readers->pool = NULL;
	readers->log = NULL;
}

void
event_readers_free(struct event_readers *readers)
{
	if (!readers)
		return;
	event_readers_stop(readers);
	pthread_mutex_destroy(&readers->lock);
	mem_free(readers->dir);
	mem_free(readers);
}

static int
check_room(const struct event_readers *readers, const struct event_group *group, struct err *err)
{
	char **names;
	size_t n;

	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++)
		if (group->has[i])
			return 0; /* it is not new */
	if (event_group_list(readers->dir, &names, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
	return n < EVENT_GROUPS_MAX ? 0
				    : err_set(err, ERR_LIMIT, "there are %d consumer groups, and no more may be", EVENT_GROUPS_MAX);
}

static int
save(struct event_readers *readers, const char *name, unsigned partition, uint64_t next, struct err *err)
{
	struct event_group group;

	if (event_group_load(readers->dir, name, &group, err) < 0 || check_room(readers, &group, err) < 0)
		return -1;
	group.next[partition] = next;
	group.has[partition] = true;
	return event_group_save(readers->dir, name, &group, err);
}

int
event_readers_checkpoint(struct event_readers *readers, const char *group, unsigned partition, uint64_t next, struct err *err)
{
	int done;

	pthread_mutex_lock(&readers->lock);
	done = save(readers, group, partition, next, err);
	pthread_mutex_unlock(&readers->lock);
	return done;
}
