/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Chains that were found to hold, so that a client which asks much on one connection is not gone through each time.  What is remembered is true of these very certificates between two dates;
 * names, revocation and what a label allows are never part of it.  It ends with its configuration.  Any thread. */

#include <stdbool.h>

#include "pki/cert.h"

struct est_memo;
struct est_memo *est_memo_new(void);
void est_memo_free(struct est_memo *memo);
/* way: what they were judged by, of several. */
bool est_memo_has(struct est_memo *memo, int way, const struct certs *chain, int64_t now);
/* Holds as long as all of the chain and of `anchors` are in their time, and from when they are. */
void est_memo_put(struct est_memo *memo, int way, const struct certs *chain, const struct certs *anchors);
