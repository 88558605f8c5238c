/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations of the roles, made from config.toml. */
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/executable.h"
#include "edge/documents.h"
#include "edge/preload.h"
#include "edge/role_args.h"
#include "edge/role_config.h"
#include "wire/json.h"

#define CONFIG_JSON_MAX (4 * 1024 * 1024)
#define LOCAL_IDENTITIES "aziot-identityd/local"

static json_t *
principal(const struct layout *l, enum layout_role role, json_t *ids)
{
	return json_pack("{s:s, s:I, s:o}", "name", layout_role_name(role), "uid", (json_int_t)l->users[role].uid, "ids", ids);
}

static json_t *
tpm_json(const struct layout *l, const struct config *c)
{
	const struct config_keys *keys = &c->keys;
	json_t *tpm = json_pack("{s:b, s:s*, s:s*, s:s*}", "base", keys->tpm_base, "tcti", keys->tpm_tcti, "owner_auth",
		keys->tpm_owner_auth, "endorsement_auth", keys->tpm_endorsement_auth);

	if (l->tpmd)
		json_object_update_new(
			tpm, json_pack("{s:s, s:s, s:I}", "socket", l->tpmd, "principal", layout_role_name(ROLE_IDENTITYD),
				     "max_requests", (json_int_t)(l->separate_users ? c->max_tpmd : 64)));
	if (keys->tpm_auth_key_index >= 0)
		json_object_set_new(tpm, "key_index", json_integer(keys->tpm_auth_key_index));
	return tpm;
}

static json_t *
keyd_sockets(const struct layout *l)
{
	json_t *list = json_array();

	if (l->separate_users) {
		json_array_append_new(list, json_pack("{s:s}", "path", l->keyd[0]));
		return list;
	}
	for (int r = ROLE_CERTD; r < ROLE_COUNT; r++)
		json_array_append_new(
			list, json_pack("{s:s, s:s}", "path", l->keyd[r], "principal", layout_role_name((enum layout_role)r)));
	return list;
}

/* [[principal]]: processes of this box beside the roles.  which: "keys" or "certs". */
static void
add_host_principals(json_t *list, const struct config *c, const char *which)
{
	const json_t *one;
	size_t i;

	json_array_foreach(c->principals, i, one)
		if (json_array_size(json_object_get(one, which)) > 0)
			json_array_append_new(list, json_pack("{s:O, s:O, s:O}", "name", json_object_get(one, "name"), "uid",
							    json_object_get(one, "uid"), "ids", json_object_get(one, which)));
}

/* certd signs with the keys of CAs, and with that of a certificate which signs itself. */
static json_t *
certd_keys(const struct config *c)
{
	json_t *ids = json_pack("[s, s, s, s]", "local-ca", "aziot-edged-ca", "aziot-edged-ca-temp", "est-*");
	const char *id;
	json_t *table;

	json_object_foreach(c->issuance.tables, id, table)
		if (text_is(config_issuance_method(&c->issuance, id), "self_signed") && !text_is(id, "aziot-edged-ca")) {
			json_array_append_new(ids, json_string(id));
			json_array_append_new(ids, json_sprintf("%s-temp", id));
		}
	return ids;
}

static json_t *
with_flag(json_t *principal, const char *flag)
{
	json_object_set_new(principal, flag, json_true());
	return principal;
}

/* Who may use which key (edge-services 5.4).  certd is handed the handle of the key that is to issue, identityd hands out those of a host process's keys (keyd/key_access.h). */
static json_t *
gateway_keys(const struct config *c)
{
	json_t *ids = json_pack("[s, s]", CONFIG_SERVER_KEY_ID, "edgehub-fresh-*");

	for (size_t i = 0; i < c->n_server_certs; i++)
		json_array_append_new(ids, json_string(c->server_certs[i].key_id));
	return ids;
}

static json_t *
keyd_principals(const struct layout *l, const struct config *c)
{
	json_t *list = json_pack("[o, o, o, o]", with_flag(principal(l, ROLE_CERTD, certd_keys(c)), "borrows"),
		with_flag(principal(l, ROLE_IDENTITYD,
				  json_pack("[s, s, s, s]", "aziot_identityd_master_id", "device-id", "device-id-temp",
					  "device-id-previous")),
			"lends"),
		principal(l, ROLE_EDGED,
			json_pack("[s, s, s, s, s]", "aziot-edged-ca", "aziot-edged-ca-temp", "aziot-edged-ca-previous",
				"iotedge_master_encryption_id", "derived:aziot_identityd_master_id")),
		principal(l, ROLE_GATEWAY, gateway_keys(c)));

	add_host_principals(list, c, "keys");
	return list;
}

