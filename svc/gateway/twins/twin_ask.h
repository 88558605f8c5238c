/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A question about a twin, and its answer in the words of the hub's protocol. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/post.h"

/* Owned by the twins from twins_ask to `done`, which is called on the loop of the twins and frees it. */
struct twin_ask {
	char *device_id, *module_id, *generation_id;
	json_t *report; /* NULL: the twin is asked for */
	bool is_kept;	/* as it is kept here, without asking the hub */
	int status;	/* 200, 204, 400, 429, 500 */
	char *body;	/* JSON, or "" */
	void (*done)(struct twin_ask *ask);
	void *arg; /* the asker's */
	/* The twins' own. */
	struct twins *twins;
	struct post post;
	struct twin_ask *next;
	int64_t due_ms;
};
void twin_ask_clear(struct twin_ask *ask);

/* The ask is gone after that; body may be NULL. */
void twin_ask_answer(struct twin_ask *ask, int status, const json_t *body);
void twin_ask_fail(struct twin_ask *ask, int status, int code, const char *words);
void twin_ask_fail_busy(struct twin_ask *ask); /* too much waits */
