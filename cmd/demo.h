/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The demo while it runs: its folder, its processes, and its page. */

#include "demo_cast.h"
#include "demo_page.h"

struct demo {
	char *dir;
	struct cast cast;
	struct buf out; /* what is printed next */
	struct demo_page page;
	struct buf missing; /* a line for each thing that did not go as told */
};

/* demo_story.c: from the first certificate to the last refusal, printed as it goes.  -1: it broke off. */
int demo_story(struct demo *demo, struct err *err);
/* demo_keep.c: prints what to try, and waits until somebody says stop, or a process ends. */
int demo_keep(struct demo *demo, struct err *err);
