/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A profile: what a CA gives under one name.  Everything that stands in a certificate follows from it and from who asks; a CSR gives its key and says which of its
 * names it would like. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pki/issue.h"

enum ca_kind { CA_DEVICE, CA_SERVER, CA_EDGE_CA, CA_BOOTSTRAP };
#define CA_KEY(alg) (1u << (alg))
#define CA_PROFILE_NAME_MAX 64

struct ca_profile {
	char name[CA_PROFILE_NAME_MAX + 1];
	enum ca_kind kind;
	int64_t lifetime_s;		/* never beyond the end of the CA */
	int path_len;			/* of CAs */
	unsigned keys;			/* CA_KEY bits */
	const char *crl_url, *ocsp_url; /* that stand in what is issued; NULL: none; borrowed */
};

/* The kind's own lifetime, path length and keys, to be changed at will. */
struct ca_profile ca_profile_of(const char *name, enum ca_kind kind);
const char *ca_kind_name(enum ca_kind kind);
enum issue_kind ca_kind_issues(enum ca_kind kind);
bool ca_kind_has_names(enum ca_kind kind); /* SAN: a server's; a device is known by its CN */

bool ca_profile_name_is_valid(const char *name); /* [A-Za-z0-9-._]{1,64} */
/* "NAME=DAYS": a credential policy of provisioning (hub 6.6), for devices, 7 to 90 days. */
#define CA_CREDENTIAL_DAYS_MIN 7
#define CA_CREDENTIAL_DAYS_MAX 90
int ca_profile_parse_credential(struct ca_profile *out, const char *text, struct err *err);
