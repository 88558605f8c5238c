/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The names of the server certificate: those of the configuration, with "auto" for the addresses of this box as they are now, of a family on which it listens; each once, in an order that is the same each time. */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SERVER_NAMES_MAX 56 /* as many as a configuration may have, and addresses */
#define SERVER_NAMES_AUTO "auto"

struct server_names {
	char *item[SERVER_NAMES_MAX]; /* the first is the common name */
	size_t n;
};
/* What is given: hostname, and the names and addresses of a file, one a line; NULL: no file.  One line that is neither, or can't be read: none of them. */
int server_names_load(struct server_names *given, const char *hostname, const char *path, struct err *err);
/* addresses: of the box; of these the ones that are heard where it listens. */
void server_names_fill(struct server_names *names, const char *listens_on, const struct server_names *given, char *const *addresses,
	size_t n_addresses);
void server_names_clear(struct server_names *names);
bool server_names_are_same(const struct server_names *a, const struct server_names *b);
bool server_names_have(const struct server_names *names, const char *name); /* in any case */
