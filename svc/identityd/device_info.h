/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who this device is: its hub and its id there.  What provisioning said is kept in a file for starts without a network, together with what it was asked: another endpoint, scope,
 * registration or credential in the configuration makes what was kept somebody else's, and it is not used. */

#include <stdatomic.h>

#include "base/err.h"
#include "base/own.h"
#include "identityd/provisioning_source.h"

/* Immutable and shared: a request goes on with the one that it began with. */
struct device_info {
	char *hub_name, *gateway_host, *device_id;
	atomic_int n_refs;
};

struct device_info *device_info_new(const char *hub_name, const char *gateway_host, const char *device_id);
struct device_info *device_info_ref(struct device_info *info);
void device_info_free(struct device_info *info);
OWN_DEFINE(device_info);
bool device_info_is_same(const struct device_info *a, const struct device_info *b);

bool device_info_is_hub_name(const char *text); /* a name or address, perhaps with a port */

/* What was asked. */
struct device_question {
	const char *endpoint, *scope_id, *registration_id, *proof;
	const char *credential; /* a digest */
};

/* -- The file, pure ------------------------------------------------------------------------------------------------------------------ */

/* again: it is good for times without a network only, and provisioning is to be asked at the next start. */
json_t *device_info_to_json(const struct device_info *info, const struct device_question *question, bool again);
/* NULL: ERR_INVALID (damaged), or ERR_CONFLICT (an answer to another question; the sentence says what differs). */
struct device_info *device_info_from_json(const json_t *json, const struct device_question *question, bool *again, struct err *err);

/* -- On disk ------------------------------------------------------------------------------------------------------------------------- */

struct device_info *device_info_load(const char *dir, const struct device_question *question, bool *again, struct err *err);
int device_info_save(
	const char *dir, const struct device_info *info, const struct device_question *question, bool again, struct err *err);
