/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The kept twins that were read or written last, as they are on the disk: what a device reports, the push that comes of it and the hub's answer are three steps on one twin, and to parse it costs more than all
 * that is done to it.  One thread; the caller's memory. */

#include "gateway/twins/kept_twin.h"

#define TWIN_MEMORY_MAX 4

struct twin_memory {
	struct {
		char *name;
		struct kept_twin *twin;
	} last[TWIN_MEMORY_MAX]; /* the newest is first; NULL: none */
};

struct kept_twin *twin_memory_take(
	struct twin_memory *memory, const char *name); /* it is out of it, and the caller's; NULL: it is not in it */
void twin_memory_give(struct twin_memory *memory, const char *name, struct kept_twin *twin_take);
void twin_memory_forget(struct twin_memory *memory, const char *name); /* the disk has another, or none */
void twin_memory_clear(struct twin_memory *memory);		       /* nobody knows what the disk has */
