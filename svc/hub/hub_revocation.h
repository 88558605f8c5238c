/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub, or provisioning alone, knows of revoked certificates: lists in files (--crl), what its own issuing CA has revoked, and what the EST server inside the hub has.  Looked at every second on the registry's worker;
 * after a change the sessions that began with a certificate are asked again, and the revoked ones end. */

#include "hub/registry/ca.h"
#include "net/loop.h"
#include "pki/revocations.h"

struct issuing;

struct hub_revocation_config {
	const char *const *files;      /* NULL-terminated; may be NULL */
	const char *ca_path;	       /* CAs that signed those and are not registered here; NULL */
	const char *journal_path;      /* of `issuing` */
	const struct issuing *issuing; /* NULL: there is none.  Borrowed, like what follows */
	/* More of them; the caller of it owns a reference, and another set is another pointer.  NULL: there are none. */
	struct revocations *(*beside)(void *arg);
	void *beside_arg;
	struct registry *registry;
	struct ca_registry *cas; /* whose lists are known by their signatures, too; NULL: there are none */
	struct loop *loop;
};

struct hub_revocation;
/* Reads all of it: what can't be read at the start is a failure, later it is said and what was read before stays. */
struct hub_revocation *hub_revocation_open(const struct hub_revocation_config *config, struct err *err);
void hub_revocation_start(struct hub_revocation *revocation); /* on the thread of its loop, or before it runs */
void hub_revocation_close(struct hub_revocation *revocation);
struct revocations *hub_revocation_current(struct hub_revocation *revocation); /* any thread; the caller owns a reference */
/* Told on the worker after each change.  Set before it starts. */
void hub_revocation_watch(struct hub_revocation *revocation, void (*changed)(void *arg), void *arg);
