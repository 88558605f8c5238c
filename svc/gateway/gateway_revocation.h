/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The revocation lists that a gateway has been given, as files in a folder (pki/revocation_files.h), looked at every second.  A list counts when a CA that the hub lets devices in by has
 * signed it, or one whose certificate lies beside it.  What they said stays known until all of them can be read, also after a start: it is kept on the disk. */

#include "base/pool.h"
#include "gateway/scope/scope.h"
#include "net/loop.h"
#include "pki/revocations.h"

struct gateway_revocation;
/* dir NULL: there are none, ever.  It keeps a file in state_dir. */
struct gateway_revocation *gateway_revocation_new(
	const char *dir, const char *state_dir, struct scope *scope, struct loop *loop, struct pool *workers);
void gateway_revocation_free(
	struct gateway_revocation *revocation); /* when the loops and the workers have ended, before the loops are freed */
void gateway_revocation_start(struct gateway_revocation
		*revocation); /* on the thread of its loop, or before it runs; the first look is at once, on this thread */
struct revocations *gateway_revocation_current(struct gateway_revocation *revocation); /* any thread; the caller owns a reference */
/* Told on a worker after each change.  Set before it starts. */
void gateway_revocation_watch(struct gateway_revocation *revocation, void (*changed)(void *arg), void *arg);
