/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations of the roles, made from config.toml. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/preload.h"
#include "edge/role_config.h"
#include "wire/json.h"

static int
write_config(const struct layout *l, enum layout_role role, json_t *config_take, struct err *err)
{
	OWN_LIB(json_t) config = config_take;
	OWN_TEXT text = json_line(config);
	int status = layout_save(l, role, l->configs[role], text, strlen(text), 0600, err);

	mem_wipe(text, strlen(text));
	return status;
}

static json_t *
principal(const struct layout *l, enum layout_role role, json_t *ids)
{
	return json_pack("{s:s, s:I, s:o}", "name", layout_role_name(role), "uid", (json_int_t)l->users[role].uid, "ids", ids);
}

static json_t *
tpm_json(const struct config_keys *keys)
{
	return json_pack("{s:b, s:s*, s:s*}", "base", keys->tpm_base, "tcti", keys->tpm_tcti, "owner_auth", keys->tpm_owner_auth);
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

/* Who may use which key (edge-services 5.4). */
static json_t *
keyd_principals(const struct layout *l)
{
	return json_pack("[o, o, o, o]",
		principal(l, ROLE_CERTD, json_pack("[s, s, s, s]", "local-ca", "aziot-edged-ca", "aziot-edged-ca-temp", "est-*")),
		principal(l, ROLE_IDENTITYD, json_pack("[s, s, s]", "aziot_identityd_master_id", "device-id", "device-id-temp")),
		principal(l, ROLE_EDGED,
			json_pack("[s, s, s, s]", "aziot-edged-ca", "aziot-edged-ca-temp", "iotedge_master_encryption_id",
				"derived:aziot_identityd_master_id")),
		principal(l, ROLE_GATEWAY, json_pack("[s]", "edgehub-server")));
}

static int
write_keyd(const struct layout *l, const struct config *c, struct err *err)
{
	OWN_LIB(json_t) preloaded = preload_keys(l, c, err);
	OWN_TEXT keys = mem_textf("%s/keys", l->dirs[ROLE_KEYD]);

	if (!preloaded)
		return -1;
	return write_config(l, ROLE_KEYD,
		json_pack("{s:s, s:o, s:s*, s:s*, s:O, s:o, s:o, s:I}", "dir", keys, "tpm", tpm_json(&c->keys), "pkcs11_lib_path",
			c->keys.pkcs11_lib_path, "pkcs11_base_slot", c->keys.pkcs11_base_slot, "preloaded_keys", preloaded,
			"principals", keyd_principals(l), "sockets", keyd_sockets(l), "max_requests",
			(json_int_t)(l->separate_users ? c->max_keyd : 64)),
		err);
}

static json_t *
issuance(const struct config *c)
{
	json_t *all = json_copy(c->est.issuance);

	if (!text_is(c->ca_form, "preloaded") && !text_is(c->ca_method, "est"))
		json_object_set_new(all, "aziot-edged-ca",
			json_pack("{s:s, s:s, s:I}", "method", text_is(c->ca_form, "issued") ? "local_ca" : "self_signed",
				"common_name", c->ca_common_name, "expiry_days", (json_int_t)c->ca_days));
	return all;
}

static int
write_certd(const struct layout *l, const struct config *c, struct err *err)
{
	OWN_TEXT certs = mem_textf("%s/certs", l->dirs[ROLE_CERTD]);
	OWN_LIB(json_t) preloaded = preload_certs(l, c, err);
	OWN_LIB(json_t) bundle = json_pack("[s]", "aziot-edged-ca");

	if (!preloaded)
		return -1;
	if (c->trust_bundle)
		json_array_append_new(bundle, json_string("trust-bundle-user"));
	if (!json_object_get(c->preloaded_certs, "aziot-edged-trust-bundle"))
		json_object_set(preloaded, "aziot-edged-trust-bundle", bundle);
	return write_config(l, ROLE_CERTD,
		json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:o, s:I}", "system_roots", SYSTEM_ROOTS, "dir", certs, "socket",
			l->certd, "keyd", l->keyd[ROLE_CERTD], "preloaded_certs", preloaded, "cert_issuance", issuance(c),
			"principals",
			json_pack("[o, o]", principal(l, ROLE_EDGED, json_pack("[s, s]", "aziot-edged-ca", "aziot-edged/module/*")),
				principal(l, ROLE_IDENTITYD, json_pack("[s]", "device-id"))),
			"max_requests", (json_int_t)(l->separate_users ? c->max_certd : 64)),
		err);
}

static int
write_identityd(const struct layout *l, const struct config *c, struct err *err)
{
	json_t *config = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:[s], s:[o], s:I}", "dir", l->dirs[ROLE_IDENTITYD],
		"socket", l->identityd, "keyd", l->keyd[ROLE_IDENTITYD], "certd", l->certd, "hub_name", c->hub_name, "device_id",
		c->device_id, "auth", c->by_certificate ? "x509" : "sas", "hub_port", (json_int_t)c->upstream_https_port, "anchors",
		l->identity_bundle, "principals", principal(l, ROLE_EDGED, json_pack("[s]", "daemon")), "max_requests",
		(json_int_t)(l->separate_users ? c->max_identityd : 64));

	if (c->identity_by_est)
		json_object_set_new(config, "make_device_certificate", json_true());
	if (c->upstream_address)
		json_object_set_new(config, "hub_address", json_string(c->upstream_address));
	return write_config(l, ROLE_IDENTITYD, config, err);
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
module_json(const struct layout *l, const char *id, uid_t uid, json_t *names)
{
	OWN_TEXT path = mem_textf("%s/%s.sock", l->mnt, id[0] == '$' ? id + 1 : id);

	return json_pack("{s:s, s:s, s:I, s:o}", "id", id, "socket", path, "uid", (json_int_t)uid, "names", names);
}

static int
write_edged(const struct layout *l, const struct config *c, struct err *err)
{
	json_t *modules = json_array();

	if (c->has_gateway)
		json_array_append_new(modules,
			module_json(l, "$edgeHub", l->users[ROLE_GATEWAY].uid, names_json(c->hostname, c->names, c->n_names)));
	for (size_t i = 0; i < c->n_modules; i++)
		json_array_append_new(modules, module_json(l, c->modules[i].id, c->modules[i].uid,
						       names_json(c->hostname, c->modules[i].names, c->modules[i].n_names)));
	return write_config(l, ROLE_EDGED,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "keyd", l->keyd[ROLE_EDGED], "certd", l->certd,
			"identityd", l->identityd, "hub_name", c->hub_name, "device_id", c->device_id, "edge_ca_common_name",
			c->ca_common_name, "edge_ca_form", c->ca_form, "modules", modules, "max_requests",
			(json_int_t)c->max_workload),
		err);
}

int
role_config_write_all(const struct layout *l, const struct config *c, struct err *err)
{
	if (write_keyd(l, c, err) < 0 || write_certd(l, c, err) < 0)
		return -1;
	return write_identityd(l, c, err) < 0 ? -1 : write_edged(l, c, err);
}
