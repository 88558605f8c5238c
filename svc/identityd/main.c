/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-identityd: who this device and its modules are (edge-services 1.3), with manual provisioning by certificate or key. */
#include "base/mem.h"
#include "base/text.h"
#include "common/local_service.h"
#include "common/principal.h"
#include "identityd/module_identity.h"
#include "wire/json.h"

#define ROOTS_MAX 1024

struct identityd {
	struct hub_api hub;
	struct module_identities modules;
	struct principals principals;
};

static struct identityd *
identityd_of(const struct route_call *call)
{
	return call->door;
}

/* The daemon (edged) and root may everything; others only read the trust bundle and how the device is provisioned. */
static int
authorize(const struct route_call *call, struct err *err)
{
	const struct principal *caller =
		call->has_process ? principals_find(&identityd_of(call)->principals, call->process.uid) : NULL;

	if ((call->has_process && call->process.uid == 0) || principal_may(caller, "daemon"))
		return 0;
	return err_set(err, ERR_DENIED, "authorization error");
}

static int
device_identity(const struct route_call *call, json_t **answer, struct err *err)
{
	struct hub_api *hub = &identityd_of(call)->hub;
	json_t *auth, *spec;
	OWN_TEXT handle = NULL;

	if (authorize(call, err) < 0 || (hub->makes_certificate && device_certificate_ensure(&hub->device, err) < 0))
		return -1;
	handle = hub->by_certificate ? keyd_client_pair_handle(hub->keyd, "device-id", err)
				     : keyd_client_load_key(hub->keyd, "device-id", err);
	if (!handle)
		return -1;
	auth = json_pack("{s:s, s:s}", "type", hub->by_certificate ? "x509" : "sas", "keyHandle", handle);
	if (hub->by_certificate)
		json_object_set_new(auth, "certId", json_string("device-id"));
	spec = json_pack("{s:s, s:s, s:s, s:o}", "hubName", hub->hub_name, "gatewayHost", hub->gateway_host, "deviceId",
		hub->device_id, "auth", auth);
	*answer = json_pack("{s:s, s:o}", "type", "aziot", "spec", spec);
	return 200;
}

static int
provisioning(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = json_pack("{s:s, s:s}", "source", "manual", "auth", identityd_of(call)->hub.by_certificate ? "x509" : "sas");
	return 200;
}

/* With manual provisioning there is nothing to ask anybody for: the identity is what the configuration says. */
static int
reprovision(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	return authorize(call, err) < 0 ? -1 : 204;
}

static int
give(json_t *identity, json_t **answer)
{
	*answer = identity;
	return identity ? 200 : -1;
}

static int
list_modules(const struct route_call *call, json_t **answer, struct err *err)
{
	json_t *list = authorize(call, err) < 0 ? NULL : module_identity_list(&identityd_of(call)->modules, err);

	return give(list ? json_pack("{s:o}", "identities", list) : NULL, answer);
}

static int
create_module(const struct route_call *call, json_t **answer, struct err *err)
{
	const char *id;

	if (authorize(call, err) < 0)
		return -1;
	if (!call->body)
		return err_set(err, ERR_INVALID, "missing request body");
	if (json_get_text(call->body, "moduleId", &id, err) < 0)
		return -1;
	return give(module_identity_create(&identityd_of(call)->modules, id, err), answer);
}

static int
get_module(const struct route_call *call, json_t **answer, struct err *err)
{
	return give(authorize(call, err) < 0 ? NULL : module_identity_get(&identityd_of(call)->modules, call->var[0], err), answer);
}

static int
update_module(const struct route_call *call, json_t **answer, struct err *err)
{
	return give(
		authorize(call, err) < 0 ? NULL : module_identity_update(&identityd_of(call)->modules, call->var[0], err), answer);
}

static int
delete_module(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	return authorize(call, err) < 0 || module_identity_delete(&identityd_of(call)->modules, call->var[0], err) < 0 ? -1 : 204;
}

static int
trust_bundle(const struct route_call *call, json_t **answer, struct err *err)
{
	(void)call;
	(void)err;
	*answer = json_pack("{s:s}", "certificate", "");
	return 200;
}

static const struct route routes[] = {
	{ "GET", "/identities/identity", "2020-09-01", device_identity },
	{ "GET", "/identities/provisioning", "2021-12-01", provisioning },
	{ "POST", "/identities/device", "2020-09-01", device_identity },
	{ "POST", "/identities/device/reprovision", "2020-09-01", reprovision },
	{ "GET", "/identities/modules", "2020-09-01", list_modules },
	{ "POST", "/identities/modules", "2020-09-01", create_module },
	{ "GET", "/identities/modules/{}", "2020-09-01", get_module },
	{ "PUT", "/identities/modules/{}", "2020-09-01", update_module },
	{ "DELETE", "/identities/modules/{}", "2020-09-01", delete_module },
	{ "GET", "/trust-bundle", "2020-09-01", trust_bundle },
};

