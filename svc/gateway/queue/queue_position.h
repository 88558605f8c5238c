/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How far a log of the queue is done, on its way to the disk: taken from its reader on the reader's thread, and written on one that may wait. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define QUEUE_CURSOR "upstream" /* how far the log was sent; its name is history, whatever the log is for */

struct queue_lines;
struct queue_position {
	char *dir;
	struct queue_lines *lines; /* of those that are behind; NULL: on disk they are right */
	uint64_t cursor;
	bool is_cursor_new;
};
int queue_position_save(const struct queue_position *position, struct err *err); /* blocks */
void queue_position_free(struct queue_position *position);
