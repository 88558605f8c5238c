/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Provisioning without a hub: the service that the hub has beside itself, with a state folder and policies of its own.  It keeps enrollments and registrations, but no devices: those
 * are made in linked hubs. */

#include <stddef.h>

#include "base/err.h"
#include "hub/provisioning/issuing.h"
#include "net/server_identity.h"

struct provisioning_alone_config {
	const char *state_dir, *hostname, *address;
	int https_port, mqtt_port; /* 0: a free one */
	int http_port;		   /* without TLS, for revocation alone; -1: none, 0: a free one */
	struct server_identity_paths certs;
	const char *hubs_ca_path; /* the roots that linked hubs are trusted by */
	const char *id_scope;	  /* NULL: made at the first start */
	bool issues;		  /* certificates, by its own CA */
	struct key_source_config keys;
	struct issuing_config issuing; /* of that: which CA, and the policies */
	const char *const *crl_paths;  /* of lists, NULL-terminated; none: NULL */
	const char *crl_ca_path;       /* the CAs that signed them; NULL: none */
	size_t n_loops;		       /* 0: one a core */
	size_t max_connections;
};

struct provisioning_alone;
struct provisioning_alone *provisioning_alone_open(const struct provisioning_alone_config *config, struct err *err); /* listens */
int provisioning_alone_https_port(const struct provisioning_alone *alone);
int provisioning_alone_http_port(const struct provisioning_alone *alone); /* 0: there is none */
int provisioning_alone_mqtt_port(const struct provisioning_alone *alone);
const char *provisioning_alone_id_scope(const struct provisioning_alone *alone);
/* On this thread, until SIGTERM or SIGINT; SIGHUP loads the certificate again. */
int provisioning_alone_run(struct provisioning_alone *alone, struct err *err);
void provisioning_alone_close(struct provisioning_alone *alone);
