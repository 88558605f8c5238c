/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A question to the registry with its answer: one change with compare-and-set on an etag, many of them in one transaction, or a list. */

#include <jansson.h>

#include "auth/identity.h"
#include "base/err.h"
#include "base/pool.h"

struct registry;

enum registry_op {
	REGISTRY_PUT,
	REGISTRY_REMOVE,
	REGISTRY_ROTATE, /* new keys for old ones */
	REGISTRY_BULK,	 /* the items, each with an answer of its own, in one transaction */
	REGISTRY_LIST_DEVICES,
	REGISTRY_LIST_MODULES,
	REGISTRY_LIST_CHILDREN,
	REGISTRY_COUNT, /* all are known when it is done: registry_count */
};

enum registry_answer {
	REGISTRY_OK,
	REGISTRY_EXISTS,
	REGISTRY_NO_DEVICE,
	REGISTRY_NO_MODULE,
	REGISTRY_WRONG_ETAG,
	REGISTRY_TOO_MANY_MODULES,
	REGISTRY_SYSTEM_MODULE,
	REGISTRY_BAD_SCOPE,
	REGISTRY_INVALID, /* err has the sentence */
	REGISTRY_FAILED,  /* the database; err has the sentence */
};

struct registry_call {
	/* The question; owned. */
	enum registry_op op;
	char *device_id, *module_id; /* module_id NULL: the device */
	struct identity *wanted;     /* PUT */
	bool keep_auth;		     /* PUT: `wanted` says nothing about authentication */
	json_t *twin;		     /* PUT: an object whose tags and properties the twin begins with, or NULL */
	unsigned slots;		     /* ROTATE: 1 the first key, 2 the second, 3 both */
	char *if_match; /* NULL: PUT creates, REMOVE is unconditional; "*": whatever is there; else the etag that must be there */
	char *scope, *after; /* lists: children of this scope; begin behind this id */
	int64_t max;	     /* lists: no more than these */
	bool with_modules;   /* LIST_CHILDREN: each is followed by its modules, which don't count, but may make it fewer devices */
	/* BULK: PUT, REMOVE and ROTATE only; one that has an answer other than REGISTRY_OK already is left alone. */
	struct registry_call *items;
	size_t n_items;
	/* Changes: in the same transaction, after it; -1: both are undone, and the answer is REGISTRY_FAILED.  NULL: nothing. */
	int (*also)(void *arg, struct err *err);
	void *also_arg;

	/* The answer. */
	enum registry_answer answer;
	struct err err;
	struct identity **found; /* PUT and ROTATE: the record as it is now; lists: the records; owned */
	size_t n_found;
	bool more; /* lists: there are more behind the last one */

	void (*done)(struct registry_call *call); /* on the owner it was submitted for */
	struct registry *registry;
	struct job job;
};

/* What the twin begins with, of an object with "tags" and "properties". */
int registry_call_read_twin(struct registry_call *call, const json_t *json, struct err *err);
void registry_call_clear(struct registry_call *call);
void registry_call_add_found(struct registry_call *call, struct identity *identity_take);
