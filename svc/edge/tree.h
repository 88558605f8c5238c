/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Folders that another user writes to, made, given away and emptied by root.  Whoever owns a folder may exchange what is in it at any moment; so everything below is reached from the
 * descriptor of the folder above, no link is followed, and a file that has a second name elsewhere is not given away.  The folder that holds `path` itself belongs to us. */

#include <sys/types.h>

#include "base/err.h"

/* Whose a folder is.  Only root can give one away: otherwise it is left as it is made. */
struct tree_owner {
	uid_t uid;
	gid_t gid;
};

int tree_make(const char *path, mode_t mode, struct tree_owner owner, struct err *err); /* existing is fine, a link is not */
int tree_give(const char *path, struct tree_owner owner, struct err *err);		/* with all that is in it */
int tree_empty(const char *path, struct err *err);					/* and the folder itself; absent is fine */
