/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of profiles, in one table. */
#include "ca/ca_profile.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define DAY_S INT64_C(86400)
#define EC_KEYS (CA_KEY(KEY_EC_P256) | CA_KEY(KEY_EC_P384))
#define RSA_KEYS (CA_KEY(KEY_RSA_2048) | CA_KEY(KEY_RSA_3072) | CA_KEY(KEY_RSA_4096))

struct kind_row {
	const char *name;
	enum issue_kind issues;
	int64_t days;
	unsigned keys;
	bool has_names;
};
static const struct kind_row kinds[] = {
	[CA_DEVICE] = { "device", ISSUE_DEVICE, 30, EC_KEYS, false },
	[CA_SERVER] = { "server", ISSUE_SERVER, 90, EC_KEYS | RSA_KEYS, true },
	[CA_EDGE_CA] = { "edge-ca", ISSUE_EDGE_CA, 365, EC_KEYS | RSA_KEYS, false },
	[CA_BOOTSTRAP] = { "bootstrap", ISSUE_DEVICE, 365, EC_KEYS | RSA_KEYS, false },
};

struct ca_profile
ca_profile_of(const char *name, enum ca_kind kind)
{
	struct ca_profile p = { .kind = kind, .lifetime_s = kinds[kind].days * DAY_S, .path_len = 0, .keys = kinds[kind].keys };

	snprintf(p.name, sizeof(p.name), "%s", name);
	return p;
}

const char *
ca_kind_name(enum ca_kind kind)
{
	return kinds[kind].name;
}

enum issue_kind
ca_kind_issues(enum ca_kind kind)
{
	return kinds[kind].issues;
}

bool
ca_kind_has_names(enum ca_kind kind)
{
	return kinds[kind].has_names;
}

bool
ca_profile_name_is_valid(const char *name)
{
	static const char may[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
	size_t len = strlen(name);

	return len > 0 && len <= CA_PROFILE_NAME_MAX && strspn(name, may) == len;
}

int
ca_profile_parse_credential(struct ca_profile *out, const char *text, struct err *err)
{
	char name[CA_PROFILE_NAME_MAX + 1];
	const char *at = strchr(text, '=');
	int64_t days;

	snprintf(name, sizeof(name), "%.*s", at ? (int)(at - text) : 0, text);
	if (!at || at - text > CA_PROFILE_NAME_MAX || !ca_profile_name_is_valid(name))
		return err_set(err, ERR_INVALID, "'%.80s' is not NAME=DAYS, with a name of letters, digits and -._", text);
	if (!text_to_i64(at + 1, CA_CREDENTIAL_DAYS_MIN, CA_CREDENTIAL_DAYS_MAX, &days))
		return err_set(err, ERR_INVALID, "'%.80s': a credential policy gives %d to %d days", text, CA_CREDENTIAL_DAYS_MIN,
			CA_CREDENTIAL_DAYS_MAX);
	*out = ca_profile_of(name, CA_DEVICE);
	out->lifetime_s = days * DAY_S;
	return 0;
}
