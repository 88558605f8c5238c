/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The shared access policies of a running hub: decisions take them by reference, changes are made by the registry's worker, durable before they count, and counted for the next
 * request.  One policy with all rights at the hub, or at provisioning, always stays: nobody locks himself out. */

#include <jansson.h>

#include "hub/registry/policy.h"
#include "hub/registry/registry.h"

#define POLICY_NAME_MAX 64
#define POLICY_OWNER (AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE | AUTH_SERVICE_CONNECT | AUTH_DEVICE_CONNECT)

/* Rights at the provisioning service: apart from those at the hub, so that no policy of one opens the other. */
enum provisioning_right {
	PROVISIONING_ENROLLMENT_READ = 1 << 8,
	PROVISIONING_ENROLLMENT_WRITE = 1 << 9,
	PROVISIONING_REGISTRATION_READ = 1 << 10,
	PROVISIONING_REGISTRATION_WRITE = 1 << 11,
};
#define PROVISIONING_ALL                                                                                                           \
	(PROVISIONING_ENROLLMENT_READ | PROVISIONING_ENROLLMENT_WRITE | PROVISIONING_REGISTRATION_READ |                           \
		PROVISIONING_REGISTRATION_WRITE)

struct policy_keeper;
struct policy_keeper *policy_keeper_open(struct registry *registry, struct err *err);
void policy_keeper_close(struct policy_keeper *keeper);
struct policies *policy_keeper_current(struct policy_keeper *keeper); /* any thread; the caller owns a reference */

bool policy_name_is_valid(const char *name); /* [A-Za-z0-9!._-]{1,64} */
/* "RegistryRead, RegistryWrite": the rights by their names; 0: not readable. */
unsigned policy_rights_parse(const char *text);
char *policy_rights_text(unsigned rights);
bool policy_is_of(const struct auth_service_policy *policy, unsigned of);
json_t *policy_to_json(const struct auth_service_policy *policy); /* with its keys */

enum policy_op { POLICY_PUT, POLICY_RENEW, POLICY_REMOVE };
enum policy_renewal { POLICY_PRIMARY, POLICY_SECONDARY, POLICY_BOTH, POLICY_SWAP };
bool policy_renewal_parse(enum policy_renewal *out, const char *word); /* "primary", ... */
enum policy_answer { POLICY_OK, POLICY_MISSING, POLICY_EXISTS, POLICY_TOO_MANY, POLICY_LAST_OWNER, POLICY_FOREIGN, POLICY_FAILED };
struct policy_call {
	enum policy_op op;
	unsigned
		of; /* all rights of the service that is asked, POLICY_OWNER or PROVISIONING_ALL: the other one's policies are FOREIGN */
	char *name;	  /* owned */
	unsigned rights;  /* PUT */
	bool may_replace; /* PUT: what is there keeps its keys */
	enum policy_renewal renewal;
	enum policy_answer answer;
	struct err err;
	void (*done)(struct policy_call *call);
	struct policy_keeper *keeper;
	struct job job;
};
bool policy_keeper_submit(struct policy_keeper *keeper, struct policy_call *call, struct owner *owner); /* false: too much waits */
void policy_keeper_run(struct policy_keeper *keeper, struct policy_call *call); /* at once: for the worker and for tests */
