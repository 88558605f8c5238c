/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An EST server (RFC 7030, RFC 8951) as a handler of HTTP requests: /.well-known/est[/LABEL]/OPERATION.  Whoever mounts it has the listener, whose TLS asks clients for their
 * certificates.
 *
 * Requests are judged, and certificates signed, on workers; what they made is put into the journal by one writer, all that waits in one transaction, and only then
 * answered. */

#include "base/err.h"
#include "ca/ca_profile.h"
#include "net/http_server.h"
#include "pki/revocations.h"

/* For whoever mounts the service and has to do with a certificate before it is given out.  It was written down; when take fails it is not given out, and the same request finds it
 * again, and take once more: so take may be told of one that it has had. */
struct est_given {
	enum ca_kind kind;
	const struct cert *cert;
	bool may_be_first; /* the label's first_thumbprint */
};
struct est_recipient {
	void *arg;
	bool (*work)(void *arg, struct job *job); /* on a worker that may block; false: too much waits already */
	int (*take)(void *arg, const struct est_given *given, struct err *err); /* there */
};

struct est_service_config {
	const char *state_dir;		/* has the journal and est.db; the caller holds its lock */
	const char *config_path;	/* est_config.h */
	struct key_source *keys;	/* where issuers have their keys from; borrowed; NULL: files */
	struct loop *loop;		/* whose clock looks after revocation */
	size_t n_workers;		/* that judge and sign; 0: one a core */
	struct est_recipient recipient; /* work is NULL: there is none */
};

#define EST_SERVICE_BODY_MAX (64 * 1024) /* for http_server_config.max_body */

struct est_service;
struct est_service *est_service_open(const struct est_service_config *config, struct err *err);
bool est_service_wants(const struct http_request *req);			/* is its path one of EST's, or of est_status.h's? */
void est_service_handle(struct http_request *req, void *service);	/* for http_server_config.handle, without a pool */
void est_service_handle_plain(struct http_request *req, void *service); /* the same without TLS: est_status.h's alone */
/* The configuration once more, from its file.  On failure the one that was in use stays. */
int est_service_reload(struct est_service *service, struct err *err);
struct revocations *est_service_revocations(
	struct est_service *service); /* of its issuers, as they are now; the caller owns a reference */
/* The folders in which the roots of its issuers roll over, as it is configured now; one of several issuers more than once. */
#define EST_TRUST_DIRS_MAX 16
void est_service_each_trust_dir(struct est_service *service, void (*each)(void *arg, const char *dir), void *arg);
void est_service_start(struct est_service *service); /* on the thread of its loop, or before it runs */
void est_service_stop(struct est_service *service);  /* waits for the workers; before the loops are freed */
void est_service_close(struct est_service *service); /* after they were */
