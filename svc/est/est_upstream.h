/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Another EST server that signs, from an issuer's table `upstream`: this one is its registration authority.  It has judged who asks and for what by its own rules; the request goes on as
 * it is, and the certificate that comes back is looked at before anybody gets it.  Blocks for as long as the other one takes. */

#include "ca/ca_issue.h"
#include "keys/key_source.h"
#include "wire/toml.h"

struct est_upstream;
/* ca: the CA that signs there, borrowed.  keys: as in est_issuer_load. */
struct est_upstream *est_upstream_load(
	const struct toml *table, const struct ca_signer *ca, struct key_source *keys, struct err *err);
void est_upstream_free(struct est_upstream *upstream);
OWN_DEFINE(est_upstream);

/* For ca_desk.  What it refuses by is CSR_ASKS_MORE, before it asks, EST_UPSTREAM_AWAY, EST_UPSTREAM_REFUSED and EST_UPSTREAM_OTHER. */
const struct ca_elsewhere *est_upstream_elsewhere(const struct est_upstream *upstream);

/* One request for a name at a time, so that of those at the same instant the others find what the first one got.  false: one is on its way. */
bool est_upstream_enter(struct est_upstream *upstream, const char *id);
void est_upstream_leave(struct est_upstream *upstream, const char *id);
void est_upstream_cancel(struct est_upstream *upstream); /* what is asked now, and from now on, is away */