static const char *const versions[] = { "2020-09-01", "2021-12-01", "2022-08-01", NULL };

static const struct route_table table = {
	.routes = routes,
	.n_routes = COUNT(routes),
	.versions = versions,
	.denied_status = 401,
	.missing_status = 404,
	.hide_failures = true,
};

static struct anchors *
load_anchors(const json_t *paths, struct err *err)
{
	struct certs all = { 0 };
	struct anchors *anchors = NULL;
	json_t *path;
	size_t i;
	int status = 0;

	json_array_foreach((json_t *)(uintptr_t)paths, i, path) {
		struct certs some = { 0 };

		status = json_is_string(path) ? certs_load(&some, json_string_value(path), ROOTS_MAX, err)
					      : err_set(err, ERR_INVALID, "anchors: not a list of paths");
		if (status < 0)
			break;
		for (size_t c = 0; c < some.n; c++)
			certs_add(&all, some.item[c]);
		certs_clear(&some);
	}
	if (status == 0)
		anchors = anchors_new(&all, err);
	certs_clear(&all);
	return anchors;
}

static int
open_hub(struct hub_api *hub, const json_t *config, struct err *err)
{
	const char *hub_name, *gateway_host, *address, *device_id, *auth, *keyd, *certd;
	json_t *anchors = NULL;
	int64_t port = 443;

	pthread_mutex_init(&hub->lock, NULL);
	hub->last_cause = -1;
	if (json_get_text(config, "hub_name", &hub_name, err) < 0 ||
		json_find_text(config, "gateway_host", &gateway_host, err) < 0 ||
		json_find_text(config, "hub_address", &address, err) < 0 || json_find_int(config, "hub_port", &port, err) < 0 ||
		json_get_text(config, "device_id", &device_id, err) < 0 || json_get_text(config, "auth", &auth, err) < 0 ||
		json_get_text(config, "keyd", &keyd, err) < 0 || json_get_text(config, "certd", &certd, err) < 0 ||
		json_find_bool(config, "make_device_certificate", &hub->makes_certificate, err) < 0 ||
		json_find_array(config, "anchors", &anchors, err) < 0)
		return -1;
	hub->hub_name = text_lower(hub_name);
	hub->gateway_host = mem_text(gateway_host ? gateway_host : hub_name);
	hub->address = mem_text(address);
	hub->port = (int)port;
	hub->device_id = mem_text(device_id);
	hub->by_certificate = text_is(auth, "x509");
	hub->certd_socket = mem_text(certd);
	hub->keyd = keyd_client_new(keyd);
	hub->device = (struct device_certificate){ .certd = hub->certd_socket, .device_id = hub->device_id, .keyd = hub->keyd };
	pthread_mutex_init(&hub->device.lock, NULL);
	hub->anchors = load_anchors(anchors, err);
	return hub->anchors ? 0 : -1;
}

static int
serve(const json_t *config, const struct service_options *options, struct err *err)
{
	OWN(local_service) service = NULL;
	struct identityd identityd = { 0 };
	const char *socket_path, *dir;
	json_t *principals = NULL;
	int64_t max_requests = 10;
	int status = open_hub(&identityd.hub, config, err);

	if (status == 0 && (json_get_text(config, "socket", &socket_path, err) < 0 || json_get_text(config, "dir", &dir, err) < 0 ||
				   json_find_int(config, "max_requests", &max_requests, err) < 0 ||
				   json_find_array(config, "principals", &principals, err) < 0 ||
				   principals_from_json(&identityd.principals, principals, err) < 0 ||
				   module_identities_open(&identityd.modules, &identityd.hub, dir, err) < 0))
		status = -1;
	if (status == 0) {
		service = local_service_new(&table);
		status = local_service_listen(service, socket_path, 0666, (size_t)max_requests, &identityd, err);
	}
	if (status == 0)
		local_service_run(service, options, NULL);
	local_service_free(GIVE(service));
	module_identities_clear(&identityd.modules);
	hub_api_clear(&identityd.hub);
	principals_clear(&identityd.principals);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct local_service_role role = {
		.name = "identityd",
		.summary = "The identity service: the identities of this device and its modules.",
		.serve = serve,
	};

	return local_service_main(&role, argc, argv);
}
