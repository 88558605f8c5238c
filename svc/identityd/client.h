/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* identityd as its callers see it (edge-services 1.3).  Calls block: use them on a worker.  A device that is not provisioned yet, and a hub that is away or says no, are ERR_MISSING with
 * identityd's sentence. */

#include <stdatomic.h>
#include <stdbool.h>

#include <jansson.h>

#include "base/err.h"
#include "base/own.h"

struct identityd_client {
	const char *socket_path;
	const atomic_bool *cancelled; /* becomes true when no answer is needed any more; may be NULL */
};

struct edge_identity {
	char *hub_name, *gateway_host, *device_id, *module_id, *generation_id;
	char *auth_type; /* "sas", "x509", "tpm" */
	char *key_handle, *cert_id;
};
void edge_identity_free(struct edge_identity *identity);
OWN_DEFINE(edge_identity);

struct edge_identity *identityd_client_device(const struct identityd_client *client, struct err *err);
/* Was it the hub's answer that failed, and not the device's provisioning or its keys?  After asking for a module that was kept: the hub was there, and it was no. */
bool identityd_client_is_word_of_hub(const struct err *err);
int identityd_client_reprovision(const struct identityd_client *client, struct err *err); /* blocks while provisioning answers */
json_t *identityd_client_provisioning(const struct identityd_client *client, struct err *err); /* {"source", "auth", ...} */

struct edge_identity *identityd_client_get_module(const struct identityd_client *client, const char *module_id, struct err *err);
/* As it was kept for when the hub is away. */
struct edge_identity *identityd_client_kept_module(const struct identityd_client *client, const char *module_id, struct err *err);
struct edge_identity *identityd_client_create_module(const struct identityd_client *client, const char *module_id, struct err *err);
struct edge_identity *identityd_client_update_module(const struct identityd_client *client, const char *module_id, struct err *err);
int identityd_client_delete_module(const struct identityd_client *client, const char *module_id, struct err *err);
json_t *identityd_client_list_modules(const struct identityd_client *client, struct err *err); /* an array of {"spec": {...}} */
