/* SPDX-License-Identifier: Apache-2.0 */
/* config.toml as a whole: first every key and value is looked at by the table of parameters, so that a mistyped one never goes unnoticed, then each table is taken. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_source.h"
#include "edge/config_tables.h"
#include "pki/issue.h"

#define HOSTNAME_MAX 253

void
config_take_names(char **names, size_t *n, const struct config_at *at, const char *key)
{
	const struct toml *list = config_list(at, key);

	for (size_t i = 0; list && i < list->n; i++) {
		if (*n == CONFIG_NAMES_MAX) {
			config_wrong(at, key, "more than %d names", CONFIG_NAMES_MAX);
			return;
		}
		names[(*n)++] = mem_text(list->item[i]->text);
	}
}

static void
take_hostname(struct config *c, const struct config_at *root)
{
	char own_name[HOSTNAME_MAX + 1] = "";
	const char *given = config_text(root, "hostname");
	struct err why = ERR_INIT;

	if (!config_has(root, "hostname") && gethostname(own_name, sizeof(own_name) - 1) == 0)
		given = own_name;
	if (!given)
		return;
	c->hostname = mem_text(given);
	if (issue_check_server_name(given, &why) < 0)
		config_wrong(root, "hostname", "%s%s",
			config_has(root, "hostname") ? "" : "it is missing, and of this machine's own name: ", why.text);
	else if (strlen(given) > ISSUE_COMMON_NAME_MAX)
		config_wrong(root, "hostname", "'%.100s' has more than %d characters", given, ISSUE_COMMON_NAME_MAX);
}

static void
take_parent(struct config *c, const struct config_at *root)
{
	const char *key = config_has(root, "parent_hostname") ? "parent_hostname" : "local_gateway_hostname";

	if (config_has(root, "parent_hostname") && config_has(root, "local_gateway_hostname"))
		config_wrong(root, "local_gateway_hostname", "parent_hostname says it already");
	c->parent_hostname = mem_text(config_text(root, key));
	if (c->parent_hostname && text_is_nocase(c->parent_hostname, c->hostname))
		config_wrong(root, key, "that is this device's own hostname");
}

static void
take_general(struct config *c, const struct config_at *root)
{
	struct config_at localid = config_table(root, "localid");

	take_hostname(c, root);
	take_parent(c, root);
	c->trust_bundle = config_file(root, "trust_bundle_cert");
	c->reprovisioning = mem_text(config_text(root, "auto_reprovisioning_mode"));
	c->additional_info = config_file(root, "additional_info");
	c->cloud_timeout_s = config_int(root, "cloud_timeout_sec");
	c->cloud_retries = config_int(root, "cloud_retries");
	c->prefer_module_cache = config_bool(root, "prefer_module_identity_cache");
	c->localid_domain = mem_text(config_text(&localid, "domain"));
}

/* What a role may read that has to read this file: another file may take its place, and only the folder stays. */
static char *
folder_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash && slash > path ? mem_textn(path, (size_t)(slash - path)) : NULL;
}

static void
take_gateway(struct config *c, const struct config_at *root)
{
	struct config_at gateway = config_table(root, "gateway"), upstream = config_table(root, "upstream");
	struct config_at privileges = config_table(root, "privileges");

	c->has_gateway = config_bool(&gateway, "enabled");
	c->gateway_address = mem_text(config_text(&gateway, "address"));
	c->gateway_crl_dir = mem_text(config_text(&gateway, "crl_dir"));
	c->gateway_routes = mem_text(config_text(&gateway, "routes"));
	c->gateway_routes_dir = folder_of(c->gateway_routes);
	c->when_full = mem_text(config_text(&gateway, "when_full"));
	c->gateway_mqtt_port = config_int(&gateway, "mqtt_port");
	c->gateway_https_port = config_int(&gateway, "https_port");
	c->https_port_is_given = config_has(&gateway, "https_port");
	c->gateway_metrics_address = mem_text(config_text(&gateway, "metrics_address"));
	c->gateway_metrics_port = config_int(&gateway, "metrics_port");
	c->max_clients = config_int(&gateway, "max_clients");
	c->accepts_per_second = config_int(&gateway, "accepts_per_second");
	c->connects_per_second = config_int(&gateway, "connects_per_second");
	c->audit_mib = config_int(&gateway, "audit_mib");
	c->max_queue_mib = config_int(&gateway, "max_queue_mib");
	config_take_names(c->names, &c->n_names, &gateway, "names");
	c->upstream_address = mem_text(config_text(&upstream, "address"));
	c->upstream_mqtt_port = config_int(&upstream, "mqtt_port");
	c->upstream_https_port = config_int(&upstream, "https_port");
	c->first_uid = config_int(&privileges, "first_uid");
}

