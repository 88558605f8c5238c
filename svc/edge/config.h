/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* config.toml of an edge device: read, checked key by key, and turned into what the roles need.  Errors name file, line and key, and the nearest key that exists. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"
#include "edge/config_est.h"
#include "edge/config_keys.h"

#define CONFIG_NAMES_MAX 31
#define CONFIG_MODULES_MAX 32

struct config_module {
	char *id;
	uid_t uid;
	char *names[CONFIG_NAMES_MAX];
	size_t n_names;
};

struct config {
	char *hostname, *hub_name, *device_id;
	char *trust_bundle; /* a path, or NULL */
	bool by_certificate;
	bool identity_by_est;
	char *identity_cert;   /* a path, or NULL: issued by EST */
	char *identity_pk;     /* where a key lies, as all that end in pk: a path or a PKCS #11 URI */
	char *device_key_path; /* the same, or: */
	struct secret device_key;
	char *ca_form; /* "quickstart", "preloaded", "issued" (ca_method: by local_ca or est) */
	char *ca_cert, *ca_pk, *ca_method, *ca_common_name;
	int64_t ca_days;
	char *local_ca_cert, *local_ca_pk;
	json_t *preloaded_keys, *preloaded_certs; /* id to path or list */
	int64_t max_keyd, max_certd, max_identityd, max_workload;
	bool has_gateway;
	char *gateway_address;
	int64_t gateway_mqtt_port, max_queue_mib;
	char *names[CONFIG_NAMES_MAX];
	size_t n_names;
	char *upstream_address;
	int64_t upstream_mqtt_port, upstream_https_port;
	struct config_module modules[CONFIG_MODULES_MAX];
	size_t n_modules;
	int64_t first_uid;
	struct config_keys keys;
	struct config_est est;
};

struct config *config_load(const char *path, struct err *err);
void config_free(struct config *config);
OWN_DEFINE(config);
void config_print_reference(FILE *out); /* docs/config.md */
