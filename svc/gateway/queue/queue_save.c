/* SPDX-License-Identifier: Apache-2.0 */
/* How far each log is done, brought to the disk now and then. */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/queue/queue_inside.h"

/* On a thread of its own, however long the disk takes. */
static void
run_saving(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, saving);

	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++) {
		struct err err = ERR_INIT;

		queue->is_saved[i] = queue->position[i] && queue_position_save(queue->position[i], &err) == 0;
		if (err.kind != ERR_NONE)
			log_error("%s", err.text);
	}
}

static void
on_saved(struct job *job)
{
	struct queue *queue = CONTAINER_OF(job, struct queue, saving);

	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++) {
		if (queue->position[i] && !queue->is_stopped)
			queue_reader_saved(queue->level[i].reader, queue->position[i], queue->is_saved[i]);
		queue_position_free(queue->position[i]);
		queue->position[i] = NULL;
	}
	queue->is_saving = false;
	queue_leave_drained(queue);
}

/* A log is only left while none is being saved: nobody writes into a folder that goes. */
void
queue_save(struct queue *queue)
{
	size_t n = 0;

	queue_space_look(queue);
	if (queue->is_saving || queue->is_stopped)
		return;
	for (size_t i = 0; i < queue->n_levels; i++) {
		queue->position[i] = queue->level[i].is_open ? queue_reader_position(queue->level[i].reader) : NULL;
		n += queue->position[i] != NULL;
	}
	if (n == 0) {
		queue_leave_drained(queue);
		return;
	}
	queue->saving = (struct job){ .run = run_saving, .done = on_saved, .owner = loop_owner(queue->config.loop) };
	queue->is_saving = true;
	queue_work(queue, &queue->saving);
}
