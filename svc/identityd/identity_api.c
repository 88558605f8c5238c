/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the identity service.  What a request is about it asks the provisioner once, and goes on with that; where the hub says that it does not know this device, the provisioner is
 * asked whether there is another identity now, and the request is made once more. */
#include "identityd/identity_api.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "identityd/failure.h"
#include "wire/json.h"

/* -- Who asks ---------------------------------------------------------------------------------------------------------------------------- */

static struct identityd *
identityd_of(const struct endpoint_call *call)
{
	return call->door;
}

static struct caller
caller_of(const struct endpoint_call *call)
{
	struct identityd *d = identityd_of(call);
	struct caller caller;

	pthread_rwlock_rdlock(&d->callers_lock);
	caller = callers_find(&d->callers, call->has_process, call->process.uid);
	pthread_rwlock_unlock(&d->callers_lock);
	return caller;
}

static int
authorize(const struct endpoint_call *call, enum caller_wish wish, const char *name, struct err *err)
{
	CLEAR(caller) caller = caller_of(call);

	if (caller_may(&caller, wish, name))
		return 0;
	log_warn("CALLER_NOT_ALLOWED: %s (uid %u) may not %s %s", caller.name ? caller.name : "a stranger", caller.uid,
		http_method(call->request), http_path(call->request));
	return err_set(err, ERR_DENIED, "authorization error");
}

/* -- How it ends -------------------------------------------------------------------------------------------------------------------------- */

/* The answer's status after a failure of the device, the hub, keys or certificates: the original has 404 for all of them. */
static int
fail(const struct err *err)
{
	return err->kind == ERR_INVALID ? -1 : -404;
}

static int
give(json_t *identity, json_t **answer, const struct err *err)
{
	*answer = identity;
	return identity ? 200 : fail(err);
}

/* NULL: *status is the answer's. */
static struct device_info *
device_of(const struct endpoint_call *call, int *status, struct err *err)
{
	struct device_info *device = provisioner_device(identityd_of(call)->provisioner, err);

	if (device)
		return device;
	if (err->kind == ERR_UNAVAILABLE)
		failure_cause(err, "DPS client error", ERR_UNAVAILABLE);
	*status = err->kind == ERR_MISSING ? -400 : -404;
	return NULL;
}

/* -- The device -------------------------------------------------------------------------------------------------------------------------- */

static int
answer_device(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	int status;
	OWN(device_info) device = device_of(call, &status, err);
	json_t *auth;

	if (!device)
		return status;
	auth = device_credential_auth(&identityd_of(call)->credential, err);
	if (!auth) {
		failure_cause(err, "Key client error", ERR_BROKEN);
		return -404;
	}
	*answer = json_pack("{s:s, s:{s:s, s:s, s:s, s:o}}", "type", "aziot", "spec", "hubName", device->hub_name, "gatewayHost",
		device->gateway_host, "deviceId", device->device_id, "auth", auth);
	return 200;
}

static int
check_type(const json_t *body, struct err *err)
{
	const char *type;

	if (!body)
		return err_set(err, ERR_INVALID, "missing request body");
	if (json_get_text(body, "type", &type, err) < 0)
		return -1;
	return text_is(type, "aziot") ? 0 : err_set(err, ERR_INVALID, "parameter \"type\" has an invalid value");
}

static int
device_identity(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	if (authorize(call, WISH_DEVICE, NULL, err) < 0 || check_type(call->body, err) < 0)
		return -1;
	return answer_device(call, answer, err);
}

static int
provisioning(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	struct identityd *d = identityd_of(call);
	OWN_TEXT registration_id = provisioner_registration_id(d->provisioner);

	(void)err;
	*answer = provisioning_source_json(&d->source, registration_id ? registration_id : d->source.registration_id);
	return 200;
}

static int
reprovision(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)answer;
	if (authorize(call, WISH_REPROVISION, NULL, err) < 0)
		return -1;
	if (provisioner_reprovision(identityd_of(call)->provisioner, err) == 0)
		return 204;
	failure_cause(err, "DPS client error", err->kind);
	return -404;
}

/* -- Modules ----------------------------------------------------------------------------------------------------------------------------- */

