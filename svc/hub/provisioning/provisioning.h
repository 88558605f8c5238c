/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The provisioning service, inside the hub or alone: devices register over HTTPS and MQTT (hub 6), services enroll them (hub 7).  Requests are read on the loop of their
 * connection, judged and carried out on the registry's worker, one after the other: of two registrations at once one is the first. */

#include "auth/decide.h"
#include "hub/provisioning/issuing.h"
#include "hub/registry/policy_keeper.h"
#include "hub/registry/registry.h"
#include "hub/registry/rotation_keeper.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "pki/revocations.h"

#define PROVISIONING_OWNER "provisioningserviceowner"
#define PROVISIONING_SCOPE_MAX 64

bool provisioning_scope_is_valid(const char *scope); /* letters and digits */

struct provisioning;
struct provisioning_config {
	const char *hostname; /* of this service: the audience of tokens; borrowed */
	const char *hub;      /* the host name of our hub, which devices may be assigned to; NULL: we are alone; borrowed */
	const char *id_scope; /* NULL: the one that was made at the first start */
	struct registry *registry;
	struct policy_keeper *policies;
	struct loop *loop;	       /* lives longer than the worker */
	struct owner *owner;	       /* of that loop */
	const char *hubs_ca_path;      /* the roots that linked hubs and web hooks are trusted by; NULL: there are none */
	const struct issuing *issuing; /* NULL: no certificates are issued */
	struct rotation_keeper *rotations;
	/* What is revoked; the caller of it owns a reference.  NULL: nothing is known of that. */
	struct revocations *(*revoked)(void *arg);
	void *revoked_arg;
};
/* Makes the owner's policy where there is none: before the policies are loaded.  alone: there are none of a hub. */
int provisioning_prepare(struct registry_store *store, bool alone, struct err *err);
/* Makes the id scope where there is none.  Before the registry is shared. */
struct provisioning *provisioning_open(const struct provisioning_config *config, struct err *err);
void provisioning_stop(struct provisioning *provisioning);  /* when the worker is no more */
void provisioning_close(struct provisioning *provisioning); /* the worker must be idle */
const char *provisioning_id_scope(const struct provisioning *provisioning);
void provisioning_handle(struct http_request *req, void *provisioning); /* for http_server_config.handle */
