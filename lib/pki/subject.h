/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A subject that somebody has written down: { CN = "...", L = "..." } by OpenSSL's short names (edge-services 4.3). */

#include <stddef.h>

#include <jansson.h>
#include <openssl/x509.h>

#include "base/err.h"

#define SUBJECT_PARTS_MAX 16

struct subject_part {
	const char *key, *value;
};

/* Its attributes stand in the alphabetical order of their keys, whatever the order they come in; a CN is cut to its first 64 characters.  The caller frees it (X509_NAME_free). */
X509_NAME *subject_new(const struct subject_part *parts, size_t n, struct err *err);
/* {"CN": "...", "L": "..."} */
X509_NAME *subject_from_json(const json_t *table, struct err *err);