/* Who may change which certificate. */
static json_t *
certd_principals(const struct layout *l, const struct config *c)
{
	json_t *list = json_pack("[o, o]",
		principal(l, ROLE_EDGED,
			json_pack("[s, s, s, s]", "aziot-edged-ca", "aziot-edged-ca-temp", "aziot-edged-ca-previous",
				"aziot-edged/module/*")),
		principal(l, ROLE_IDENTITYD,
			json_pack("[s, s, s, s]", "device-id", "device-id-temp", "device-id-previous", LOCAL_IDENTITIES "/*")));

	add_host_principals(list, c, "certs");
	return list;
}

/* Who may ask for which identity: the daemon for all, others for their own. */
static json_t *
identityd_principals(const struct layout *l, const struct config *c)
{
	json_t *list = json_pack("[o]", principal(l, ROLE_EDGED, json_pack("[s]", "daemon")));
	const json_t *one;
	size_t i;

	json_array_foreach(c->principals, i, one)
		if (json_object_get(one, "idtype"))
			json_array_append_new(
				list, json_pack("{s:O, s:O, s:[], s:O, s:O*}", "name", json_object_get(one, "name"), "uid",
					      json_object_get(one, "uid"), "ids", "idtype", json_object_get(one, "idtype"),
					      "localid", json_object_get(one, "localid")));
	return list;
}

/* -- The roles ------------------------------------------------------------------------------------------------------------------------------- */

static json_t *
make_keyd(const struct layout *l, const struct config *c, json_t *preloaded)
{
	OWN_TEXT keys = mem_textf("%s/keys", l->dirs[ROLE_KEYD]);

	return json_pack("{s:s, s:o, s:s*, s:s*, s:O, s:o, s:o, s:I}", "dir", keys, "tpm", tpm_json(l, c), "pkcs11_lib_path",
		c->keys.pkcs11_lib_path, "pkcs11_base_slot", c->keys.pkcs11_base_slot, "preloaded_keys", preloaded, "principals",
		keyd_principals(l, c), "sockets", keyd_sockets(l), "max_requests",
		(json_int_t)(l->separate_users ? c->max_keyd : 64));
}

/* Local identities are of the CA on this box, where nothing else is said. */
static json_t *
issuance_json(const struct config *c)
{
	json_t *tables = json_copy(c->issuance.tables);

	if (c->localid_domain && !json_object_get(tables, LOCAL_IDENTITIES))
		json_object_set_new(tables, LOCAL_IDENTITIES, json_pack("{s:s}", "method", "local_ca"));
	return tables;
}

/* Whose roots follow which, where they do: NULL otherwise. */
static json_t *
trust_json(const struct layout *l, const struct config *c)
{
	json_t *given = json_array(), *trusted = json_object_get(json_object_get(c->issuance.tables, "est"), "trusted_certs");

	if (c->trust_bundle)
		json_array_append_new(given, json_string("trust-bundle-user"));
	for (size_t i = 1; i <= c->issuance.n_trusted; i++) {
		OWN_TEXT id = mem_textf("est-server-ca-%zu", i);

		json_array_append_new(given, json_string(id));
	}
	if (c->trust_is_named || (!trusted && c->issuance.n_trusted > 0))
		trusted = given;
	return json_pack("{s:s, s:I, s:s, s:o, s:O*}", "source", c->trust_source, "interval_sec", (json_int_t)c->trust_interval_s,
		"line", l->root_line, "given", given, "trusted", trusted);
}

static json_t *
make_certd(const struct layout *l, const struct config *c, json_t *preloaded)
{
	OWN_TEXT certs = mem_textf("%s/certs", l->dirs[ROLE_CERTD]);
	OWN_TEXT renewals = mem_textf("%s/renewals.json", l->dirs[ROLE_CERTD]);
	OWN_LIB(json_t) bundle = json_pack("[s, s]", "aziot-edged-ca", "aziot-edged-ca-previous");
	json_t *json;

	if (text_is(c->ca_form, "quickstart"))
		json_array_append_new(bundle, json_string("aziot-edged-ca-temp")); /* who follows it (svc/edged/edge_ca.c) */
	if (c->trust_bundle)
		json_array_append_new(bundle, json_string("trust-bundle-user"));
	if (!json_object_get(c->preloaded_certs, "aziot-edged-trust-bundle"))
		json_object_set(preloaded, "aziot-edged-trust-bundle", bundle);
	json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:o, s:o, s:I}", "renewals", renewals, "system_roots", SYSTEM_ROOTS, "dir",
		certs, "socket", l->certd, "keyd", l->keyd[ROLE_CERTD], "preloaded_certs", preloaded, "cert_issuance",
		issuance_json(c), "principals", certd_principals(l, c), "max_requests",
		(json_int_t)(l->separate_users ? c->max_certd : 64));
	if (c->trust_source)
		json_object_set_new(json, "trust", trust_json(l, c));
	return json;
}

