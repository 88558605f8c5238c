/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How long a record counts after the hub confirmed it last: [offline] of config.toml.  Without rules for ever, as in the original (gateway 3.6).  Pure.
 *
 * What says the most about a device decides: the patterns of device ids (of several that fit, the shortest time), else what kind of record it is, else "all". */

#include "auth/identity.h"

#define OFFLINE_RULES_MAX 32
#define OFFLINE_FOR_EVER INT64_MAX

enum offline_class {
	OFFLINE_ALL,
	OFFLINE_MODULES,
	OFFLINE_SAS,
	OFFLINE_THUMBPRINT,
	OFFLINE_CA,
	OFFLINE_DEVICES,
	OFFLINE_CLASS_COUNT
};
struct offline_rule {
	enum offline_class class;
	const char *pattern; /* of OFFLINE_DEVICES; borrowed */
	int64_t seconds;
};
struct offline_policy {
	struct offline_rule rule[OFFLINE_RULES_MAX];
	size_t n;
};
/* "all=90day", "sas=720min", "modules=...", "thumbprint=...", "ca=...", "devices:PATTERN=7day". */
int offline_policy_add(struct offline_policy *policy, const char *text, struct err *err);
/* Seconds, or OFFLINE_FOR_EVER.  A module goes with what is said of modules, and with the pattern that its device fits. */
int64_t offline_policy_span(const struct offline_policy *policy, const struct identity *identity);
