/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-edged: the Edge CA, and the APIs of modules and of who manages this box. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/local_service.h"
#include "common/notify.h"
#include "edged/edged.h"
#include "edged/identity_keeper.h"
#include "wire/json.h"

#define MASTER_ENCRYPTION_ID "iotedge_master_encryption_id"

/* -- Who calls ------------------------------------------------------------------------------------------------------------------------------- */

struct module *
edged_find_module(struct edged *e, const char *id)
{
	for (size_t i = 0; i < e->n_modules; i++)
		if (text_is(module_bare(e->modules[i].id), module_bare(id)))
			return &e->modules[i];
	return NULL;
}

/* Who tells which program it is may have been started again: then it is asked once more.  With the lock. */
static int
ask_which_program(
	struct edged *e, const struct caller_rule *rule, const struct endpoint_call *call, enum reason *reason, struct err *why)
{
	int status = -1;

	for (int tries = 0; tries < 2; tries++) {
		*why = (struct err)ERR_INIT;
		if (e->asker_fd < 0 && e->programs)
			e->asker_fd = executable_connect(e->programs, why);
		status = caller_judge(rule, &call->process, e->asker_fd, reason, why);
		if (status == 0 || why->kind != ERR_UNAVAILABLE || !e->programs || e->asker_fd < 0)
			break;
		close(e->asker_fd);
		e->asker_fd = -1;
	}
	return status;
}

/* Programs are asked for one at a time; who is known without waits for nobody. */
static int
judge(struct edged *e, const struct caller_rule *rule, const struct endpoint_call *call, enum reason *reason, struct err *why)
{
	int status;

	if (!rule->executable)
		return caller_judge(rule, &call->process, -1, reason, why);
	pthread_mutex_lock(&e->asker_lock);
	status = ask_which_program(e, rule, call, reason, why);
	pthread_mutex_unlock(&e->asker_lock);
	return status;
}

int
edged_judge_caller(struct edged *e, const struct module *module, const struct endpoint_call *call, struct err *err)
{
	struct err why = ERR_INIT;
	enum reason reason = CALLER_UNKNOWN;

	if (!call->has_process)
		return err_set(err, ERR_DENIED, "forbidden");
	if (judge(e, &module->caller, call, &reason, &why) == 0)
		return 0;
	log_warn("%s: module %s, process %d of user %u: %s", reason_row(reason)->code, module->id, call->process.pid,
		call->process.uid, why.text);
	return err_set(err, ERR_DENIED, "forbidden");
}

/* -- The beginning --------------------------------------------------------------------------------------------------------------------------- */

/* The supervisor's end of it answers which program a process runs; without a supervisor there is none. */
static int
take_asker(void)
{
	const char *text = getenv(EXECUTABLE_ASKER);
	int64_t fd = -1;

	if (text && !text_to_i64(text, 3, INT32_MAX, &fd))
		fd = -1;
	unsetenv(EXECUTABLE_ASKER);
	if (fd >= 0)
		fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return (int)fd;
}

