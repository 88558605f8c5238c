/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An EST server as an account has it: trusted by what is configured for it, asked as whom the account says, over one connection where the server keeps it.  Of the thread that opens it. */

#include "certd/est_account.h"
#include "net/est_client.h"
#include "certd/est_pair.h"

struct est_server {
	struct est_client client;
	struct anchors *anchors;
	struct http_session *session;
	struct certs cas; /* once they were asked for */
};

/* as: NULL, or borrowed until it is closed. */
int est_server_open(struct est_server *out, const struct est_context *ctx, const struct est_account *account,
	const struct est_pair *as, struct err *err);
void est_server_clear(struct est_server *server);

/* What it issues under; asked for once. */
int est_server_cas(struct est_server *server, struct err *err);
