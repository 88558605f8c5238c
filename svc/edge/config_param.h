/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What keys config.toml has: params.tbl.h as a table that can be asked.  Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_kind {
	KIND_ALIAS, /* another name of the key `like` */
	KIND_ANY,   /* whatever it is, nobody looks at it */
	KIND_BOOL,
	KIND_FILE, /* file:///PATH or a path */
	KIND_FILES,
	KIND_FILE_OR_IDS,
	KIND_FILE_OR_ISSUED, /* or a table with the keys of "issued" */
	KIND_HOST,
	KIND_HOSTS,
	KIND_HTTPS,
	KIND_IDS, /* a table whose keys are ids, as "*" has it, beside those that have a row */
	KIND_INT,
	KIND_KEY, /* where a key lies: a file, pkcs11: or tpm: */
	KIND_SECRET,
	KIND_SPAN,
	KIND_TABLE,
	KIND_TABLES,
	KIND_TEXT,
	KIND_TEXTS,
	KIND_URL,
	KIND_WORD,
};

enum config_standing { PARAM_WORKS, PARAM_IDLES, PARAM_COMES, PARAM_IS_REFUSED };

struct config_param {
	const char *table, *key, *help;
	enum config_standing standing;
	enum config_kind kind;
	const char *like;	  /* a table: has the keys of this one as well; an alias: of what */
	const char *words;	  /* "a|b" */
	const char *text;	  /* the default of a text, or NULL */
	int64_t min, max, number; /* number: the default, of a truth too */
};

#define CONFIG_PARAMS_MAX 160 /* keys that one table has */

/* The row of a key, that of "*" where the table has ids.  `like`: a further table, or NULL. */
const struct config_param *config_param_find(const char *table, const char *like, const char *key);
size_t config_param_keys(const char *table, const char *like, const char **out, size_t max); /* the names, without "*" */
const struct config_param *config_param_at(size_t i); /* all, in their order; NULL after the last */
bool config_word_is_in(const char *words, const char *word);
bool config_param_is_secret(const struct config_param *param);
char *config_param_default(const struct config_param *param); /* as TOML has it; the caller owns it.  NULL: none */
void config_print_reference(FILE *out);			      /* docs/config.md */
