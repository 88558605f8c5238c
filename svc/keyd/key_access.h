/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who may what with a key.  Making, loading, importing and moving one by its id is for principals whose patterns fit (edge-services 1.1); root may everything on the common socket.
 *
 * With a handle the original asks no further: whoever has it, has the key.  Here a handle is worth something only in the hands that may have it:
 * - of who may use the id anyway, and could make the handle himself;
 * - of anyone, when the principal that it was made for lends: identityd hands the handles of a host process's keys out in its answers;
 * - of a principal that borrows: certd is handed the handle of the key that is to issue;
 * the last two for using the key, neither for deleting it nor for getting out of it what is derived, and only as long as the one that it was made for may still use the id.
 * A key that is derived from BASE is also used, for signing, by who has "derived:BASE" among its patterns. */

#include "common/principal.h"
#include "keyd/key_handle.h"

/* The process at the other end. */
struct key_caller {
	const struct principals *principals;
	const char *bound; /* the principal whose socket it is; NULL: the user id says */
	uid_t uid;
	bool is_known; /* whether there is a user id */
};

bool key_caller_may(const struct key_caller *caller, const char *id);
/* The name of the principal that may: what a handle is made for; "" is root.  NULL: nobody. */
const char *key_caller_name(const struct key_caller *caller, const char *id);

enum key_access { KEY_SIGN, KEY_USE, KEY_OWN };
bool key_caller_may_with(const struct key_caller *caller, const struct key_handle *handle, enum key_access access);
