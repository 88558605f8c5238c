/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What all who read events at this hub share: the log, the threads that read it for them, how many they may be, and the consumer groups' places. */

#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "store/event_group.h"
#include "store/event_log.h"

#define EVENT_STREAMS_MAX 64
#define EVENT_GROUPS_MAX 50

struct event_readers {
	char *dir;
	struct pool *pool;
	struct event_log *log; /* borrowed; NULL: the hub is stopping */
	pthread_mutex_t lock;  /* for the files of the groups */
	atomic_int n_streams;
};
struct event_readers *event_readers_new(struct event_log *log, const char *dir);
/* Waits for what is being read; when the loops no longer run, before the log is closed and they are freed. */
void event_readers_stop(struct event_readers *readers);
void event_readers_free(struct event_readers *readers);

/* Of `partition` all below `next` is done.  LIMIT: there are as many groups as there may be.  Blocks. */
int event_readers_checkpoint(struct event_readers *readers, const char *group, unsigned partition, uint64_t next, struct err *err);
