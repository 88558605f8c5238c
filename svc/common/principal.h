/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who may use what: a caller is the user id of the process at the other end of the socket, and each user has patterns of the ids it may use ("*": any run of characters,
 * "?": one).  Where all services run as one user, a principal is bound to a socket of its own instead, and no other socket answers for it. */

#include <pthread.h>
#include <stdbool.h>

#include <jansson.h>
#include <sys/types.h>

#include "base/err.h"

#define PRINCIPALS_MAX 64
#define PATTERNS_MAX 64

struct principal {
	char *name;
	uid_t uid;
	char *patterns[PATTERNS_MAX];
	size_t n_patterns;
	bool lends, borrows; /* what it gets for its ids others may use; it uses what others got (keyd: key_access.h) */
};

struct principals {
	struct principal item[PRINCIPALS_MAX];
	size_t n;
};

/* [{"name":..., "uid":..., "ids":["..."], "lends":false, "borrows":false}] */
int principals_from_json(struct principals *out, const json_t *list, struct err *err);
/* The same while others read under the lock; a list that is refused changes nothing. */
int principals_change(struct principals *all, pthread_rwlock_t *lock, const json_t *list, struct err *err);
void principals_clear(struct principals *principals);
const struct principal *principals_find(const struct principals *principals, uid_t uid);
const struct principal *principals_named(const struct principals *principals, const char *name);
bool principal_may(const struct principal *principal, const char *id);
