/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Asking the web hook of a custom allocation: one POST, which blocks, so on the pool.  The server is judged by the roots of --provisioning-hubs-ca. */

#include <stdatomic.h>

#include <jansson.h>

#include "base/err.h"
#include "pki/chain.h"

struct webhook {
	/* The question; owned. */
	char *url;
	json_t *body;

	/* The answer; owned. */
	int status;   /* 0: there was none */
	json_t *json; /* of a status of 2xx */
	struct err err;
};
void webhook_clear(struct webhook *webhook);
void webhook_ask(struct webhook *webhook, struct anchors *anchors, const atomic_bool *cancelled);
