/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Values of config.toml by the table of parameters.  config_read_check looks at every key and value once and tells all mistakes; after that the getters below give what is good,
 * the parameter's default where there is nothing, and nothing (NULL, an empty table) where there was a mistake, so that whoever takes values only tells what values mean together. */

#include "edge/config_findings.h"
#include "edge/config_param.h"
#include "wire/toml.h"

#define CONFIG_PATH_MAX 200

/* A table, by its place in the document and in the table of parameters. */
struct config_at {
	const struct toml *table; /* NULL: absent */
	const struct toml *root;
	const char *params, *like;  /* "edge_ca", "issued" */
	char path[CONFIG_PATH_MAX]; /* "edge_ca", "modules.tool" */
	struct findings *findings;
};

void config_read_check(const struct toml *root, struct findings *findings);
struct config_at config_read_root(const struct toml *root, struct findings *findings);

struct config_at config_table(const struct config_at *at, const char *key);
struct config_at config_entry(const struct config_at *at, size_t i); /* of a table of tables */
struct config_at config_tables(
	const struct config_at *at, const char *key); /* of an array of tables: `table` is for the caller to set, to each in turn */
bool config_has(const struct config_at *at, const char *key);
bool config_is_text(const struct config_at *at, const char *key);     /* where a table may stand as well */
const char *config_text(const struct config_at *at, const char *key); /* borrowed; a default too */
int64_t config_int(const struct config_at *at, const char *key);
bool config_bool(const struct config_at *at, const char *key);
char *config_file(const struct config_at *at, const char *key); /* its path; the caller owns it */
char *config_place(
	const struct config_at *at, const char *key); /* of a key: a path, or a URI as it was written; the caller owns it */
/* A list that was found good, or NULL. */
const struct toml *config_list(const struct config_at *at, const char *key);

/* Mistakes that the values of several keys make together.  key: in this table, or NULL for the table itself. */
void config_wrong(const struct config_at *at, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void config_warn(const struct config_at *at, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool config_need(const struct config_at *at, const char *key); /* else it is missing */
