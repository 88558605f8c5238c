/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What routes send to inputs of modules (gateway 4.6): each input's messages in their order, a few at a time, over the module's session.  A message is done when the module has
 * acknowledged it; what it has not after half a minute is sent again, and so is what was on its way when its session ended.  What waits for a module that is away stays on the
 * disk.  One input that does not answer holds up no other.
 *
 * Lives on one loop; what a session's head tells is told on the session's loop. */

#include "gateway/queue/queue.h"
#include "heads/head.h"

#define INPUT_ANSWERS_WITHIN_MS 30000

struct inputs_config {
	struct loop *loop;
	struct queue *queue;
	struct directory *directory;
	const char *edge_id;	      /* whose modules they are */
	void (*on_damage)(void *arg); /* a log is damaged (it was said) */
	void *arg;
};
struct inputs;
struct inputs *inputs_new(const struct inputs_config *config);
void inputs_start(struct inputs *inputs); /* when the queue has its routes */
void inputs_stop(struct inputs *inputs);  /* once the loop no longer runs: nothing more is sent */
void inputs_free(struct inputs *inputs);  /* after the loops are finished, before the queue goes */

/* The session of a module of the gateway's own device: what it listens to now, that it has acknowledged something, and its end. */
void inputs_on_wants(struct inputs *inputs, const char *module_id, struct head_session *session);
bool inputs_on_settled(struct inputs *inputs, const char *module_id, uint64_t command_id); /* false: that was no input's */
void inputs_on_end(struct inputs *inputs, const char *module_id, struct head_session *session);
