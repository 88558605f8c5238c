/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub's REST API: what its files share.  Requests are handled on the loop of their connection; what needs the database becomes a registry
 * call and is answered when that is done. */

#include "auth/decide.h"
#include "heads/head.h"
#include "heads/http_head.h"
#include "hub/registry/ca.h"
#include "hub/commands/command_queue.h"
#include "hub/faults.h"
#include "hub/registry/policy_keeper.h"
#include "hub/registry/registry.h"
#include "hub/rest/rest_error.h"
#include "hub/registry/rotation_keeper.h"
#include "hub/hub_revocation.h"
#include "heads/method.h"
#include "hub/registry/policy.h"
#include "hub/registry/registry.h"
#include "hub/rest/rest_error.h"
#include "hub/twins/twin.h"
#include "net/http_server.h"

struct queries;	       /* of queries.h */
struct configurations; /* of configuration.h */
struct jobs;
struct query;
struct scope_journal;

struct rest {
	const char *hostname; /* borrowed, like all of it */
	struct registry *registry;
	struct policy_keeper *policies;
	struct http_head *devices; /* who takes what devices ask for */
	struct directory *directory;
	struct event_readers *readers;
	struct ca_registry *cas;
	struct hub_revocation *revocation;
	struct rotation_keeper *rotations;
	struct scope_journal *scopes; /* NULL: gateways get what the original gives them */
	struct twins *twins;
	struct methods *methods;
	struct command_queue *commands;
	struct anchors *device_cas; /* NULL: none are registered */
	struct auth_policy auth;
	struct faults *faults; /* NULL: none */
	struct files *files;
	struct queries *queries;
	struct configurations *configurations;
	struct jobs *jobs;
	struct refusals *refusals;
};

/* What to give an HTTP server: arg is the struct rest. */
void rest_handle(struct http_request *req, void *arg);

/* One request on its way through the registry. */
#define REST_IDS_MAX 3
struct rest_call {
	struct rest *rest;
	struct http_request *req;
	char *ids[REST_IDS_MAX]; /* of the path, decoded: device and module, or what the route has */
	struct registry_call registry;
	json_t *body; /* what was sent, for who needs it in the answer (rest_bulk.c) */
	/* Scope requests (rest_scope.c). */
	struct identity *target; /* the gateway whose scope is listed */
	json_t *modules;	 /* its modules, on the first page */
	char *after;		 /* NULL: the first page */
	char *etag;		 /* of the list; NULL: there are none */
	int64_t max;
	bool is_nested;
	void (*answer)(struct rest_call *call);
};
struct rest_call *rest_call_new(struct rest *rest, struct http_request *req, const char *const *ids);
void rest_call_free(struct rest_call *call);
/* Run call->registry; then `answer`, which responds and frees the call. */
void rest_call_submit(struct rest_call *call, void (*answer)(struct rest_call *call));

/* Shared by devices and modules (rest_identity.c). */
void rest_identity_get(struct rest *rest, struct http_request *req, const char *device_id, const char *module_id);
void rest_identity_put(struct rest *rest, struct http_request *req, const char *const *ids, bool is_module);
void rest_identity_put_json(struct rest *rest, struct http_request *req, const char *const *ids, bool is_module,
	json_t *body); /* completes the body: ids aren't parts of it */
void rest_identity_delete(struct rest *rest, struct http_request *req, const char *const *ids, bool is_module);
void rest_identity_answer_list(struct rest_call *call); /* with what was found */
void rest_identity_fail(struct rest_call *call);	/* by call->registry.answer */
json_t *rest_identity_json(struct rest *rest, const struct identity *identity);
json_t *rest_identities_json(struct rest *rest, struct identity *const *list, size_t n);
void rest_modules_list(struct rest *rest, struct http_request *req, const char *const *ids); /* of a device (rest_module.c) */
char *rest_if_match(const struct http_request *req); /* the etag or "*" without quotes; NULL: not given; the caller owns it */

/* What gateways ask (rest_scope.c): is the caller the $edgeHub of the path; and the device at the head of a chain "target;...;actor", whose last element must be the
 * caller, owned by the caller.  false, NULL: answered. */
bool rest_check_edge_hub(struct http_request *req, const char *const *ids);
char *rest_chain_head(struct http_request *req, const char *chain, const char *actor);

/* A method on its way, or false: answered; and the answer when it was not carried out (rest_method.c). */
bool rest_method_submit(struct rest *rest, struct http_request *req, struct method_call *method);
void rest_method_fail(struct http_request *req, const struct method_call *method);
/* What went wrong with a twin: which error it is, and its sentence (rest_twin.c). */
enum rest_error rest_twin_error(enum twin_answer answer);
const char *rest_twin_sentence(const struct twin_call *call);
enum rest_error rest_identity_error(const struct registry_call *call, char text[REST_ERROR_TEXT_MAX]);
json_t *rest_body(struct http_request *req);	   /* an object; NULL: answered with what is wrong */
json_t *rest_body_array(struct http_request *req); /* the same for an array */

/* x-ms-max-item-count; false: answered. */
bool rest_page_size(struct http_request *req, int64_t *max);
int rest_method_check(const json_t *parameters, struct err *err); /* are they those of a method call? */
/* The rows of FROM devices.jobs (rest_job.c); takes the query. */
void rest_job_devices(struct rest *rest, struct http_request *req, struct query *query_take, int64_t max);

/* Who is calling (rest_caller.c).  false: answered with 401. */
enum rest_who {
	REST_SERVICE,		/* a policy with the right */
	REST_SERVICE_OURS,	/* the same, for what is no operation of the original: no api-version is needed */
	REST_SERVICE_OR_DEVICE, /* or the device of the path itself */
	REST_SERVICE_OR_MODULE, /* or a module named in x-ms-edge-moduleId, whose device is that of the path or above it; it need not give an api-version */
	REST_GATEWAY, /* the module of the path, by its own token */
};
#define REST_OWNER POLICY_OWNER /* all rights: iothubowner */
bool rest_caller_is_module(const struct http_request *req, enum rest_who who);
/* Would a service with this token still be let in?  For answers that last, like a stream. */
bool rest_token_stands(struct rest *rest, const char *resource, const char *token, unsigned right);
bool rest_caller_may(struct rest *rest, struct http_request *req, enum rest_who who, unsigned right, const char *const *ids);

/* What is served at a path, "*" standing for an id: a handler is called when the path fits and the caller may do it.  Each file of handlers has a
 * table, which ends with a row without a method. */
/* ids: REST_IDS_MAX of them, NULL where the path has no more. */
typedef void rest_handler(struct rest *rest, struct http_request *req, const char *const *ids);
struct rest_route {
	const char *method, *path;
	enum rest_who who;
	unsigned right;
	rest_handler *handle;
};
extern const struct rest_route rest_bulk_routes[], rest_device_routes[], rest_module_routes[], rest_statistics_routes[],
	rest_scope_routes[], rest_event_routes[], rest_ca_routes[], rest_policy_routes[], rest_thumbprint_routes[],
	rest_twin_routes[], rest_method_routes[], rest_file_routes[], rest_query_routes[], rest_apply_routes[],
	rest_configuration_routes[], rest_job_routes[], rest_digital_twin_routes[], rest_command_routes[], rest_refusal_routes[],
	rest_on_behalf_routes[];
