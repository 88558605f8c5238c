/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Connection strings (hub 4.1): "HostName=...;DeviceId=...;SharedAccessKey=...", names in any case, in any order, none twice,
 * and at most one kind of credential: a key, x509=true, or a ready token. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

struct connstr {
	char *host, *device_id, *module_id, *policy, *gateway_host; /* NULL when absent; policy is SharedAccessKeyName */
	char *sas_token; /* SharedAccessSignature, whole: "SharedAccessSignature sr=..." */
	bool x509;
	bool has_key;
	struct secret key; /* decoded */
};

struct connstr *connstr_parse(const char *text, struct err *err);
void connstr_free(struct connstr *connstr);
OWN_DEFINE(connstr);
void connstr_format(struct buf *out, const struct connstr *connstr);
