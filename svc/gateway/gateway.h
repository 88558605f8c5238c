/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The assembled gateway: what lets downstream devices in, keeps what they send, and passes it on. */

#include <stdint.h>

#include "gateway/queue/queue.h"
#include "gateway/scope/offline_policy.h"
#include "gateway/tenure.h"
#include "gateway/upstream/upstream.h"

struct gateway_config {
	const char *state_dir;
	const char *hostname;		 /* in the server certificate */
	const char *names_file;		 /* of what else is in it (server_names.h); NULL: nothing */
	const char *const *server_certs; /* further ones: "KEY-ID=PATH" each (further_cert.h) */
	size_t n_server_certs;
	const char *address;
	int mqtt_port, https_port; /* 0: a free one */
	bool https_is_optional;	   /* where that port can't be had it goes on without it */
	const char *keyd_path;
	const char *metrics_address;
	int metrics_port;    /* -1: none; 0: a free one */
	const char *crl_dir; /* of revocation lists; NULL: there are none */
	struct offline_policy offline;
	struct tenure_policy tenure;
	struct upstream_config upstream;
	uint64_t max_queue_bytes;
	enum queue_when_full when_full;
	uint64_t max_audit_bytes; /* 0: there is no audit log */
	const char *routes_file;  /* NULL: there is none */
	size_t n_loops;		  /* 0: one a core */
	bool watch_turns;	  /* say at the end how long the loops kept those who waited */
	size_t max_connections;
	size_t max_clients;	     /* devices and modules with a session */
	int64_t accepts_per_second;  /* 0: no limit */
	int64_t connects_per_second; /* of lines to the hub; 0: no limit */
};

struct gateway;
struct gateway *gateway_open(const struct gateway_config *config, struct err *err); /* listens when it returns */
int gateway_mqtt_port(const struct gateway *gateway);
int gateway_https_port(const struct gateway *gateway);	   /* 0: none */
int gateway_metrics_port(const struct gateway *gateway);   /* -1: none */
int gateway_run(struct gateway *gateway, struct err *err); /* on this thread, until SIGTERM or SIGINT */
void gateway_close(struct gateway *gateway);
