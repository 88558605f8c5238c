/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The list of blocks that a client makes a blob of: <BlockList><Latest>ID</Latest>...</BlockList>, and what may be a blob's name.  A reader of exactly that XML and its white space: no entities,
 * attributes or comments.  Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define BLOB_BLOCKS_MAX 50000
#define BLOB_BLOCK_ID_MAX 88 /* the base64 of 64 bytes */
#define BLOB_NAME_MAX 1024

struct blob_list {
	char **ids; /* as the client wrote them */
	size_t n;
};
int blob_list_parse(struct blob_list *out, const void *text, size_t len, struct err *err);
void blob_list_clear(struct blob_list *list);

/* The base64 of 1 to 64 bytes. */
bool blob_block_id_is_valid(const char *id);
/* UTF-8 without control characters and backslashes, and no part of it between slashes is empty, "." or "..": it means the same to every client and server on its way. */
bool blob_name_is_valid(const char *name);
