/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Beside a log's cursor: how far the lines are that are behind, or were and are done with more than others.  All below `front` is done but for these lines' messages from their positions
 * on, and of these lines all below their positions, also beyond `front`.  The file is true for ever, and without it (or when it is damaged) all from the cursor on is sent again. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct queue_lines;
struct queue_lines *queue_lines_new(uint64_t front);
void queue_lines_add(struct queue_lines *lines, const char *name, uint64_t position);
bool queue_lines_has_any(const struct queue_lines *lines);
void queue_lines_free(struct queue_lines *lines);
int queue_lines_save(const struct queue_lines *lines, const char *dir, struct err *err); /* without any: the file goes */
/* false: there is nothing that helps who begins at the cursor. */
bool queue_lines_load(
	const char *dir, uint64_t cursor, uint64_t *front, void (*each)(void *arg, const char *name, uint64_t position), void *arg);
