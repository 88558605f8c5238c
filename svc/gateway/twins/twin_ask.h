/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A question about a twin, and its answer in the words of the hub's protocol. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/post.h"

enum twin_question {
	TWIN_GET,      /* as the device sees it: the hub is asked, if it is there */
	TWIN_GET_KEPT, /* as the device sees it, by what is kept here */
	TWIN_REPORT,   /* the device reports `patch` */
	/* The operator's: nothing is asked of the hub, and nothing of it is a device's. */
	TWIN_INSPECT, /* as struct kept_twin tells it */
	TWIN_DESIRE,  /* `patch` is desired here; the answer is as that of TWIN_INSPECT */
	TWIN_YIELD,   /* nothing is, any more */
	TWIN_QUESTIONS
};

/* Owned by the twins from twins_ask to `done`, which is called on the loop of the twins and frees it. */
struct twin_ask {
	char *device_id, *module_id, *generation_id;
	enum twin_question question;
	json_t *patch; /* is the twins' from then on: NULL at `done` */
	int status;    /* 200, 204, 400, 413, 429, 500 */
	char *body;    /* JSON, or "" */
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
