/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The assembled hub: registry, events, device and service endpoints on their loops. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/decide.h"
#include "base/err.h"
#include "hub/faults.h"
#include "keys/key_source.h"

#define HUB_SINKS_MAX 2 /* one of each kind */

struct hub_config {
	const char *state_dir, *hostname, *address;
	int mqtt_port, https_port; /* 0: a free one */
	const char *cert_path, *key_path;
	const char *rsa_cert_path, *rsa_key_path; /* NULL: none */
	const char *device_ca_path;		  /* CAs beside the registered ones; NULL: none */
	size_t n_loops;				  /* 0: one a core */
	uint64_t retention_bytes;		  /* of events; 0: keep all */
	int64_t retention_ms;			  /* the same by age */
	unsigned partitions;			  /* of events; 0: as it is, or 4 for a new one */
	const char *sinks[HUB_SINKS_MAX + 1];	  /* of event_sink.h, NULL-terminated */
	const char *sink_ca_path, *sink_connect_to;
	unsigned event_sources;	     /* bits of event_source_parse */
	uint64_t files_quota;	     /* of uploaded files, in bytes; 0: none are taken */
	uint64_t files_device_quota; /* of one device's */
	size_t max_connections;
	bool plain_scopes; /* gateways get what the original's hub gives them, and no more */
	bool watch_turns;  /* say at the end how long the loops kept those who waited */
	struct auth_policy auth;
	int64_t thumbprint_grace_s;	/* how long the old one of a rotation is good after the new one was used */
	const char *const *index_paths; /* of properties that queries look up */
	size_t n_index_paths;
	bool provisioning;			       /* the provisioning service too */
	int provisioning_port, provisioning_mqtt_port; /* its HTTPS and MQTT; 0: a free one */
	const char *provisioning_hubs_ca_path;	       /* the roots that linked hubs are trusted by; NULL: there are none */
	const char *provisioning_hostname, *provisioning_address; /* NULL: as the hub's */
	const char *id_scope;					  /* NULL: made at the first start */
	bool issuing;						  /* certificates by its own CA */
	const char *issuing_ca_path, *issuing_ca_key_path;	  /* NULL: made at the first start */
	const char *issuing_ca_crl_url, *issuing_ca_ocsp_url;	  /* that stand in what it issues; NULL: none */
	int http_port;				/* its lists and OCSP, and those of EST, without TLS; -1: none; 0: a free one */
	struct key_source_config keys;		/* how the keys of CAs are reached */
	const char *const *credential_policies; /* of "NAME=DAYS", NULL-terminated */
	const char *const *crl_paths;		/* of lists, NULL-terminated */
	const char *crl_ca_path;		/* CAs that signed them and are not registered; NULL: none */
	const char *est_config_path;		/* of the EST server inside; NULL: there is none */
	const char *trust_dir;			/* whose roots the registered CAs follow (hub_roots.h); NULL: none */
	const struct faults_config *faults;	/* NULL: none */
};

struct hub;
struct hub *hub_open(const struct hub_config *config, struct err *err); /* listens when it returns */
int hub_mqtt_port(const struct hub *hub);
int hub_https_port(const struct hub *hub);
int hub_http_port(const struct hub *hub);	  /* 0: there is none */
int hub_provisioning_port(const struct hub *hub); /* 0: there is none */
int hub_provisioning_mqtt_port(const struct hub *hub);
const char *hub_id_scope(const struct hub *hub); /* NULL: there is none */
int hub_run(struct hub *hub, struct err *err);	 /* on this thread, until SIGTERM or SIGINT; SIGHUP loads the certificate again */
void hub_close(struct hub *hub);
