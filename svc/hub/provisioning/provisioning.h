/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The provisioning service inside the hub: devices register over HTTPS and MQTT (hub 6), services enroll them (hub 7).  Requests are read on the loop of their
 * connection, judged and carried out on the registry's worker, one after the other: of two registrations at once one is the first. */

#include "auth/decide.h"
#include "hub/registry/policy_keeper.h"
#include "hub/registry/registry.h"
#include "net/http_server.h"
#include "net/loop.h"

/* Rights of policies at the provisioning service: apart from those at the hub, so that no policy of one opens the other. */
enum provisioning_right {
	PROVISIONING_ENROLLMENT_READ = 1 << 8,
	PROVISIONING_ENROLLMENT_WRITE = 1 << 9,
	PROVISIONING_REGISTRATION_READ = 1 << 10,
	PROVISIONING_REGISTRATION_WRITE = 1 << 11,
};
#define PROVISIONING_OWNER "provisioningserviceowner"
#define PROVISIONING_SCOPE_MAX 64

bool provisioning_scope_is_valid(const char *scope); /* letters and digits */

struct provisioning;
struct provisioning_config {
	const char *hostname; /* of this service: the audience of tokens; borrowed */
	const char *hub;      /* the host name of the hub that devices are assigned to; borrowed */
	const char *id_scope; /* NULL: the one that was made at the first start */
	struct registry *registry;
	struct policy_keeper *policies;
	struct loop *loop;	  /* lives longer than the worker */
	struct owner *owner;	  /* of that loop */
	const char *hubs_ca_path; /* the roots that linked hubs and web hooks are trusted by; NULL: there are none */
};
/* Makes the owner's policy where there is none: before the policies are loaded. */
int provisioning_prepare(struct registry_store *store, struct err *err);
/* Makes the id scope where there is none.  Before the registry is shared. */
struct provisioning *provisioning_open(const struct provisioning_config *config, struct err *err);
void provisioning_stop(struct provisioning *provisioning);  /* when the worker is no more */
void provisioning_close(struct provisioning *provisioning); /* the worker must be idle */
const char *provisioning_id_scope(const struct provisioning *provisioning);
void provisioning_handle(struct http_request *req, void *provisioning); /* for http_server_config.handle */