typedef json_t *(*module_deed)(struct module_identities *, const struct device_info *, const char *, struct err *);

static json_t *
list_deed(struct module_identities *m, const struct device_info *device, const char *id, struct err *err)
{
	(void)id;
	return module_identity_list(m, device, err);
}

static json_t *
delete_deed(struct module_identities *m, const struct device_info *device, const char *id, struct err *err)
{
	return module_identity_delete(m, device, id, err) == 0 ? json_true() : NULL;
}

/* Once more, when this device is somebody else now. */
static json_t *
do_again(const struct endpoint_call *call, module_deed deed, const char *id, const struct device_info *before, struct err *err)
{
	struct identityd *d = identityd_of(call);
	struct err why = ERR_INIT;
	OWN(device_info) device = NULL;

	if (provisioner_refused(d->provisioner, before, &why) < 0) {
		log_warn("%s", why.text);
		return NULL;
	}
	device = provisioner_device(d->provisioner, &why);
	if (!device)
		return NULL;
	*err = (struct err)ERR_INIT;
	return deed(&d->modules, device, id, err);
}

static int
do_module(const struct endpoint_call *call, module_deed deed, const char *id, json_t **answer, struct err *err)
{
	int status;
	OWN(device_info) device = device_of(call, &status, err);
	json_t *result;

	if (!device)
		return status;
	result = deed(&identityd_of(call)->modules, device, id, err);
	if (!result && err->kind == ERR_DENIED)
		result = do_again(call, deed, id, device, err);
	return give(result, answer, err);
}

static int
list_modules(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	json_t *list = NULL;
	int status = authorize(call, WISH_MODULES, NULL, err) < 0 ? -1 : do_module(call, list_deed, NULL, &list, err);

	if (list)
		*answer = json_pack("{s:o}", "identities", list);
	return status;
}

static enum local_use
configured_use(struct identityd *d, const char *id)
{
	const struct caller *configured;
	enum local_use use;

	pthread_rwlock_rdlock(&d->callers_lock);
	configured = callers_named(&d->callers, id);
	use = configured ? configured->local_use : LOCAL_CLIENT;
	pthread_rwlock_unlock(&d->callers_lock);
	return use;
}

static int
answer_local(const struct endpoint_call *call, const char *id, const enum local_use *asked, json_t **answer, struct err *err)
{
	enum local_use use = asked ? *asked : configured_use(identityd_of(call), id);

	return give(local_identity_make(&identityd_of(call)->local, id, use, err), answer, err);
}

/* "localIdOpts": {"type": "x509", "attributes": "client"|"server"} */
static int
create_local(const struct endpoint_call *call, const char *id, json_t **answer, struct err *err)
{
	json_t *options = NULL;
	const char *attributes = NULL;
	enum local_use use;

	if (json_find_object(call->body, "localIdOpts", &options, err) < 0 ||
		(options && json_find_text(options, "attributes", &attributes, err) < 0))
		return -1;
	if (attributes && !local_use_parse(attributes, &use))
		return err_set(err, ERR_INVALID, "parameter \"localIdOpts\" has an invalid value");
	return answer_local(call, id, attributes ? &use : NULL, answer, err);
}

static int
create_module(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *type, *id;

	if (authorize(call, WISH_MODULES, NULL, err) < 0)
		return -1;
	if (!call->body)
		return err_set(err, ERR_INVALID, "missing request body");
	if (json_get_text(call->body, "type", &type, err) < 0 || json_get_text(call->body, "moduleId", &id, err) < 0)
		return -1;
	if (text_is(type, "local"))
		return create_local(call, id, answer, err);
	return check_type(call->body, err) < 0 ? -1 : do_module(call, module_identity_create, id, answer, err);
}

/* An extension of ours: "kept=true" asks for what serves while the hub is away, and nobody waits for the hub. */
static bool
wants_kept(const struct endpoint_call *call)
{
	return text_is(http_query(call->request, "kept"), "true");
}

