/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One configuration (hub 4.5): a condition on twins, and what the desired properties of those that meet it shall be.  Here is what its document may say, which twins it
 * looks for, and which of several counts: the one with the highest priority, the younger one of equals; of a gateway's, the layers with a higher priority than the highest
 * whole deployment lie on top of that.  Pure; any thread. */

#include "hub/automation/content.h"
#include "wire/query.h"

#define CONFIGURATIONS_MAX 100

/* What is wrong with one, or with what was asked about one. */
enum configuration_answer {
	CONFIGURATION_OK,
	CONFIGURATION_EXISTS,
	CONFIGURATION_MISSING,
	CONFIGURATION_WRONG_ETAG,
	CONFIGURATION_TOO_MANY,
	CONFIGURATION_BAD_CONDITION,
	CONFIGURATION_BAD_CONTENT,
	CONFIGURATION_BAD_METRIC,
	CONFIGURATION_IMMUTABLE,
	CONFIGURATION_INVALID,
	CONFIGURATION_FAILED,
	CONFIGURATION_ANSWER_COUNT,
};

/* Owns its texts, the document and the condition. */
struct configuration {
	char *id, *etag;
	json_t *doc; /* as it was put, and "updated_ms" */
	enum content_kind kind;
	struct query *condition; /* NULL: no twin meets it */
	int64_t created_ms, priority;

	/* How far the twins have followed (configurations.h). */
	bool to_sweep, to_finish;
	bool is_doomed; /* deleted; it goes when all twins are without it */
	int64_t sweep;	/* number of the last one */
};
/* Takes the document over.  It counts only once it has been read. */
struct configuration *configuration_new(const char *id, const char *etag, json_t *doc, int64_t created_ms);
void configuration_free(struct configuration *c);
OWN_DEFINE(configuration);

/* Fill kind, condition and priority from the document; anything but CONFIGURATION_OK: `err` says what is wrong with it. */
enum configuration_answer configuration_read(struct configuration *c, struct err *err);
/* Is the condition one?  "FROM devices.modules WHERE ..." is how the original has conditions on modules; the condition alone will do as well. */
int configuration_check_condition(const char *condition, enum content_kind kind, struct err *err);
/* The query that finds its twins, by their names; the caller's. */
struct query *configuration_sweep_query(const struct configuration *c, struct err *err);
/* The entries of its content; of the content for all modules of a gateway, those of this module.  Borrowed; NULL without any. */
json_t *configuration_entries(const struct configuration *c, const char *module_id);

/* NULL: there is none of that name that is, or is not, doomed. */
struct configuration *configuration_find(struct configuration *const *list, size_t n, const char *id, bool is_doomed);
bool configuration_is_among(const struct configuration *c, struct configuration *const *list, size_t n);
/* Of these, all of which want one twin, those of this kind that count: least important first.  Their number. */
size_t configuration_choose(
	struct configuration *const *list, size_t n_list, enum content_kind kind, struct configuration *chosen[CONFIGURATIONS_MAX]);
