/* SPDX-License-Identifier: Apache-2.0 */
/* The management API (edge-services 3): the modules of this box, their identities in the hub, and the box itself.  Modules are processes that somebody else starts and stops, so what is about containers is
 * answered with that. */
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "edged/edged.h"
#include "edged/identity_keeper.h"
#include "edged/system_info.h"
#include "wire/json.h"

#define AGENT "$edgeAgent"
#define NOT_HERE 501

static struct edged *
edged_of(const struct endpoint_call *call)
{
	return ((const struct edged_door *)call->door)->edged;
}

/* What changes something is for the agent, where there is one, and for whoever may do everything on this box anyway. */
static int
authorize_agent(const struct endpoint_call *call, struct err *err)
{
	struct edged *e = edged_of(call);
	const struct module *agent = edged_find_module(e, AGENT);

	if (call->has_process && (call->process.uid == 0 || call->process.uid == geteuid()))
		return 0;
	if (agent)
		return edged_judge_caller(e, agent, call, err);
	log_warn("CALLER_NOT_ALLOWED: management socket, process %d of user %u: there is no module " AGENT, call->process.pid,
		call->process.uid);
	return err_set(err, ERR_DENIED, "forbidden");
}

/* -- Modules ----------------------------------------------------------------------------------------------------------------------------------- */

/* Whether it runs is known to whoever starts it; what is seen from here is whether it has an identity to work with. */
static json_t *
module_json(struct module *m)
{
	CLEAR(module_identity) identity = { 0 };
	struct err none = ERR_INIT;
	bool has = module_get_identity(m, &identity, &none) == 0;

	return json_pack("{s:s, s:s, s:s, s:{s:{}, s:[]}, s:{s:{s:s, s:s}}, s:s*}", "id", "id", "name", module_bare(m->id), "type",
		"process", "config", "settings", "env", "status", "runtimeStatus", "status", "unknown", "description",
		has ? "a process of this box, started by others" : "no identity: the hub could not be asked yet, or it was deleted",
		"generationId", has ? identity.generation_id : NULL);
}

json_t *
edged_modules_json(const struct edged *e)
{
	json_t *list = json_array();

	for (size_t i = 0; i < e->n_modules; i++)
		json_array_append_new(list, module_json((struct module *)(uintptr_t)&e->modules[i]));
	return list;
}

/* With our extension: who the device is, and the generations, as far as edged knows without asking the hub. */
static int
list_modules(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct edged *e = edged_of(call);
	struct err none = ERR_INIT;
	const struct device_names *device = edged_device_names(&e->device, &none);

	(void)err;
	*answer = json_pack("{s:o, s:s*, s:s*}", "modules", edged_modules_json(e), "hubName", device ? device->hub_name : NULL,
		"deviceId", device ? device->device_id : NULL);
	return 200;
}

static int
get_module(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct module *m = edged_find_module(edged_of(call), call->var[0]);

	if (!m)
		return err_set(err, ERR_MISSING, "there is no module %.100s on this device", call->var[0]);
	*answer = module_json(m);
	return 200;
}

static int
not_here(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)call;
	(void)answer;
	(void)err_set(err, ERR_INVALID,
		"there is no container engine on this device: its modules are processes that are configured in [modules] and "
		"started "
		"by others");
	return -NOT_HERE;
}

static int
no_bundle(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)call;
	(void)answer;
	(void)err_set(
		err, ERR_INVALID, "support bundles are not made here: rootedge logs and rootedge status have what they would hold");
	return -NOT_HERE;
}

/* -- Identities ---------------------------------------------------------------------------------------------------------------------------------- */

static json_t *
identity_json(const char *module_id, const char *generation_id, const char *managed_by)
{
	return json_pack("{s:s?, s:s, s:s?, s:s}", "moduleId", module_id, "managedBy", managed_by ? managed_by : "iotedge",
		"generationId", generation_id, "authType", "sas");
}

static int
put_identity(json_t *list, const json_t *identity, struct err *err)
{
	const char *module_id, *generation_id;
	json_t *spec;

	if (json_find_object(identity, "spec", &spec, err) < 0 || json_get_text(spec, "moduleId", &module_id, err) < 0 ||
		json_find_text(spec, "genId", &generation_id, err) < 0)
		return -1;
	json_array_append_new(list, identity_json(module_id, generation_id, NULL));
	return 0;
}

/* What identityd calls missing is a hub that is away or says no, and nothing that is missing here. */
static int
not_done(const char *what, struct err *err)
{
	err_wrap(err, "failed to %s", what);
	return err->kind == ERR_MISSING ? -500 : -1;
}

static int
list_identities(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	OWN_LIB(json_t) all = identityd_client_list_modules(&edged_of(call)->identityd, err);
	OWN_LIB(json_t) list = json_array();
	json_t *identity;
	size_t i;

	if (!all)
		return not_done("list identities", err);
	json_array_foreach(all, i, identity)
		if (put_identity(list, identity, err) < 0)
			return -1;
	*answer = json_pack("{s:O}", "identities", list);
	return 200;
}

