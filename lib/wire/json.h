/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON from outside (jansson underneath): strict, with ceilings of size and depth; and getters whose failures say which member
 * was expected. */

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

OWN_DEFINE_LIB(json_t, json_decref);

#define JSON_MAX (4 * 1024 * 1024)
#define JSON_DEPTH_MAX 64

json_t *json_parse(const void *text, size_t len, struct err *err); /* duplicate keys are refused */
char *json_line(const json_t *json);				   /* on one line; the caller owns it */

/* Members of an object.  find: NULL or the default when absent or null; get: a failure then.  A member of another type is a
 * failure in both. Borrowed from the object. */
int json_find_text(const json_t *object, const char *key, const char **out, struct err *err);
int json_get_text(const json_t *object, const char *key, const char **out, struct err *err);
int json_find_int(const json_t *object, const char *key, int64_t *out, struct err *err); /* *out keeps the default */
int json_find_bool(const json_t *object, const char *key, bool *out, struct err *err);
int json_find_object(const json_t *object, const char *key, json_t **out, struct err *err);
int json_find_array(const json_t *object, const char *key, json_t **out, struct err *err);