/* What the hub or provisioning is told by. */
static json_t *
source_json(const struct config *c, const json_t *documents)
{
	json_t *json = json_pack("{s:s, s:s, s:s*, s:s*, s:s*}", "source", c->source, "auto_reprovisioning_mode", c->reprovisioning,
		"hub_name", c->hub_name, "device_id", c->device_id, "auth", c->auth_method);

	if (text_is(c->source, "dps"))
		json_object_set_new(json, "dps",
			json_pack("{s:s*, s:s*, s:s*, s:O*}", "global_endpoint", c->dps_endpoint, "id_scope", c->dps_id_scope,
				"registration_id", c->dps_registration_id, "payload", json_object_get(documents, "payload")));
	if (c->identity_is_issued)
		json_object_update_new(json, json_pack("{s:b, s:O, s:O*}", "make_device_certificate", 1, "identity_auto_renew",
						     c->identity_renewal, "device_subject", c->identity_subject));
	return json;
}

static json_t *
make_identityd(const struct layout *l, const struct config *c, json_t *documents)
{
	json_t *config = json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s, s:s*, s:s*, s:s*, s:I, s:[s], s:o, s:I}", "dir",
		l->dirs[ROLE_IDENTITYD], "socket", l->identityd, "keyd", l->keyd[ROLE_IDENTITYD], "certd", l->certd, "tpmd",
		l->tpmd, "hostname", c->hostname, "gateway_host", c->parent_hostname, "hub_address", c->upstream_address,
		"localid_domain", c->localid_domain, "hub_port", (json_int_t)c->upstream_https_port, "anchors", l->identity_bundle,
		"principals", identityd_principals(l, c), "max_requests", (json_int_t)(l->separate_users ? c->max_identityd : 64));

	if (c->trust_source)
		json_object_set_new(config, "root_line", json_string(l->root_line));
	json_object_update_new(config,
		json_pack("{s:I, s:b}", "hub_mqtt_port", (json_int_t)c->upstream_mqtt_port, "reports_roots", !c->has_gateway));
	json_object_update_new(config, source_json(c, documents));
	json_object_update_new(
		config, json_pack("{s:I, s:I, s:b}", "cloud_timeout_sec", (json_int_t)c->cloud_timeout_s, "cloud_retries",
				(json_int_t)c->cloud_retries, "prefer_module_identity_cache", c->prefer_module_cache));
	return config;
}

