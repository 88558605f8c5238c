/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* config.toml of an edge device, turned into what the roles need.  What is where: the keys are params.tbl.h, files and environment config_source.h, single values config_read.h, each table
 * a file of its own (config_tables.h), and what can only be seen by looking at the files that it names config_check.h. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "edge/config_findings.h"
#include "edge/config_issuance.h"
#include "edge/config_keys.h"

#define CONFIG_NAMES_MAX 31
#define CONFIG_OFFLINE_MAX 32
#define CONFIG_MODULES_MAX 32
#define CONFIG_PRINCIPALS_MAX 32
#define CONFIG_SERVER_CERTS_MAX 16
#define CONFIG_SERVER_KEY_ID "edgehub-server" /* of the one that the Edge CA issues; of another this, and -NAME behind it */
#define CONFIG_ROLE_UIDS 5		      /* from first_uid on */

struct config_module {
	char *id;
	bool has_uid, has_gid; /* who it is: all that is said of it */
	uid_t uid;
	gid_t gid;
	char *executable, *unit, *cgroup;
	char *key; /* "ec-p256": made for it */
	char *names[CONFIG_NAMES_MAX];
	size_t n_names;
};

struct config_server_cert {
	char *name, *key_id;
	char *cert, *pk; /* a path; where the key lies */
};

struct config {
	char *hostname, *parent_hostname;
	char *trust_bundle;  /* a path, or NULL */
	char *trust_source;  /* the EST server whose CA's roots they follow; NULL: they don't */
	bool trust_is_named; /* [trust] says it, else it is the server that certificates come from */
	int64_t trust_interval_s;
	char *reprovisioning, *additional_info; /* auto_reprovisioning_mode; a path */
	int64_t cloud_timeout_s, cloud_retries;
	bool prefer_module_cache;
	char *localid_domain;
	/* Who this device is. */
	char *source;							       /* "manual", "dps", "none" */
	char *hub_name, *device_id;					       /* manual */
	char *dps_endpoint, *dps_id_scope, *dps_registration_id, *dps_payload; /* dps; a path */
	char *auth_method;						       /* "sas", "x509", "symmetric_key", "tpm" */
	bool by_certificate;
	bool identity_is_issued;
	json_t *identity_subject; /* NULL: CN=its id alone */
	json_t *identity_renewal; /* of one that is issued */
	char *identity_cert;	  /* a path, or NULL */
	char *identity_pk;	  /* where a key lies, as all that end in pk: a path or a PKCS #11 URI */
	char *device_key_path;	  /* the same, or: */
	struct secret device_key;
	/* Who signs module certificates. */
	char *ca_form; /* "quickstart", "preloaded", "issued" (ca_method: by local_ca or est) */
	char *ca_cert, *ca_pk, *ca_method, *ca_common_name;
	json_t *ca_subject; /* NULL: CN=ca_common_name alone */
	json_t *ca_renewal; /* NULL: preloaded, never renewed */
	struct config_issuance issuance;
	/* Keys and certificates, and who may use them. */
	struct config_keys keys;
	json_t *preloaded_keys, *preloaded_certs; /* id to path or list */
	json_t *principals;			  /* [{name, uid, keys, certs, idtype?}] */
	int64_t max_keyd, max_certd, max_identityd, max_tpmd, max_workload, max_management;
	int64_t first_uid;
	struct config_module modules[CONFIG_MODULES_MAX];
	size_t n_modules;
	/* The gateway. */
	bool has_gateway;
	char *gateway_address, *gateway_metrics_address, *gateway_crl_dir, *gateway_routes, *gateway_routes_dir, *when_full;
	int64_t gateway_mqtt_port, gateway_https_port, gateway_metrics_port, audit_mib, max_clients, accepts_per_second,
		connects_per_second, max_queue_mib;
	bool https_port_is_given; /* else the gateway does without 443 where it can't have it */
	char *names[CONFIG_NAMES_MAX];
	size_t n_names;
	struct config_server_cert server_certs[CONFIG_SERVER_CERTS_MAX];
	size_t n_server_certs;
	bool leave_expired;
	int64_t max_session_age_s;	   /* 0: none */
	char *offline[CONFIG_OFFLINE_MAX]; /* "WHAT=TIME" */
	size_t n_offline;
	char *upstream_address;
	int64_t upstream_mqtt_port, upstream_https_port;
};

/* From all its sources (config_source.h); the first mistake is the failure. */
struct config *config_load(const char *path, struct err *err);
/* All mistakes are told; NULL when one of them is an error. */
struct config *config_load_telling(const char *path, struct findings *findings);
struct config *config_from_toml(const struct toml *root, struct findings *findings);
void config_free(struct config *config);
OWN_DEFINE(config);
