/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Links to one blob, as the query of its URL: what may be done with it, until when, and a signature with a key of the hub's own over that, the blob's name and the generation of its device: no link
 * outlives its device, and none reaches what another one of its name has left.  Who has the link may do that, and
 * nothing else.  Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"

enum blob_right { BLOB_READ = 1, BLOB_WRITE = 2 };

/* "?sv=...&sr=b&sp=rw&se=2026-03-01T00%3A00%3A00Z&sig=..." for the blob CONTAINER/NAME. */
void blob_link_put(
	struct buf *out, const struct secret *key, const char *blob, const char *generation_id, unsigned rights, int64_t expires);
/* May the link with these parameters, decoded or NULL, do this at `now`? */
struct blob_link {
	const char *rights, *expires, *signature; /* sp, se, sig */
};
bool blob_link_allows(const struct blob_link *link, const struct secret *key, const char *blob, const char *generation_id,
	enum blob_right right, int64_t now);