static int
take_modules(struct edged *e, const json_t *config, struct err *err)
{
	json_t *modules, *module;
	size_t i;

	if (json_find_array(config, "modules", &modules, err) < 0)
		return -1;
	if (json_array_size(modules) > MODULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d modules", MODULES_MAX);
	json_array_foreach(modules, i, module) {
		struct module *m = &e->modules[e->n_modules++];

		if (module_take(m, module, err) < 0)
			return -1;
		key_stock_expect(e->keys, m->key_alg);
	}
	return 0;
}

static int
open_all(struct edged *e, const json_t *config, struct err *err)
{
	const char *keyd, *certd, *identityd, *hub_name, *device_id, *common_name, *form, *dir = NULL, *additional = NULL,
											  *programs = NULL;
	json_t *auto_renew = NULL;

	if (json_get_text(config, "keyd", &keyd, err) < 0 || json_get_text(config, "certd", &certd, err) < 0 ||
		json_get_text(config, "identityd", &identityd, err) < 0 || json_find_text(config, "hub_name", &hub_name, err) < 0 ||
		json_find_text(config, "device_id", &device_id, err) < 0 ||
		json_get_text(config, "edge_ca_common_name", &common_name, err) < 0 ||
		json_get_text(config, "edge_ca_form", &form, err) < 0 || json_find_text(config, "dir", &dir, err) < 0 ||
		json_find_text(config, "additional_info", &additional, err) < 0 ||
		json_find_text(config, "programs", &programs, err) < 0 ||
		json_find_object(config, "edge_ca_auto_renew", &auto_renew, err) < 0)
		return -1;
	pthread_mutex_init(&e->asker_lock, NULL);
	e->asker_fd = take_asker();
	e->programs = mem_text(programs);
	e->started_ms = clock_boot_ms();
	e->keys = key_stock_new();
	e->dir = mem_text(dir);
	e->system_info_path = mem_text(additional);
	e->keyd = keyd_client_new(keyd);
	e->certd = mem_text(certd);
	e->identityd_path = mem_text(identityd);
	e->identityd = (struct identityd_client){ .socket_path = e->identityd_path, .cancelled = &e->is_ending };
	edged_device_init(&e->device, hub_name, device_id);
	e->ca_common_name = mem_text(common_name);
	e->ca_form = mem_text(form);
	if (edge_ca_take_subject(e, config, err) < 0 || edge_ca_open(e, dir, auto_renew, err) < 0 ||
		take_modules(e, config, err) < 0)
		return -1;
	e->encryption_handle = keyd_client_create_key(e->keyd, MASTER_ENCRYPTION_ID, "encrypt", err);
	return e->encryption_handle ? 0 : err_wrap(err, "the master encryption key");
}

static json_t *
ready_line(struct edged *e)
{
	json_t *generations = json_object();
	struct err none = ERR_INIT;
	const struct device_names *device = edged_device_names(&e->device, &none);

	for (size_t i = 0; i < e->n_modules; i++) {
		CLEAR(module_identity) identity = { 0 };

		if (module_get_identity(&e->modules[i], &identity, &none) == 0)
			json_object_set_new(generations, e->modules[i].id, json_string(identity.generation_id));
	}
	return json_pack("{s:o, s:s*, s:s*}", "generations", generations, "hub_name", device ? device->hub_name : NULL, "device_id",
		device ? device->device_id : NULL);
}

static void
close_all(struct edged *e)
{
	for (size_t i = 0; i < e->n_modules; i++)
		module_clear(&e->modules[i]);
	edge_ca_close(e);
	key_stock_free(e->keys);
	keyd_client_free(e->keyd);
	mem_free(e->dir);
	mem_free(e->system_info_path);
	mem_free(e->programs);
	mem_free(e->certd);
	mem_free(e->identityd_path);
	edged_device_clear(&e->device);
	mem_free(e->ca_common_name);
	mem_free(e->ca_form);
	mem_free(e->encryption_handle);
	pthread_mutex_destroy(&e->asker_lock);
	if (e->asker_fd >= 0)
		close(e->asker_fd);
}

/* -- The sockets ----------------------------------------------------------------------------------------------------------------------------- */

struct doors {
	struct edged_door modules[MODULES_MAX], shared;
};

static int
listen_for_modules(struct edged *e, struct doors *doors, const json_t *config, struct err *err)
{
	const char *shared = NULL;
	int64_t max = 10;
	int status = 0;

	if (json_find_int(config, "max_requests", &max, err) < 0 || json_find_text(config, "workload_socket", &shared, err) < 0)
		return -1;
	for (size_t i = 0; status == 0 && i < e->n_modules; i++) {
		doors->modules[i] = (struct edged_door){ .edged = e, .module = &e->modules[i] };
		status = local_service_listen(e->service, e->modules[i].socket_path, 0666, (size_t)max, &doors->modules[i], err);
	}
	return status == 0 && shared ? local_service_listen(e->service, shared, 0666, (size_t)max, &doors->shared, err) : status;
}

static int
listen_for_management(struct edged *e, struct doors *doors, const json_t *config, struct err *err)
{
	const char *path = NULL;
	int64_t max = 50;

	if (json_find_int(config, "max_management_requests", &max, err) < 0 ||
		json_find_text(config, "management_socket", &path, err) < 0)
		return -1;
	return !path ? 0 : local_service_listen_for(e->service, &management_endpoints, path, 0660, (size_t)max, &doors->shared, err);
}

/* What has to be told beyond our own end. */
static int
reprovision(const struct edged *e)
{
	const struct identityd_client identityd = { .socket_path = e->identityd_path };
	struct err err = ERR_INIT;

	if (!atomic_load(&e->reprovisions))
		return 0;
	if (identityd_client_reprovision(&identityd, &err) < 0)
		log_error("provisioning again: %s", err.text);
	return SERVICE_REPROVISIONED;
}

struct readiness {
	struct edged *edged;
	const struct service_options *options;
};

/* On the keeper's thread. */
static void
say_ready(void *arg)
{
	const struct readiness *r = arg;

	service_ready(r->options, ready_line(r->edged));
}

static void
give_up_waiting(void *edged)
{
	atomic_store(&((struct edged *)edged)->is_ending, true);
}

static int
serve(const json_t *config, const struct service_options *options, struct err *err)
{
	struct edged edged = { .asker_fd = -1 };
	struct doors doors = { .shared = { .edged = &edged } };
	struct readiness readiness = { .edged = &edged, .options = options };
	int status = open_all(&edged, config, err);

	if (status == 0)
		status = edge_ca_start(&edged, err);
	if (status == 0) {
		edged.service = local_service_new(&workload_endpoints);
		status = listen_for_modules(&edged, &doors, config, err);
	}
	if (status == 0)
		status = listen_for_management(&edged, &doors, config, err);
	if (status == 0) {
		edged.keeper = identity_keeper_start(&edged, say_ready, &readiness);
		local_service_on_end(edged.service, give_up_waiting, &edged);
		notify_ready(); /* its sockets answer; who waits for identities is told by the line of service_ready */
		local_service_run(edged.service, NULL, NULL);
		status = reprovision(&edged);
	}
	/* Each may still be asking the other, until both have stopped. */
	if (!identity_keeper_stop(edged.keeper))
		_exit(status < 0 ? SERVICE_FAILED : status);
	local_service_free(GIVE(edged.service));
	identity_keeper_free(edged.keeper);
	close_all(&edged);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct local_service_role role = {
		.name = "edged",
		.summary = "The edge daemon: the Edge CA, and the workload and management APIs.",
		.serve = serve,
	};

	return local_service_main(&role, argc, argv);
}