static struct module *
find_here(const struct edged *e, const char *id)
{
	struct module *here = id ? edged_find_module((struct edged *)(uintptr_t)e, id) : NULL;

	return here && text_is(here->id, id) ? here : NULL;
}

/* A module that is here as well works with that from then on. */
static int
answer_identity(struct edged *e, struct edge_identity *identity_take, const char *what, const char *managed_by, json_t **answer,
	struct err *err)
{
	OWN(edge_identity) identity = identity_take;
	struct module *here = identity ? find_here(e, identity->module_id) : NULL;

	if (!identity)
		return not_done(what, err);
	if (here && identity_keeper_take(e, here, identity, err) < 0)
		return -1;
	*answer = identity_json(identity->module_id, identity->generation_id, managed_by);
	return 200;
}

static int
create_identity(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *id, *managed_by;

	if (authorize_agent(call, err) < 0)
		return -1;
	if (!call->body)
		return err_set(err, ERR_INVALID, "missing request body");
	if (json_get_text(call->body, "moduleId", &id, err) < 0 || json_find_text(call->body, "managedBy", &managed_by, err) < 0)
		return -1;
	return answer_identity(edged_of(call), identityd_client_create_module(&edged_of(call)->identityd, id, err),
		"create identity", managed_by, answer, err);
}

static int
update_identity(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct edged *e = edged_of(call);
	const char *managed_by;

	if (authorize_agent(call, err) < 0 || json_find_text(call->body, "managedBy", &managed_by, err) < 0)
		return -1;
	return answer_identity(
		e, identityd_client_update_module(&e->identityd, call->var[0], err), "update identity", managed_by, answer, err);
}

static int
delete_identity(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct edged *e = edged_of(call);
	struct module *here = find_here(e, call->var[0]);

	(void)answer;
	if (authorize_agent(call, err) < 0)
		return -1;
	if (identityd_client_delete_module(&e->identityd, call->var[0], err) < 0)
		return not_done("delete identity", err);
	if (here)
		module_forget_identity(here);
	return 204;
}

/* -- The device ------------------------------------------------------------------------------------------------------------------------------------ */

static int
system_info(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = system_info_json(edged_of(call)->system_info_path);
	return 200;
}

static int
system_resources(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = system_resources_json(edged_of(call)->dir, edged_of(call)->started_ms);
	return 200;
}

/* Answered first; then we end, and begin again with the identity that the device has by then (edge-services 3.1). */
static int
reprovision(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct edged *e = edged_of(call);

	(void)answer;
	if (authorize_agent(call, err) < 0)
		return -1;
	log_info("the device is to be provisioned again: asked for by process %d of user %u", call->process.pid, call->process.uid);
	atomic_store(&e->reprovisions, true);
	local_service_end(e->service);
	return 204;
}

static const struct endpoint endpoints[] = {
	{ "GET", "/modules", "2018-06-28", list_modules },
	{ "GET", "/modules/", "2018-06-28", list_modules },
	{ "POST", "/modules", "2018-06-28", not_here },
	{ "GET", "/modules/{}", "2018-06-28", get_module },
	{ "PUT", "/modules/{}", "2018-06-28", not_here },
	{ "DELETE", "/modules/{}", "2018-06-28", not_here },
	{ "POST", "/modules/{}/prepareupdate", "2019-01-30", not_here },
	{ "POST", "/modules/{}/start", "2018-06-28", not_here },
	{ "POST", "/modules/{}/stop", "2018-06-28", not_here },
	{ "POST", "/modules/{}/restart", "2018-06-28", not_here },
	{ "GET", "/modules/{}/logs", "2018-06-28", not_here },
	{ "GET", "/identities", "2018-06-28", list_identities },
	{ "GET", "/identities/", "2018-06-28", list_identities },
	{ "POST", "/identities", "2018-06-28", create_identity },
	{ "PUT", "/identities/{}", "2018-06-28", update_identity },
	{ "DELETE", "/identities/{}", "2018-06-28", delete_identity },
	{ "GET", "/systeminfo", "2018-06-28", system_info },
	{ "GET", "/systeminfo/resources", "2019-11-05", system_resources },
	{ "GET", "/systeminfo/supportbundle", "2020-07-07", no_bundle },
	{ "POST", "/device/reprovision", "2019-10-22", reprovision },
};

static const struct endpoint_body bodies[] = {
	{ "POST", "/identities", "moduleId managedBy?" },
};

static const char *const versions[] = { "2018-06-28", "2019-01-30", "2019-10-22", "2019-11-05", "2020-07-07", "2020-10-10",
	"2021-12-07", "2022-08-03", NULL };

/* For the hub. */
static const struct endpoint_wait waits[] = {
	{ "GET", "/identities", NULL },
	{ "GET", "/identities/", NULL },
	{ "POST", "/identities", NULL },
	{ "PUT", "/identities/{}", NULL },
	{ "DELETE", "/identities/{}", NULL },
};

const struct endpoint_table management_endpoints = {
	.endpoints = endpoints,
	.n_endpoints = COUNT(endpoints),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.waits = waits,
	.n_waits = COUNT(waits),
	.versions = versions,
	.denied_status = 403,
	.missing_status = 404,
};
