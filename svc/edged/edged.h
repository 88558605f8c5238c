/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside edged: what its two APIs work with. */

#include <pthread.h>
#include <stdatomic.h>

#include "common/local_service.h"
#include "common/renewals.h"
#include "common/endpoint.h"
#include "edged/edged_device.h"
#include "edged/key_stock.h"
#include "edged/module.h"
#include "keyd/client.h"
#include "pki/subject.h"

struct edged {
	struct keyd_client *keyd;
	char *certd, *identityd_path; /* sockets */
	struct identityd_client identityd;
	char *dir;	    /* its own */
	int64_t started_ms; /* boot clock */
	struct edged_device device;
	X509_NAME *ca_subject;		/* NULL: CN=ca_common_name alone */
	char *system_info_path;		/* additional_info: a file, or NULL */
	char *ca_common_name, *ca_form; /* "quickstart", "preloaded", "issued" */
	struct renewal_policy ca_policy;
	struct renewals *renewals;
	pthread_rwlock_t ca_in_use; /* for reading while its key signs what its certificate stands for (succession.h) */
	pthread_mutex_t ca_acting;  /* one step of one succession at a time */
	pthread_mutex_t ca_lock;
	char *ca_key_id;		      /* NULL: to be found out */
	uint8_t ca_sha256[DIGEST_SHA256_LEN]; /* what was last judged */
	bool ca_is_starting;		      /* before there are threads */
	atomic_bool ca_has_replaced;	      /* another one, which is still kept */
	char *encryption_handle;
	struct key_stock *keys;
	struct module modules[MODULES_MAX];
	size_t n_modules;
	pthread_mutex_t asker_lock; /* for asking which program a process runs (common/executable.h) */
	int asker_fd;
	char *programs; /* NULL: asker_fd is what there is; else where to connect to */
	struct local_service *service;
	struct identity_keeper *keeper;
	atomic_bool has_begun;	  /* others were told by which generation of $edgeHub we go */
	atomic_bool is_ending;	  /* what it waits for elsewhere is given up */
	atomic_bool reprovisions; /* it ends in order to begin with what provisioning says then */
};
struct module *edged_find_module(struct edged *edged, const char *id); /* with or without its "$" */
/* Is the process at the other end that module's?  0, or -1 with DENIED "forbidden"; why is in the log. */
int edged_judge_caller(struct edged *edged, const struct module *module, const struct endpoint_call *call, struct err *err);

/* What a socket is bound to: a module, or none, where the path says which one speaks. */
struct edged_door {
	struct edged *edged;
	struct module *module;
};

extern const struct endpoint_table workload_endpoints;
extern const struct endpoint_table management_endpoints;
json_t *edged_modules_json(const struct edged *edged); /* ModuleDetails (edge-services 3) */

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
bool edge_ca_is_ready(struct edged *edged); /* else who wants a certificate may have to wait for the CA's own issuer */
int edge_ca_issue(struct edged *edged, const struct leaf_request *request, struct buf *chain_pem, struct err *err);
