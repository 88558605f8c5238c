/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An EST server as an account has it: trusted by what is configured for it, asked as whom the account says. */

#include "certd/est_account.h"
#include "certd/est_client.h"
#include "certd/est_pair.h"

struct est_server {
	struct est_client client;
	struct anchors *anchors;
};

/* as: NULL, or borrowed until it is closed. */
int est_server_open(struct est_server *out, const struct est_context *ctx, const struct est_account *account,
	const struct est_pair *as, struct err *err);
void est_server_clear(struct est_server *server);
