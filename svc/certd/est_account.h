/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which EST server a certificate comes from, and as whom it is asked for: what cert_issuance has under "est" and under the id, resolved (edge-services 8.1).  All is borrowed from the
 * configuration; certificates and keys are named by the ids they have in certd and keyd. */

#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"

struct est_account {
	const char *url;
	const char *username, *password;
	const char *identity_cert, *identity_pk;   /* what the server knows this device by */
	const char *bootstrap_cert, *bootstrap_pk; /* what it gets that by for the first time, and again when it has ended */
	const json_t *trusted; /* ids of the certificates that the server is trusted by; NULL: the system's roots */
};

int est_account_find(struct est_account *out, const json_t *cert_issuance, const char *id, struct err *err);
/* Where its EST identity is asked for: at est.urls.<id of the identity> if there is one, or where the certificate is that it is needed for; renewals, which are for none, at est.urls.default
 * before that. */
void est_account_turn_to_identity(struct est_account *account, const json_t *cert_issuance, bool renews);
