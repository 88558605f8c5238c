/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Store and forward: what is in the queue goes to the hub, in order for each device, and is forgotten only when the hub has acknowledged it.  Lives on one loop
 * of its own. */

#include "gateway/queue/queue.h"
#include "gateway/upstream/lines.h"

struct forward;

struct forward_config {
	struct lines *lines; /* on whose loop it lives */
	struct queue *queue;
	void (*on_damage)(void *arg); /* on the loop: the queue is damaged, nothing comes after this (it was logged) */
	void *arg;
};

struct forward *forward_open(const struct forward_config *config);
void forward_close(struct forward *forward); /* after its lines */
