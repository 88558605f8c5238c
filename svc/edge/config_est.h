/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* EST in config.toml (edge-services 5.2): servers, credentials and what is to be issued by them, in the form that certd has it.  Certificates and keys that stand there as files get the
 * ids of the original. */

#include <jansson.h>

#include "wire/toml.h"

struct config_est {
	json_t *issuance;     /* cert_issuance of certd: "est", and ids whose method is est */
	json_t *certs, *keys; /* preloaded: id to a file, or to a place of a key */
	size_t n_trusted;     /* est-server-ca-1 and so on */
};

void config_est_init(struct config_est *est);
void config_est_clear(struct config_est *est);

/* [cert_issuance.est] */
int config_est_take(struct config_est *est, const struct toml *root, struct err *err);
/* A table with method = "est" and perhaps a server and credentials of its own, for the certificate of this id. */
int config_est_take_request(struct config_est *est, const struct toml *table, const char *cert_id, struct err *err);
