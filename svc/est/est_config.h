/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an EST server gives under which label, from a TOML file (docs/est.md): issuers, and labels with their profile and rules.  Immutable once it is loaded, and shared by
 * reference, so that another one can take its place while requests go on. */

#include "ca/ca_issue.h"
#include "est/est_names.h"
#include "pki/chain.h"

struct est_issuer {
	char *name;
	struct ca_signer *signer;
	struct certs shown;	 /* for /cacerts: the CA, those above it and the root, and what a root rollover adds */
	struct anchors *anchors; /* the CA itself: who shows a certificate of it renews that */
};

struct est_label {
	struct ca_profile profile; /* whose name is the label's, or "est" where there is none */
	char *name;		   /* "" is for paths without a label */
	const struct est_issuer *issuer;
	struct anchors *bootstrap; /* NULL: none */
	struct est_names may, bootstrap_may;
	bool takes_passwords, demands_linking, demands_approval;
	bool announces_key; /* in /csrattrs */
	enum key_alg key;
	int64_t expired_s; /* how long a certificate renews itself after its end */
};

struct est_config;
struct est_config *est_config_load(const char *path, struct err *err);
struct est_config *est_config_ref(struct est_config *config);
void est_config_free(struct est_config *config);
OWN_DEFINE(est_config);

const struct est_label *est_config_label(const struct est_config *config, const char *name); /* NULL: there is none */
size_t est_config_n_labels(const struct est_config *config);
bool est_is_operation(const char *name); /* "simpleenroll", ...: a label must not be called so (RFC 7030 3.2.2) */
