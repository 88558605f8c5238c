/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What has changed below each gateway, so that one that knows its scope asks for the difference.  A gateway's list is what the scope API enumerates for it: itself, its
 * modules, and the devices right below it with theirs; its etag is another one after each change of that, or of the CAs that are handed down.
 *
 * In memory and bounded: of the last few thousand changes the names are known.  What is older, or of before the hub was started, is asked for as a whole. */

#include "hub/registry/ca.h"
#include "hub/registry/registry.h"

#define SCOPE_JOURNAL_MAX 16384
#define SCOPE_DIFFERENCE_MAX 1000 /* names in one answer; who has missed more takes all */

struct scope_journal;
/* Watches both from now on; they are borrowed. */
struct scope_journal *scope_journal_open(struct registry *registry, struct ca_registry *cas);
void scope_journal_close(struct scope_journal *journal);
/* Told on the registry's worker: a record has changed that stands, or stood, in the list of this gateway; both NULL: the CAs of all of them have.  Set before it is shared. */
void scope_journal_watch(
	struct scope_journal *journal, void (*changed)(void *arg, const char *gateway_id, const char *name), void *arg);

/* Any thread.  Taken before the list is read: what changes meanwhile is then in the next difference. */
char *scope_journal_etag(struct scope_journal *journal, const char *gateway_id);
/* Each name (identity_name) once that has changed in this gateway's list since it had that etag; owned by the caller.  false: that is not known. */
bool scope_journal_since(struct scope_journal *journal, const char *gateway_id, const char *etag, char ***names, size_t *n);
