/* SPDX-License-Identifier: Apache-2.0 */
/* Records on their way to the disk (append_group.h). */
#include "store/append_group.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "store/segment.h"

#define GROUP_KEEP (1u << 20)
#define COMPLETIONS_A_POST 256

void
append_group_init(struct append_group *group)
{
	*group = (struct append_group){ .bytes = BUF_INIT(APPEND_GROUP_MAX) };
	group->tail = &group->head;
}

void
append_group_clear(struct append_group *group)
{
	buf_clear(&group->bytes);
}

void
append_group_reset(struct append_group *group)
{
	/* What a burst needed is not kept for ever. */
	if (group->bytes.cap > GROUP_KEEP)
		buf_clear(&group->bytes);
	buf_reset(&group->bytes);
	group->head = NULL;
	group->tail = &group->head;
	group->n = 0;
}

void
append_group_swap(struct append_group *a, struct append_group *b)
{
	struct append_group old = *a;

	*a = *b;
	*b = old;
	if (!a->head)
		a->tail = &a->head;
	if (!b->head)
		b->tail = &b->head;
}

/* Until the commit the length stands in the place of the record's head. */
void
append_group_add(struct append_group *group, struct event_append *append, const void *data, size_t len)
{
	uint8_t *at = buf_extend(&group->bytes, SEGMENT_RECORD_LEN + len);
	uint64_t room = len;

	assert(at); /* the log has checked that there is */
	memcpy(at, &room, sizeof(room));
	memcpy(at + SEGMENT_RECORD_LEN, data, len);
	append->next = NULL;
	*group->tail = append;
	group->tail = &append->next;
	group->n++;
}

void
append_group_seal(struct append_group *group, const struct segment_tip *tip, struct segment_tally *tally)
{
	struct event_append *append = group->head;
	uint8_t *at = group->bytes.data;
	int64_t now_ms = segment_tip_time(tip);
	uint64_t len;

	memcpy(tally, tip->tally, sizeof(tip->tally));
	for (uint32_t back = 0; append; append = append->next, back++) {
		struct event_place *place = &append->place;

		memcpy(&len, at, sizeof(len));
		place->offset = tip->next + back;
		place->sequence = tally[place->partition].next;
		place->time_ms = now_ms;
		tally[place->partition] = (struct segment_tally){ place->sequence + 1, place->offset, now_ms };
		segment_seal(at, len, place, back, tip->head.salt);
		at += SEGMENT_RECORD_LEN + len;
	}
}

/* -- Completions ------------------------------------------------------------------------------------------------------------- */

struct batch {
	struct post post;
	struct owner *owner;
	struct event_append *head, **tail;
	struct batch *next;
	bool ok;
};

/* A slow disk makes large groups: the loop is not kept for all of one at a time. */
static void
run_batch(struct post *post)
{
	struct batch *batch = CONTAINER_OF(post, struct batch, post);

	for (int n = COMPLETIONS_A_POST; n > 0 && batch->head; n--) {
		struct event_append *append = batch->head;

		batch->head = append->next;
		append->done(append, batch->ok);
	}
	if (batch->head)
		batch->owner->post(batch->owner, &batch->post);
	else
		mem_free(batch);
}

static struct batch *
batch_for(struct batch **batches, struct owner *owner, bool ok)
{
	struct batch *batch = *batches;

	while (batch && batch->owner != owner)
		batch = batch->next;
	if (batch)
		return batch;
	batch = NEW(batch);
	batch->post.run = run_batch;
	batch->owner = owner;
	batch->tail = &batch->head;
	batch->ok = ok;
	batch->next = *batches;
	*batches = batch;
	return batch;
}

void
append_group_complete(struct append_group *group, bool ok)
{
	struct batch *batches = NULL, *batch, *next_batch;
	struct event_append *append = group->head, *next;

	for (; append; append = next) {
		next = append->next;
		append->next = NULL;
		batch = batch_for(&batches, append->owner, ok);
		*batch->tail = append;
		batch->tail = &append->next;
	}
	for (batch = batches; batch; batch = next_batch) {
		next_batch = batch->next;
		batch->owner->post(batch->owner, &batch->post);
	}
}
