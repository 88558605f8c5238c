/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub's own CA: what its operator named or had made, its journal, and the credential policies by their names.  Whoever issues in the hub asks here; ca_issue
 * may be called by any worker. */

#include "ca/ca_issue.h"
#include "hub/registry/registry_store.h"

struct issuing_config {
	const char *state_dir;		  /* its folder `ca` has the journal, and the CA that is made */
	const char *hostname;		  /* that one's name */
	const char *cert_path, *key_path; /* NULL: make one where there is none; the key as keys/key_source.h has it */
	struct key_source *keys;	  /* borrowed, lives longer; NULL: keys are files */
	struct registry_store *store;	  /* remembers that there is a journal, so that a lost one is no beginning */
	const char *const *policies;	  /* of "NAME=DAYS", NULL-terminated; none: default=30 */
	const char *crl_url, *ocsp_url;	  /* http:// addresses that stand in what is issued; borrowed, live longer; NULL: none */
};

struct issuing {
	struct ca_signer *signer;
	struct ca_journal *journal;
	struct ca_desk desk;
	struct ca_profile *policies;
	size_t n_policies;
};
struct issuing *issuing_open(const struct issuing_config *config, struct err *err);
void issuing_close(struct issuing *issuing);
const struct ca_profile *issuing_policy(const struct issuing *issuing, const char *name); /* NULL: there is none */
