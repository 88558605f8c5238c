/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-edged: the Edge CA and the workload API. */
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/local_service.h"
#include "edged/device_wait.h"
#include "edged/edged.h"
#include "edged/identity_wait.h"
#include "wire/json.h"

#define MASTER_ENCRYPTION_ID "iotedge_master_encryption_id"

static int
take_module(struct edged *e, const json_t *json, struct err *err)
{
	struct module *m = &e->modules[e->n_modules];
	const char *id, *socket_path;
	json_t *names, *name;
	int64_t uid = -1;
	size_t i;

	if (json_get_text(json, "id", &id, err) < 0 || json_get_text(json, "socket", &socket_path, err) < 0 ||
		json_find_int(json, "uid", &uid, err) < 0 || json_find_array(json, "names", &names, err) < 0)
		return -1;
	if (uid < 0 || uid > UINT32_MAX - 1 || json_array_size(names) > MODULE_NAMES_MAX)
		return err_set(err, ERR_INVALID, "module %s: no uid, or more than %d names", id, MODULE_NAMES_MAX);
	m->id = mem_text(id);
	m->socket_path = mem_text(socket_path);
	m->uid = (uid_t)uid;
	json_array_foreach(names, i, name)
		if (json_is_string(name))
			m->names[m->n_names++] = mem_text(json_string_value(name));
	e->n_modules++;
	return 0;
}

static int
open_all(struct edged *e, const json_t *config, struct err *err)
{
	const char *keyd, *certd, *identityd, *hub_name, *device_id, *common_name, *form, *dir = NULL;
	json_t *modules, *module, *auto_renew = NULL;
	size_t i;

	if (json_get_text(config, "keyd", &keyd, err) < 0 || json_get_text(config, "certd", &certd, err) < 0 ||
		json_get_text(config, "identityd", &identityd, err) < 0 || json_find_text(config, "hub_name", &hub_name, err) < 0 ||
		json_find_text(config, "device_id", &device_id, err) < 0 ||
		json_get_text(config, "edge_ca_common_name", &common_name, err) < 0 ||
		json_get_text(config, "edge_ca_form", &form, err) < 0 || json_find_array(config, "modules", &modules, err) < 0 ||
		json_find_text(config, "dir", &dir, err) < 0 ||
		json_find_object(config, "edge_ca_auto_renew", &auto_renew, err) < 0)
		return -1;
	e->keyd = keyd_client_new(keyd);
	e->certd = mem_text(certd);
	e->identityd = mem_text(identityd);
	e->hub_name = mem_text(hub_name);
	e->device_id = mem_text(device_id);
	e->ca_common_name = mem_text(common_name);
	e->ca_form = mem_text(form);
	if (edge_ca_take_subject(e, config, err) < 0 || edge_ca_open(e, dir, auto_renew, err) < 0)
		return -1;
	if (json_array_size(modules) > MODULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d modules", MODULES_MAX);
	json_array_foreach(modules, i, module)
		if (take_module(e, module, err) < 0)
			return -1;
	e->encryption_handle = keyd_client_create_key(e->keyd, MASTER_ENCRYPTION_ID, "encrypt", err);
	return e->encryption_handle ? 0 : err_wrap(err, "the master encryption key");
}

static json_t *
ready_line(const struct edged *e)
{
	json_t *generations = json_object();

	for (size_t i = 0; i < e->n_modules; i++)
		if (atomic_load(&e->modules[i].has_identity))
			json_object_set_new(generations, e->modules[i].id, json_string(e->modules[i].generation_id));
	return json_pack("{s:o, s:s, s:s}", "generations", generations, "hub_name", e->hub_name, "device_id", e->device_id);
}

static void
close_all(struct edged *e)
{
	for (size_t i = 0; i < e->n_modules; i++) {
		struct module *m = &e->modules[i];

		for (size_t n = 0; n < m->n_names; n++)
			mem_free(m->names[n]);
		mem_free(m->id);
		mem_free(m->socket_path);
		mem_free(m->generation_id);
		mem_free(m->sign_handle);
	}
	edge_ca_close(e);
	keyd_client_free(e->keyd);
	mem_free(e->certd);
	mem_free(e->identityd);
	mem_free(e->hub_name);
	mem_free(e->device_id);
	mem_free(e->ca_common_name);
	mem_free(e->ca_form);
	mem_free(e->encryption_handle);
}

static int
serve(const json_t *config, const struct service_options *options, struct err *err)
{
	OWN(local_service) service = NULL;
	struct identity_wait *wait = NULL;
	struct edged edged = { 0 };
	struct edged_door doors[MODULES_MAX];
	int64_t max_requests = 10;
	int status = open_all(&edged, config, err);

	if (status == 0)
		status = json_find_int(config, "max_requests", &max_requests, err);
	if (status == 0)
		status = edge_ca_start(&edged, err);
	if (status == 0 && (!edged.hub_name || !edged.device_id))
		device_wait(&edged);
	if (status == 0) {
		wait = identity_wait_start(&edged);
		service = local_service_new(&workload_routes);
	}
	for (size_t i = 0; status == 0 && i < edged.n_modules; i++) {
		doors[i] = (struct edged_door){ .edged = &edged, .module = &edged.modules[i] };
		status = local_service_listen(service, edged.modules[i].socket_path, 0666, (size_t)max_requests, &doors[i], err);
	}
	if (status == 0)
		local_service_run(service, options, ready_line(&edged));
	local_service_free(GIVE(service));
	identity_wait_stop(wait);
	close_all(&edged);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct local_service_role role = {
		.name = "edged",
		.summary = "The edge daemon: the Edge CA, and the workload API of modules.",
		.serve = serve,
	};

	return local_service_main(&role, argc, argv);
}
