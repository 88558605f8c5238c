/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Asking who relies on our roots and who holds one of them (ca/census.h): an EST server's memory, on this machine, and a hub, over REST. */

#include "ca/census.h"
#include "ca/rollover.h"
#include "hub_session.h"
#include "pki/cert.h"

/* Those that have a certificate of this server, of a CA under one of the roots (others of its issuers have roots of their own), which is not revoked and did not end more than `ended_s` ago; who has fetched the root with it holds it. */
int trust_census_est(struct census *census, const char *state_dir, const struct rollover *roots, const struct cert *root,
	int64_t ended_s, struct err *err);
/* The enabled devices; a device holds the root when its twin, or that of its $edgeHub or $edgeAgent, reports so: {"trust": {"roots": ["SHA-256", ...]}}.
 * Of an edge device nothing else counts, whatever it has fetched from an EST server. */
int trust_census_hub(struct census *census, struct hub_session *hub, const struct cert *root, struct err *err);
