/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside edged: what the workload API works with. */

#include <pthread.h>
#include <stdatomic.h>

#include <jansson.h>
#include <sys/types.h>

#include "common/renewals.h"
#include "common/route.h"
#include "keyd/client.h"
#include "pki/subject.h"

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
	X509_NAME *ca_subject;		/* NULL: CN=ca_common_name alone */
	char *ca_common_name, *ca_form; /* "quickstart", "preloaded", "issued" */
	struct renewal_policy ca_policy;
	struct renewals *renewals;
	pthread_rwlock_t ca_in_use; /* for reading while its key signs what its certificate stands for (succession.h) */
	pthread_mutex_t ca_lock;
	char *ca_key_id;		      /* NULL: to be found out */
	uint8_t ca_sha256[DIGEST_SHA256_LEN]; /* what was last judged */
	atomic_bool ca_has_replaced;	      /* another one, which is still kept */
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

/* The Edge CA.  dir: where the state of renewals is kept; auto_renew: edge_ca.auto_renew, or NULL. */
int edge_ca_take_subject(
	struct edged *edged, const json_t *config, struct err *err); /* all of its name, where it is more than a CN */
int edge_ca_open(struct edged *edged, const char *dir, const json_t *auto_renew, struct err *err);
/* Made if need be, and the answer to "who may sign module certificates?" logged, now and whenever it changes. */
int edge_ca_start(struct edged *edged, struct err *err);
void edge_ca_close(struct edged *edged);
/* What modules trust: PEM, appended. */
int edge_ca_trust_bundle(struct edged *edged, struct buf *pem, struct err *err);

/* Leaf certificates under the Edge CA. */
struct leaf_request {
	const char *cert_id;
	const char *csr; /* PEM */
};
int edge_ca_issue(struct edged *edged, const struct leaf_request *request, struct buf *chain_pem, struct err *err);
