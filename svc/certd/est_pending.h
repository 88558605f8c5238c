/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests that an EST server has not decided yet (202, RFC 7030 4.2.3): the same request has to be sent again, not before the time that the server named, so it is kept in a file for
 * whoever asks next, after a restart too. */

#include "pki/issue.h"

struct est_pending {
	const char *dir, *id, *url;
};

/* The request to send for one that somebody makes now: the one that the server knows already, if it is by the same key and name, otherwise NULL.  *not_before: wall clock; 0: at once. */
struct csr *est_pending_find(const struct est_pending *pending, const struct csr *now_asked, int64_t now, int64_t *not_before);
int est_pending_keep(const struct est_pending *pending, const struct csr *csr, int64_t not_before, struct err *err);
void est_pending_forget(const struct est_pending *pending);
