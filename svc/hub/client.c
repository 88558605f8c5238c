/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the state folder of a hub (client.h): connection strings for its operator. */
#include "hub/client.h"

#include "base/file.h"
#include "base/mem.h"
#include "hub/registry/policy.h"
#include "hub/registry/registry_store.h"
#include "wire/connstr.h"

#define HTTPS_PORT 443

char *
hub_client_store_path(const char *state_dir)
{
	return file_join(state_dir, "hub.sqlite");
}

char *
hub_client_events_path(const char *state_dir)
{
	return file_join(state_dir, "events");
}

char *
hub_client_journal_path(const char *state_dir)
{
	return file_join(state_dir, "ca/issued.sqlite");
}

char *
hub_client_provisioning_path(const char *state_dir)
{
	return file_join(state_dir, "provisioning.sqlite");
}

/* Opening would make an empty one. */
static struct registry_store *
open_existing(const char *state_dir, struct err *err)
{
	OWN_TEXT path = hub_client_store_path(state_dir);

	if (!file_exists(path))
		return err_null(err, ERR_MISSING, "%s is not there: no hub has run with the state folder %s", path, state_dir);
	return registry_store_open(path, err);
}

int
hub_client_fix_keys(const char *state_dir, const char *text, struct err *err)
{
	OWN_TEXT path = hub_client_store_path(state_dir);
	struct registry_store *store = file_make_dir(state_dir, 0700, err) == 0 ? registry_store_open(path, err) : NULL;
	int done = store ? policies_fix(store, text, err) : -1;

	registry_store_close(store);
	return done;
}

static int
put_policy(struct buf *out, struct policies *policies_take, const char *host, const char *name, struct err *err)
{
	OWN(policies) policies = policies_take;
	const struct auth_service_policy *policy = policies ? policies_find(policies, name) : NULL;
	OWN_TEXT host_copy = mem_text(host);
	struct connstr text = { .host = host_copy, .has_key = true };

	if (!policies)
		return -1;
	if (!policy)
		return err_set(err, ERR_MISSING, "there is no policy %s", name);
	text.policy = policies->names[policy - policies->row];
	secret_set(&text.key, policy->keys[0]->bytes, policy->keys[0]->len);
	connstr_format(out, &text);
	secret_clear(&text.key);
	return 0;
}

int
hub_client_policy_string(struct buf *out, const char *state_dir, const char *policy, struct err *err)
{
	struct registry_store *store = open_existing(state_dir, err);
	OWN_TEXT host = NULL;
	int done = store ? registry_store_get_text(store, "hostname", &host, err) : -1;

	if (done == 0)
		done = put_policy(out, policies_load(store, err), host, policy, err);
	registry_store_close(store);
	return done;
}

/* -- Provisioning ------------------------------------------------------------------------------------------------------------------- */

static struct registry_store *
open_provisioning(const char *state_dir, struct err *err)
{
	OWN_TEXT alone = hub_client_provisioning_path(state_dir);
	OWN_TEXT beside = hub_client_store_path(state_dir);

	if (!file_exists(alone) && !file_exists(beside))
		return err_null(err, ERR_MISSING, "neither provisioning nor a hub has run with the state folder %s", state_dir);
	return registry_store_open(file_exists(alone) ? alone : beside, err);
}

/* The caller owns it. */
static char *
provisioning_host(struct registry_store *store, struct err *err)
{
	OWN_TEXT name = NULL;
	int64_t port;

	if (registry_store_get_text(store, PROVISIONING_HOSTNAME, &name, err) < 0 ||
		registry_store_get_number(store, PROVISIONING_PORT, &port, err) < 0)
		return NULL;
	if (!name)
		return err_null(err, ERR_MISSING, "this hub has not provisioned yet: rootedge hub --provisioning does");
	return port == HTTPS_PORT ? mem_text(name) : mem_textf("%s:%d", name, (int)port);
}

int
hub_client_provisioning_string(struct buf *out, const char *state_dir, const char *policy, struct err *err)
{
	struct registry_store *store = open_provisioning(state_dir, err);
	OWN_TEXT host = store ? provisioning_host(store, err) : NULL;
	int done = host ? put_policy(out, policies_read(store, err), host, policy, err) : -1;

	registry_store_close(store);
	return done;
}

json_t *
hub_client_provisioning_json(const char *state_dir, struct err *err)
{
	struct registry_store *store = open_provisioning(state_dir, err);
	OWN_TEXT host = store ? provisioning_host(store, err) : NULL;
	OWN_TEXT scope = NULL;
	json_t *json = NULL;

	if (host && registry_store_get_text(store, PROVISIONING_ID_SCOPE, &scope, err) == 0)
		json = json_pack("{s:s?, s:s}", "idScope", scope, "serviceOperationsHostName", host);
	registry_store_close(store);
	return json;
}

static int
put_device(struct buf *out, struct registry_store *store, const char *device_id, const char *module_id, struct err *err)
{
	OWN(identity) identity = NULL;
	OWN_TEXT host = NULL;
	struct connstr text = { 0 };

	if (registry_store_find(store, device_id, module_id, &identity, err) < 0 ||
		registry_store_get_text(store, "hostname", &host, err) < 0)
		return -1;
	if (!identity)
		return err_set(
			err, ERR_MISSING, "there is no %s %s", module_id ? "module" : "device", module_id ? module_id : device_id);
	text.host = host;
	text.device_id = identity->device_id;
	text.module_id = identity->module_id;
	text.has_key = identity->auth == IDENTITY_AUTH_SAS;
	text.x509 = identity->auth == IDENTITY_AUTH_THUMBPRINT || identity->auth == IDENTITY_AUTH_CA;
	if (text.has_key)
		secret_set(&text.key, identity->keys[0].bytes, identity->keys[0].len);
	connstr_format(out, &text);
	secret_clear(&text.key);
	return 0;
}

int
hub_client_device_string(struct buf *out, const char *state_dir, const char *device_id, const char *module_id, struct err *err)
{
	struct registry_store *store = open_existing(state_dir, err);
	int done = store ? put_device(out, store, device_id, module_id, err) : -1;

	registry_store_close(store);
	return done;
}
