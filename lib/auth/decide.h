/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Let this peer in?  A pure function of the claimed identity, the evidence shown, the record, and the time: the hub and the
 * gateway, online and offline, all decide here.  No I/O, no clock. */

#include "auth/authority.h"
#include "auth/identity.h"
#include "diag/verdict.h"
#include "pki/cert.h"
#include "pki/chain.h"
#include "pki/revocations.h"
#include "wire/sas.h"

struct auth_claim {
	struct sas_audience audience;	   /* of tokens: the hub's name, at a gateway its own names too */
	const char *device_id, *module_id; /* who the peer says it is */
	const char *auth_chain;		   /* "target;...;actor" of a gateway that speaks for it, or NULL */
};

struct auth_evidence {
	const struct certs *chain; /* what the peer proved possession of by the handshake; n == 0: nothing */
	const char *token;	   /* password or Authorization header; NULL or "" : none */
	bool resumed;		   /* the session was resumed: the chain holds the leaf only */
};

struct auth_records {
	/* Of the claimed identity; NULL: unknown.  A module of a disabled device is given as disabled. */
	const struct identity *target;
	/* At a gateway, of a module's device: its key and its audience count for the module, too (gateway 2.2); NULL: only the module's own do. */
	const struct identity *device;
	bool is_elsewhere;		     /* without a target: the hub knows it, but not below the gateway that decides */
	bool may_be_known;		     /* without a target: the hub may know it, and can't be asked now */
	const struct identity *actor;	     /* with auth_chain: the record of DEVICE/$edgeHub of its last element */
	const struct identity *actor_device; /* and of that gateway itself */
	const struct identity *const *path;  /* and of the devices between, as the chain names them */
	size_t n_path;
	struct authorities *device_cas;	   /* registered CAs for CA-signed devices; NULL: none */
	const struct revocations *revoked; /* NULL: nothing */
	const struct authority **vouched;  /* where to tell which of them let the target in; may be NULL */
	const struct identity **signer;	   /* where to tell whose key a token was signed with; may be NULL */
};

struct auth_policy {
	bool refuse_sha1_thumbprints;
	int64_t max_token_life_s; /* 0: no limit */
};

/* Always a verdict; `who` decides ("hub", "gateway"). */
struct verdict *auth_decide(const char *who, const struct auth_claim *claim, const struct auth_evidence *evidence,
	const struct auth_records *records, const struct auth_policy *policy, int64_t now);

/* When the peer's token ends, so that its connection can be closed then; 0 when it used none. */
int64_t auth_token_expiry(const char *token);

/* A service's token against a policy's key (hub 4.1, 4.2). */
enum auth_right { AUTH_REGISTRY_READ = 1, AUTH_REGISTRY_WRITE = 2, AUTH_SERVICE_CONNECT = 4, AUTH_DEVICE_CONNECT = 8 };
struct auth_service_policy {
	const char *name;
	unsigned rights;
	const struct secret *keys[2];
};
struct verdict *auth_decide_service(const char *hub_host, const char *resource, const char *token,
	const struct auth_service_policy *policies, size_t n_policies, unsigned needed, int64_t now);