static void
take_limits(struct config *c, const struct config_at *root)
{
	struct config_at aziot = config_table(root, "aziot_max_requests"), edge = config_table(root, "iotedge_max_requests");

	c->max_keyd = config_int(&aziot, "keyd");
	c->max_certd = config_int(&aziot, "certd");
	c->max_identityd = config_int(&aziot, "identityd");
	c->max_tpmd = config_int(&aziot, "tpmd");
	c->max_workload = config_int(&edge, "workload");
	c->max_management = config_int(&edge, "management");
}

struct config *
config_from_toml(const struct toml *root, struct findings *findings)
{
	struct config_at at = config_read_root(root, findings);
	size_t errors = findings->n_errors;
	OWN(config) c = NEW(config);

	config_read_check(root, findings);
	config_issuance_init(&c->issuance);
	config_issuance_take(&c->issuance, &at);
	take_general(c, &at);
	take_limits(c, &at);
	take_gateway(c, &at);
	config_take_server_certs(c, &at);
	config_take_offline(c, &at);
	config_take_provisioning(c, &at);
	config_take_edge_ca(c, &at);
	config_take_preloaded(c, &at);
	config_take_trust(c, &at);
	config_keys_take(&c->keys, &at);
	config_take_modules(c, &at);
	config_take_principals(c, &at);
	return findings->n_errors == errors ? GIVE(c) : NULL;
}

struct config *
config_load_telling(const char *path, struct findings *findings)
{
	OWN(toml) root = config_source_load(path, findings);

	return root ? config_from_toml(root, findings) : NULL;
}

struct config *
config_load(const char *path, struct err *err)
{
	CLEAR(findings) findings = { 0 };
	OWN(config) c = config_load_telling(path, &findings);

	(void)findings_first_error(&findings, err);
	return GIVE(c);
}

static void
free_texts(struct config *c)
{
	char **texts[] = { &c->hostname, &c->parent_hostname, &c->trust_bundle, &c->trust_source, &c->reprovisioning,
		&c->additional_info, &c->localid_domain, &c->source, &c->hub_name, &c->device_id, &c->dps_endpoint,
		&c->dps_id_scope, &c->dps_registration_id, &c->dps_payload, &c->auth_method, &c->identity_cert, &c->identity_pk,
		&c->device_key_path, &c->ca_form, &c->ca_cert, &c->ca_pk, &c->ca_method, &c->ca_common_name, &c->gateway_address,
		&c->gateway_metrics_address, &c->gateway_crl_dir, &c->gateway_routes, &c->gateway_routes_dir, &c->when_full,
		&c->upstream_address };

	for (size_t i = 0; i < COUNT(texts); i++)
		mem_free(*texts[i]);
}

void
config_free(struct config *c)
{
	if (!c)
		return;
	free_texts(c);
	for (size_t i = 0; i < c->n_names; i++)
		mem_free(c->names[i]);
	for (size_t i = 0; i < c->n_offline; i++)
		mem_free(c->offline[i]);
	for (size_t i = 0; i < c->n_server_certs; i++) {
		mem_free(c->server_certs[i].name);
		mem_free(c->server_certs[i].key_id);
		mem_free(c->server_certs[i].cert);
		mem_free(c->server_certs[i].pk);
	}
	for (size_t m = 0; m < c->n_modules; m++) {
		mem_free(c->modules[m].id);
		mem_free(c->modules[m].executable);
		mem_free(c->modules[m].unit);
		mem_free(c->modules[m].cgroup);
		mem_free(c->modules[m].key);
		for (size_t i = 0; i < c->modules[m].n_names; i++)
			mem_free(c->modules[m].names[i]);
	}
	json_decref(c->identity_subject);
	json_decref(c->ca_subject);
	json_decref(c->identity_renewal);
	json_decref(c->ca_renewal);
	json_decref(c->preloaded_keys);
	json_decref(c->preloaded_certs);
	json_decref(c->principals);
	config_issuance_clear(&c->issuance);
	config_keys_clear(&c->keys);
	secret_clear(&c->device_key);
	mem_free(c);
}