static json_t *
names_json(const char *first, char *const *names, size_t n)
{
	json_t *list = first ? json_pack("[s]", first) : json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *
module_json(const struct layout *l, const struct config *c, const struct config_module *m)
{
	OWN_TEXT path = mem_textf("%s/%s.sock", l->mnt, m->id[0] == '$' ? m->id + 1 : m->id);
	json_t *json = json_pack("{s:s, s:s, s:s*, s:s*, s:s*, s:s*, s:o}", "id", m->id, "socket", path, "executable",
		m->executable, "unit", m->unit, "cgroup", m->cgroup, "key", m->key, "names",
		names_json(c->hostname, m->names, m->n_names));

	if (m->has_uid)
		json_object_set_new(json, "uid", json_integer((json_int_t)m->uid));
	if (m->has_gid)
		json_object_set_new(json, "gid", json_integer((json_int_t)m->gid));
	return json;
}

/* The gateway of this device is a module, too. */
static json_t *
gateway_json(const struct layout *l, const struct config *c)
{
	return json_pack("{s:s, s:s, s:I, s:o}", "id", "$edgeHub", "socket", l->gateway_workload, "uid",
		(json_int_t)l->users[ROLE_GATEWAY].uid, "names", names_json(c->hostname, c->names, c->n_names));
}

struct text {
	const char *key, *value; /* NULL: left out */
};

static json_t *
texts_json(const struct text *texts, size_t n)
{
	json_t *json = json_object();

	for (size_t i = 0; i < n; i++)
		if (texts[i].value)
			json_object_set_new(json, texts[i].key, json_string(texts[i].value));
	return json;
}

static json_t *
make_edged(const struct layout *l, const struct config *c, json_t *documents)
{
	const struct text texts[] = {
		{ "dir", l->dirs[ROLE_EDGED] },
		{ "management_socket", l->management },
		{ "workload_socket", l->workload },
		{ "keyd", l->keyd[ROLE_EDGED] },
		{ "certd", l->certd },
		{ "identityd", l->identityd },
		{ "hostname", c->hostname },
		{ "parent_hostname", c->parent_hostname },
		{ "hub_name", c->hub_name },
		{ "device_id", c->device_id },
		{ "edge_ca_common_name", c->ca_common_name },
		{ "edge_ca_form", c->ca_form },
		{ "auto_reprovisioning_mode", c->reprovisioning },
		{ "programs", l->by_units ? EXECUTABLE_SOCKET : NULL },
	};
	json_t *modules = json_array(), *config;

	if (c->has_gateway)
		json_array_append_new(modules, gateway_json(l, c));
	for (size_t i = 0; i < c->n_modules; i++)
		json_array_append_new(modules, module_json(l, c, &c->modules[i]));
	config = texts_json(texts, COUNT(texts));
	json_object_set(config, "edge_ca_subject", c->ca_subject);
	json_object_set(config, "edge_ca_auto_renew", c->ca_renewal);
	json_object_set_new(config, "modules", modules);
	json_object_set_new(config, "max_requests", json_integer((json_int_t)c->max_workload));
	json_object_set_new(config, "max_management_requests", json_integer((json_int_t)c->max_management));
	json_object_update(config, documents);
	return config;
}

/* -- All of them ----------------------------------------------------------------------------------------------------------------------------- */

static const struct {
	json_t *(*make)(const struct layout *layout, const struct config *config, json_t *files);
	json_t *(*list)(const struct config *config); /* the operator's files */
	json_t *(*load)(const struct layout *layout, const struct config *config, bool *changed, struct err *err);
} roles[ROLE_GATEWAY] = {
	[ROLE_KEYD] = { make_keyd, preload_list_keys, preload_keys },
	[ROLE_CERTD] = { make_certd, preload_list_certs, preload_certs },
	[ROLE_IDENTITYD] = { make_identityd, documents_list_identityd, documents_load_identityd },
	[ROLE_EDGED] = { make_edged, documents_list_edged, documents_load_edged },
};

json_t *
role_config_make(const struct layout *l, const struct config *c, enum layout_role role)
{
	OWN_LIB(json_t) files = role < ROLE_GATEWAY ? roles[role].list(c) : NULL;

	return files ? roles[role].make(l, c, files) : NULL;
}

static bool
is_there(const struct layout *l, enum layout_role role, const char *text)
{
	struct buf old = BUF_INIT(CONFIG_JSON_MAX);
	struct err ignored = ERR_INIT;
	struct stat st;
	bool same = lstat(l->configs[role], &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_uid == l->users[role].uid &&
		    file_load(&old, l->configs[role], &ignored) == 0 && text_is(buf_text(&old), text);

	buf_wipe(&old);
	return same;
}

static int
write_one(const struct layout *l, const struct config *c, enum layout_role role, bool *changed, struct err *err)
{
	OWN_LIB(json_t) files = roles[role].load(l, c, changed, err);
	OWN_LIB(json_t) json = files ? roles[role].make(l, c, files) : NULL;
	OWN_TEXT text = json ? json_line(json) : NULL;
	int status = 0;

	if (!text)
		return -1;
	if (!is_there(l, role, text)) {
		*changed = true;
		status = layout_save(l, role, l->configs[role], text, strlen(text), 0600, err);
	}
	mem_wipe(text, strlen(text));
	return status;
}

/* Of the unit's environment: without a gateway there is none, and the unit is not started. */
static int
write_gateway(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	OWN_TEXT path = mem_textf("%s/arguments", l->config_dirs[ROLE_GATEWAY]);
	CLEAR(buf) old = BUF_INIT(CONFIG_JSON_MAX);
	struct err ignored = ERR_INIT;
	OWN_TEXT words = NULL;
	OWN_TEXT line = NULL;
	struct role_args args;

	if (!c->has_gateway) {
		*changed |= file_exists(path);
		return file_remove(path, err);
	}
	role_args_fill(&args, c, l, ROLE_GATEWAY, &(struct role_facts){ 0 }, &(struct role_ports){ 0 });
	words = role_args_line(&args, err);
	role_args_clear(&args);
	if (!words)
		return -1;
	line = mem_textf("ROOTEDGE_GATEWAY=%s\n", words);
	if (file_load(&old, path, &ignored) == 0 && text_is(buf_text(&old), line))
		return 0;
	*changed = true;
	return file_save_unsynced(path, line, strlen(line), 0644, err);
}

int
role_config_write_all(const struct layout *l, const struct config *c, bool changed[static ROLE_COUNT], struct err *err)
{
	bool renewed = false;

	for (int role = 0; role < ROLE_GATEWAY; role++)
		if (write_one(l, c, (enum layout_role)role, &changed[role], err) < 0)
			return -1;
	if (preload_server_certs(l, c, &renewed, err) < 0)
		return -1;
	changed[ROLE_KEYD] |=
		renewed; /* the keys may be others, too, and keyd keeps what it has read; the gateway looks by itself */
	return l->by_units ? write_gateway(l, c, &changed[ROLE_GATEWAY], err) : 0;
}
