/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The registered CAs as they are kept: one certificate object (hub 8) a row of the registry's file. */

#include "auth/authority.h"
#include "hub/registry/registry_store.h"

struct ca_record {
	char *name, *etag;
	char *code; /* the verification code that was asked for last; NULL: none waits for its proof */
	struct cert *cert;
	struct authority_scope scope;
	bool is_verified;
	int64_t created, updated; /* seconds UTC */
};
struct ca_record *ca_record_copy(const struct ca_record *record);
void ca_record_free(struct ca_record *record);
OWN_DEFINE(ca_record);

/* Whose CAs: the hub's, by which devices connect, or those of its provisioning, by which they register.  Neither vouches for anything at the other. */
enum ca_list { CA_OF_HUB, CA_OF_PROVISIONING };

/* By name.  `each` gets a record that is its own. */
typedef void ca_store_each(void *arg, struct ca_record *record_take);
int ca_store_load(struct registry_store *store, enum ca_list list, ca_store_each *each, void *arg, struct err *err);
int ca_store_put(struct registry_store *store, enum ca_list list, const struct ca_record *record, struct err *err);
int ca_store_remove(struct registry_store *store, enum ca_list list, const char *name, struct err *err);
