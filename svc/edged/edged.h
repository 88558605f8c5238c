/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside edged: what the workload API works with. */

#include <stdatomic.h>

#include <jansson.h>
#include <sys/types.h>

#include "common/renewal.h"
#include "common/route.h"
#include "keyd/client.h"

#define MODULES_MAX 64
#define MODULE_NAMES_MAX 32

/* A module is a process of this box that speaks on a socket of its own. */
struct module {
	char *id; /* as in the hub: "$edgeHub" */
	char *socket_path;
	uid_t uid;
	char *names[MODULE_NAMES_MAX]; /* that it may have server certificates for, beside its own */
	size_t n_names;
	char *generation_id, *sign_handle; /* from identityd, once there is an identity */
	atomic_bool has_identity;
};

struct edged {
	struct keyd_client *keyd;
	char *certd, *identityd; /* sockets */
	char *hub_name, *device_id;
	char *ca_common_name, *ca_form; /* "quickstart", "preloaded", "issued" */
	struct renewal_pace ca_pace;
	char *encryption_handle;
	struct module modules[MODULES_MAX];
	size_t n_modules;
};

/* What a socket is bound to. */
struct edged_door {
	struct edged *edged;
	const struct module *module;
};

extern const struct route_table workload_routes;

/* The Edge CA: made if need be, and the answer to "who may sign module certificates?" logged. */
int edge_ca_ensure(struct edged *edged, struct err *err);

/* Leaf certificates under the Edge CA. */
struct leaf_request {
	const char *cert_id;
	const char *csr; /* PEM */
};
int edge_ca_issue(struct edged *edged, const struct leaf_request *request, struct buf *chain_pem, struct err *err);
