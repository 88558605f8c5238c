/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [cert_issuance] and every table that has a certificate issued, in the form that certd has it (edge-services 5.2, 8.1).  Certificates and keys that stand there as files get the ids of the
 * original. */

#include <jansson.h>

#include "edge/config_read.h"

struct config_issuance {
	json_t *tables;	      /* cert_issuance of certd: "est", and ids with how each is issued */
	json_t *certs, *keys; /* preloaded: id to a file, or to a place of a key */
	char *local_ca_cert, *local_ca_pk;
	size_t n_trusted; /* est-server-ca-1 and so on */
};

void config_issuance_init(struct config_issuance *issuance);
void config_issuance_clear(struct config_issuance *issuance);

void config_issuance_take(struct config_issuance *issuance, const struct config_at *root);
/* A table with a method and what belongs to it, for the certificate of this id. */
void config_issuance_take_request(struct config_issuance *issuance, const struct config_at *at, const char *id, int64_t days);
/* Its common name, or NULL where it has none; the caller owns it. */
char *config_issuance_common_name(const struct config_at *at);
/* All of its subject, with this name where it has none of its own; NULL when a common name is all there is. */
json_t *config_issuance_subject(const struct config_at *at, const char *common_name);
void config_issuance_check_method(const struct config_at *at, const char *method); /* keys that belong to another one are told */
/* {"rotate_key":true,"threshold":"80%","retry":"4%"} */
json_t *config_issuance_renewal(const struct config_at *at);
const char *config_issuance_method(const struct config_issuance *issuance, const char *id); /* "est", ...; NULL: it is not issued */

/* EST (config_est.c): [cert_issuance.est], and what a request has of its own. */
void config_est_take(struct config_issuance *issuance, const struct config_at *root);
void config_est_take_request(struct config_issuance *issuance, const struct config_at *at, const char *id, json_t *own);
