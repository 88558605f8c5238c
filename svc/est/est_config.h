/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an EST server gives under which label, from a TOML file (docs/est.md): issuers, and labels with their profile and rules.  Immutable once it is loaded, and shared by
 * reference, so that another one can take its place while requests go on. */

#include "est/est_label.h"

struct est_config;
/* keys: where issuers have theirs from; NULL: files. */
struct est_config *est_config_load(const char *path, struct key_source *keys, struct err *err);
/* Of one issuer and no label, for its lists and OCSP; the signer is borrowed. */
struct est_config *est_config_of_signer(const char *name, struct ca_signer *signer);
struct est_config *est_config_ref(struct est_config *config);
void est_config_free(struct est_config *config);
OWN_DEFINE(est_config);

const struct est_label *est_config_label(const struct est_config *config, const char *name); /* NULL: there is none */
size_t est_config_n_issuers(const struct est_config *config);
const struct est_issuer *est_config_issuer(const struct est_config *config, size_t i);
/* Have the roots of an issuer changed since it was loaded?  stamp: which change that is. */
bool est_config_is_stale(const struct est_config *config, char stamp[static TRUST_DIR_STAMP_LEN]);
size_t est_config_n_labels(const struct est_config *config);
