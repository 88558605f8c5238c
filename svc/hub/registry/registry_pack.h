/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A record of the registry as it stands in memory a million times: one allocation of exactly the size it needs, some 150 bytes where a struct
 * identity takes 900.  Generations, etags and thumbprints of our own form are numbers and bytes; every other text is kept as it is, so nothing is lost
 * on the way through.  A new field of struct identity: a text is a row in the table of registry_pack.c, anything else a line in its put and get. */

#include <stdbool.h>

#include "auth/identity.h"
#include "base/rd.h"

struct registry_pack;

struct registry_pack *registry_pack_new(const struct identity *identity);  /* NULL: larger than any record can be */
void registry_pack_free(struct registry_pack *pack);			   /* wiped before */
struct identity *registry_pack_identity(const struct registry_pack *pack); /* a fresh one */

struct slice registry_pack_name(const struct registry_pack *pack); /* "dev" or "dev/mod"; borrowed */
bool registry_pack_is_module(const struct registry_pack *pack);
bool registry_pack_is_enabled(const struct registry_pack *pack);
