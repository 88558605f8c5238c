/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls the workload API (workload.h). */
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "edged/identity_keeper.h"
#include "edged/workload.h"

struct edged *
workload_edged(const struct endpoint_call *call)
{
	return ((const struct edged_door *)call->door)->edged;
}

static int
forbidden(const struct endpoint_call *call, const char *module, struct err *err)
{
	log_warn("CALLER_NOT_ALLOWED: socket of %s, process %d of user %u: asks as another module", module, call->process.pid,
		call->process.uid);
	return err_set(err, ERR_DENIED, "forbidden");
}

/* Where all roles and modules are one user, being that user, or of his group, says nothing. */
static bool
is_known_by_process(const struct module *m)
{
	return m->caller.executable || m->caller.unit || m->caller.cgroup || (m->caller.has_uid && m->caller.uid != geteuid()) ||
	       (m->caller.has_gid && m->caller.gid != getegid());
}

/* On a socket of its own a module speaks for itself only; elsewhere it is known by its process. */
static struct module *
named_module(const struct endpoint_call *call, struct err *err)
{
	const struct edged_door *door = call->door;
	struct module *named = edged_find_module(door->edged, call->var[0]);

	if (!named || (door->module ? named != door->module : !is_known_by_process(named))) {
		(void)forbidden(call, door->module ? door->module->id : "all modules", err);
		return NULL;
	}
	return named;
}

struct module *
workload_caller(const struct endpoint_call *call, struct err *err)
{
	struct module *module = named_module(call, err);

	return module && edged_judge_caller(workload_edged(call), module, call, err) == 0 ? module : NULL;
}

struct module *
workload_caller_of_generation(const struct endpoint_call *call, struct module_identity *identity, struct err *err)
{
	struct module *module = workload_caller(call, err);

	*identity = (struct module_identity){ 0 };
	if (!module || !edged_device_names(&workload_edged(call)->device, err) || module_get_identity(module, identity, err) < 0)
		return NULL;
	if (text_is(call->var[1], identity->generation_id))
		return module;
	module_identity_clear(identity);
	identity_keeper_doubt(workload_edged(call)->keeper, module);
	return err_null(err, ERR_MISSING, "there is no generation \"%.60s\" of the module %s", call->var[1], module->id);
}

int
workload_refuse(const struct err *err)
{
	return err->kind == ERR_UNAVAILABLE ? -503 : -1;
}

int
workload_need_body(const struct endpoint_call *call, struct err *err)
{
	return call->body ? 0 : err_set(err, ERR_INVALID, "missing request body");
}