static int
get_module(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	const char *type = http_query(call->request, "type"), *id = call->var[0];
	bool local = text_is(type, "local");

	if (type && !local && !text_is(type, "aziot"))
		return err_set(err, ERR_INVALID, "parameter \"type\" has an invalid value");
	if (authorize(call, local ? WISH_LOCAL : WISH_MODULE, id, err) < 0)
		return -1;
	if (local)
		return answer_local(call, id, NULL, answer, err);
	return do_module(call, wants_kept(call) ? module_identity_get_kept : module_identity_get, id, answer, err);
}

static int
update_module(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	if (authorize(call, WISH_MODULES, NULL, err) < 0 || check_type(call->body, err) < 0)
		return -1;
	return do_module(call, module_identity_update, call->var[0], answer, err);
}

static int
delete_module(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	json_t *done = NULL;
	int status = authorize(call, WISH_MODULES, NULL, err) < 0 ? -1 : do_module(call, delete_deed, call->var[0], &done, err);

	(void)answer;
	json_decref(done);
	return status == 200 ? 204 : status;
}

/* Who may have the device's has that, all others their own. */
static int
caller_identity(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	CLEAR(caller) caller = caller_of(call);

	if (authorize(call, WISH_CALLER_IDENTITY, NULL, err) < 0)
		return -1;
	if (caller_may(&caller, WISH_DEVICE, NULL))
		return answer_device(call, answer, err);
	if (caller.module)
		return do_module(call, module_identity_get, caller.name, answer, err);
	return answer_local(call, caller.name, NULL, answer, err);
}

static int
trust_bundle(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)call;
	(void)err;
	*answer = json_pack("{s:s}", "certificate", "");
	return 200;
}

static int
renewals(const struct endpoint_call *call, json_t **answer, struct err *err)
{
	(void)err;
	*answer = device_certificate_renewals(&identityd_of(call)->credential.certificate);
	return 200;
}

static const struct endpoint endpoints[] = {
	{ "GET", "/identities/identity", "2020-09-01", caller_identity },
	{ "GET", "/identities/provisioning", "2021-12-01", provisioning },
	{ "POST", "/identities/device", "2020-09-01", device_identity },
	{ "POST", "/identities/device/reprovision", "2020-09-01", reprovision },
	{ "GET", "/identities/modules", "2020-09-01", list_modules },
	{ "POST", "/identities/modules", "2020-09-01", create_module },
	{ "GET", "/identities/modules/{}", "2020-09-01", get_module },
	{ "PUT", "/identities/modules/{}", "2020-09-01", update_module },
	{ "DELETE", "/identities/modules/{}", "2020-09-01", delete_module },
	{ "GET", "/trust-bundle", "2020-09-01", trust_bundle },
	{ "GET", "/renewals", "2020-09-01", renewals },
};

static const struct endpoint_body bodies[] = {
	{ "POST", "/identities/device", "type" },
	{ "POST", "/identities/modules", "type moduleId" },
	{ "PUT", "/identities/modules/{}", "type moduleId" },
};

static const char *const versions[] = { "2020-09-01", "2021-12-01", "2022-08-01", NULL };

/* -- Whom the hub, or provisioning, may keep waiting ------------------------------------------------------------------------------------ */

static bool
asks_hub(const struct endpoint_call *call)
{
	return !text_is(http_query(call->request, "type"), "local") && !wants_kept(call);
}

static bool
is_module(const struct endpoint_call *call)
{
	CLEAR(caller) caller = caller_of(call);

	return caller.module;
}

static const struct endpoint_wait waits[] = {
	{ "GET", "/identities/identity", is_module },
	{ "POST", "/identities/device/reprovision", NULL },
	{ "GET", "/identities/modules", NULL },
	{ "POST", "/identities/modules", NULL },
	{ "GET", "/identities/modules/{}", asks_hub },
	{ "PUT", "/identities/modules/{}", NULL },
	{ "DELETE", "/identities/modules/{}", NULL },
};

const struct endpoint_table identity_endpoints = {
	.endpoints = endpoints,
	.n_endpoints = COUNT(endpoints),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.waits = waits,
	.n_waits = COUNT(waits),
	.versions = versions,
	.denied_status = 401,
	.missing_status = 400,
	.hide_failures = true,
};
