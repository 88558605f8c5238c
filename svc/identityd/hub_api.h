/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub's registry as an edge device uses it for its own modules (edge-services 7.2), authenticated by the device's certificate or key, both through keyd.  Every call judges the hub's
 * certificate; the verdict is logged when it changes. */

#include <pthread.h>

#include <jansson.h>

#include "identityd/device_certificate.h"
#include "keyd/client.h"
#include "pki/chain.h"

struct hub_api {
	char *hub_name, *gateway_host, *address, *device_id, *certd_socket;
	int port;
	bool by_certificate;
	bool makes_certificate;		  /* by_certificate, and it is issued: */
	struct device_certificate device; /* ensured before use */
	struct keyd_client *keyd;
	struct anchors *anchors;
	pthread_mutex_t lock;
	int last_cause; /* of the verdict about the hub; -1: none yet */
};

void hub_api_clear(struct hub_api *api);
/* ERR_UNAVAILABLE: the hub is out of reach, the caller may use what it kept. */
json_t *hub_api_get_module(struct hub_api *api, const char *module_id, struct err *err);
json_t *hub_api_list_modules(struct hub_api *api, struct err *err);
/* if_match: NULL creates, "*" overwrites. */
json_t *hub_api_put_module(struct hub_api *api, const char *module_id, const json_t *module, const char *if_match, struct err *err);
int hub_api_delete_module(struct hub_api *api, const char *module_id, struct err *err);
