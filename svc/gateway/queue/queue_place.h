/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a log of the queue is: one for each sink and priority.  What goes to the hub without a priority is in the folder "queue", as it was before there were routes; all others are in
 * folders of "queues", whose names say what is in them: upstream@3, MODULE@INPUT@10, with what is special in them percent-encoded.  Pure. */

#include <stdbool.h>

struct queue_place {
	char *module_id, *input; /* NULL: upstream */
	int priority;
};
char *queue_place_path(const struct queue_place *place, const char *state_dir);
bool queue_place_parse(const char *name, struct queue_place *out); /* the name of a folder in "queues"; false: it is none of ours */
void queue_place_clear(struct queue_place *place);
