/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The MQTT user name of a device or module (hub 1.2): "HUB/DEVICE[/MODULE]/?api-version=...&...", with or without the "?" and
 * the query.  Ids are taken literally: "%" is a character of ids. */

#include "base/err.h"
#include "base/own.h"
#include "base/rd.h"

struct username {
	char *host, *device_id, *module_id;			 /* module_id NULL: a device */
	char *api_version, *model_id, *client_type, *auth_chain; /* decoded; NULL when absent */
};

struct username *username_parse(struct slice text, struct err *err);
void username_free(struct username *username);
OWN_DEFINE(username);
