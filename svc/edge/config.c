/* SPDX-License-Identifier: Apache-2.0 */
/* config.toml.  First every key is looked up in the table of parameters, so that a mistyped one never goes unnoticed; then the values are taken. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "auth/identity.h"
#include "edge/config.h"
#include "pki/issue.h"
#include "wire/codec.h"
#include "wire/connstr.h"
#include "wire/toml.h"
#include "wire/uri.h"

#define CONFIG_MAX (1024 * 1024)
#define PORT_MAX 65535
#define HOSTNAME_MAX 253

struct param {
	const char *table, *key, *help;
};

static const struct param params[] = {
#define PARAM(table, key, help) { table, key, help },
#include "edge/params.tbl.h"
#undef PARAM
};

void
config_print_reference(FILE *out)
{
	const char *table = NULL;

	for (size_t i = 0; i < COUNT(params); i++) {
		if (!table || strcmp(table, params[i].table) != 0) {
			table = params[i].table;
			fprintf(out,
				*table ? "\n## [%s]\n\n| key | meaning |\n|---|---|\n"
				       : "# config.toml of an edge device\n\n| key | meaning |\n|---|---|\n%s",
				table);
		}
		fprintf(out, "| `%s` | %s |\n", params[i].key, params[i].help);
	}
}

/* -- Keys ------------------------------------------------------------------------------------------------------------------------------ */

static size_t
known_keys(const char *table, const char **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(params) && n < max; i++)
		if (text_is(params[i].table, table))
			out[n++] = params[i].key;
	return n;
}

/* Tables whose keys are ids. */
static bool
has_ids(const char *table)
{
	return text_is(table, "modules") || text_is(table, "preloaded_keys") || text_is(table, "preloaded_certs") ||
	       text_is(table, "cert_issuance.est.urls");
}

/* What is a file URI or, when it is to be issued, a table. */
static bool
may_be_text(const char *table)
{
	return text_is(table, "provisioning.authentication.identity_cert");
}

static int
check_keys(const struct toml *t, const char *name, struct err *err)
{
	const char *known[COUNT(params)];
	size_t n = known_keys(name, known, COUNT(known));

	if (!has_ids(name) && toml_check_keys(t, known, n, err) < 0)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		const struct toml *value = t->item[i];
		OWN_TEXT below = mem_textf("%s%s%s", name, *name ? "." : "", text_is(name, "modules") ? "*" : value->key);

		if (!has_ids(below) && known_keys(below, known, 1) == 0)
			continue; /* no table: its value is looked at when it is taken */
		if (value->type == TOML_STRING && may_be_text(below))
			continue;
		if (value->type != TOML_TABLE)
			return toml_err(value, err, "a table is expected, not %s", toml_type_name(value->type));
		if (check_keys(value, below, err) < 0)
			return -1;
	}
	return 0;
}

/* -- Values ---------------------------------------------------------------------------------------------------------------------------- */

static int
take_text(char **out, const struct toml *root, const char *path, struct err *err)
{
	const char *text = NULL;

	if (toml_find_text(root, path, &text, err) < 0)
		return -1;
	*out = mem_text(text);
	return 0;
}

/* A file URI or a path; it need not be there yet. */
static int
take_path(char **out, const struct toml *root, const char *path, struct err *err)
{
	const char *text = NULL;
	struct err why = ERR_INIT;

	if (toml_find_text(root, path, &text, err) < 0 || !text)
		return text ? -1 : err->kind == ERR_NONE ? 0 : -1;
	*out = uri_file_path(text, &why);
	return *out ? 0 : toml_err(toml_find_path(root, path), err, "%s", why.text);
}

static int
take_key_place(char **out, const struct toml *root, const char *path, struct err *err)
{
	const char *text = NULL;

	if (toml_find_text(root, path, &text, err) < 0)
		return -1;
	return text ? config_keys_take_place(out, toml_find_path(root, path), err) : 0;
}

/* What is to stand in certificates. */
static int
check_host(const char *name, const struct toml *value, struct err *err)
{
	return issue_is_host(name) ? 0 : toml_err(value, err, "'%.100s' is neither a DNS name nor an IP address", name);
}

static int
need(const char *value, const char *key, const char *file, struct err *err)
{
	return value ? 0 : err_set(err, ERR_INVALID, "%s: %s is missing", file, key);
}

static int
take_names(char **names, size_t *n, const struct toml *root, const char *path, struct err *err)
{
	const struct toml *list = NULL;

	if (toml_find_array(root, path, &list, err) < 0)
		return -1;
	for (size_t i = 0; list && i < list->n; i++) {
		if (list->item[i]->type != TOML_STRING)
			return toml_err(list->item[i], err, "%s is a list of texts", path);
		if (*n == CONFIG_NAMES_MAX)
			return toml_err(list->item[i], err, "%s: more than %d names", path, CONFIG_NAMES_MAX);
		if (check_host(list->item[i]->text, list, err) < 0)
			return -1;
		names[(*n)++] = mem_text(list->item[i]->text);
	}
	return 0;
}

static int
take_connection_string(struct config *c, const struct toml *root, const char *text, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(connstr) s = connstr_parse(text, &why);

	if (!s || !s->device_id || !s->has_key)
		return toml_err(toml_find_path(root, "provisioning.connection_string"), err, "%s",
			s ? "the connection string has no DeviceId or no SharedAccessKey" : why.text);
	c->hub_name = mem_text(s->host);
	c->device_id = mem_text(s->device_id);
	c->device_key = s->key;
	return 0;
}

static int
take_device_key(struct config *c, const struct toml *root, const char *file, struct err *err)
{
	static const char value_path[] = "provisioning.authentication.device_id_pk.value";
	const char *value = NULL;
	struct buf bytes = BUF_INIT(SECRET_MAX);
	int status = 0;

	if (toml_find_text(root, value_path, &value, err) < 0 ||
		take_key_place(&c->device_key_path, root, "provisioning.authentication.device_id_pk.uri", err) < 0)
		return -1;
	if (value && (!base64_decode(&bytes, value, strlen(value), BASE64_LAX) || bytes.len == 0))
		status = toml_err(toml_find_path(root, value_path), err, "the key is not base64");
	else if (value)
		secret_set(&c->device_key, bytes.data, bytes.len);
	else if (!c->device_key_path)
		status = err_set(
			err, ERR_INVALID, "%s: provisioning.authentication.device_id_pk: neither value nor uri is given", file);
	buf_wipe(&bytes);
	return status;
}

/* Its key is made here, and its name is the device's: the hub knows the device by it. */
static int
take_issued_identity(struct config *c, const struct toml *table, struct err *err)
{
	const char *method = NULL;

	if (toml_get_text(table, "method", &method, err) < 0)
		return -1;
	if (!text_is(method, "est"))
		return toml_err(toml_find(table, "method"), err, "est, not '%s'", method);
	c->identity_by_est = true;
	return config_est_take_request(&c->est, table, "device-id", err);
}

static int
take_authentication(struct config *c, const struct toml *root, const char *file, struct err *err)
{
	const struct toml *identity;
	const char *method = NULL;

	if (toml_find_text(root, "provisioning.authentication.method", &method, err) < 0 ||
		need(method, "provisioning.authentication.method", file, err) < 0)
		return -1;
	if (text_is(method, "sas"))
		return take_device_key(c, root, file, err);
	if (!text_is(method, "x509"))
		return toml_err(toml_find_path(root, "provisioning.authentication.method"), err, "x509 or sas, not '%s'", method);
	c->by_certificate = true;
	identity = toml_find_path(root, "provisioning.authentication.identity_cert");
	if (identity && identity->type == TOML_TABLE)
		return take_issued_identity(c, identity, err);
	if (take_path(&c->identity_cert, root, "provisioning.authentication.identity_cert", err) < 0 ||
		take_key_place(&c->identity_pk, root, "provisioning.authentication.identity_pk", err) < 0 ||
		need(c->identity_cert, "provisioning.authentication.identity_cert", file, err) < 0)
		return -1;
	return need(c->identity_pk, "provisioning.authentication.identity_pk", file, err);
}

static int
take_provisioning(struct config *c, const struct toml *root, const char *file, struct err *err)
{
	const char *source = NULL, *connection_string = NULL;

	if (toml_find_text(root, "provisioning.source", &source, err) < 0 ||
		toml_find_text(root, "provisioning.connection_string", &connection_string, err) < 0 ||
		need(source, "provisioning.source", file, err) < 0)
		return -1;
	if (!text_is(source, "manual"))
		return toml_err(toml_find_path(root, "provisioning.source"), err,
			"this version provisions manually only (source = \"manual\")");
	if (connection_string)
		return take_connection_string(c, root, connection_string, err);
	if (take_text(&c->hub_name, root, "provisioning.iothub_hostname", err) < 0 ||
		take_text(&c->device_id, root, "provisioning.device_id", err) < 0 ||
		need(c->hub_name, "provisioning.iothub_hostname", file, err) < 0 ||
		need(c->device_id, "provisioning.device_id", file, err) < 0)
		return -1;
	if (!identity_id_is_valid(c->device_id))
		return toml_err(toml_find_path(root, "provisioning.device_id"), err, "no id that a hub takes");
	return take_authentication(c, root, file, err);
}

static int
take_edge_ca(struct config *c, const struct toml *root, const char *file, struct err *err)
{
	int64_t quickstart_days = 90;

	c->ca_days = 30;
	if (take_path(&c->ca_cert, root, "edge_ca.cert", err) < 0 || take_key_place(&c->ca_pk, root, "edge_ca.pk", err) < 0 ||
		take_text(&c->ca_method, root, "edge_ca.method", err) < 0 ||
		take_text(&c->ca_common_name, root, "edge_ca.common_name", err) < 0 ||
		toml_find_int(root, "edge_ca.expiry_days", 1, 36500, &c->ca_days, err) < 0 ||
		toml_find_int(root, "edge_ca.auto_generated_edge_ca_expiry_days", 1, 36500, &quickstart_days, err) < 0 ||
		take_path(&c->local_ca_cert, root, "cert_issuance.local_ca.cert", err) < 0 ||
		take_key_place(&c->local_ca_pk, root, "cert_issuance.local_ca.pk", err) < 0)
		return -1;
	if (!c->ca_common_name)
		c->ca_common_name = mem_textf("aziot-edge CA %.46s", c->device_id);
	if (c->ca_cert || c->ca_pk) {
		c->ca_form = mem_text("preloaded");
		return need(c->ca_cert, "edge_ca.cert", file, err) < 0 ? -1 : need(c->ca_pk, "edge_ca.pk", file, err);
	}
	if (text_is(c->ca_method, "est")) {
		c->ca_form = mem_text("issued");
		return config_est_take_request(&c->est, toml_find(root, "edge_ca"), "aziot-edged-ca", err);
	}
	if (c->ca_method && !text_is(c->ca_method, "self_signed") && !text_is(c->ca_method, "local_ca"))
		return toml_err(
			toml_find_path(root, "edge_ca.method"), err, "self_signed, local_ca or est, not '%s'", c->ca_method);
	if (text_is(c->ca_method, "local_ca")) {
		c->ca_form = mem_text("issued");
		return need(c->local_ca_cert, "cert_issuance.local_ca.cert", file, err) < 0
			       ? -1
			       : need(c->local_ca_pk, "cert_issuance.local_ca.pk", file, err);
	}
	c->ca_form = mem_text("quickstart");
	c->ca_days = quickstart_days;
	return 0;
}

static int
take_preloaded(json_t **out, const struct toml *root, const char *path, bool lists, struct err *err)
{
	const struct toml *t = NULL;

	*out = json_object();
	if (toml_find_table(root, path, &t, err) < 0)
		return -1;
	for (size_t i = 0; t && i < t->n; i++) {
		const struct toml *value = t->item[i];
		struct err why = ERR_INIT;

		if (value->type == TOML_STRING && !lists) {
			OWN_TEXT place = NULL;

			if (config_keys_take_place(&place, value, err) < 0)
				return -1;
			json_object_set_new(*out, value->key, json_string(place));
		} else if (value->type == TOML_STRING) {
			OWN_TEXT file = uri_file_path(value->text, &why);

			if (!file)
				return toml_err(value, err, "%s", why.text);
			json_object_set_new(*out, value->key, json_string(file));
		} else if (lists && value->type == TOML_ARRAY) {
			json_t *list = json_array();

			for (size_t k = 0; k < value->n; k++)
				json_array_append_new(
					list, json_string(value->item[k]->type == TOML_STRING ? value->item[k]->text : ""));
			json_object_set_new(*out, value->key, list);
		} else {
			return toml_err(value, err, "a file URI is expected, not %s", toml_type_name(value->type));
		}
	}
	return 0;
}

/* A module's socket and its names in certificates go without the "$" of the hub's own modules. */
static const char *
bare(const char *module_id)
{
	return module_id[0] == '$' ? module_id + 1 : module_id;
}

static int
check_module(const struct config *c, const struct toml *value, struct err *err)
{
	const char *id = value->key;

	if (!identity_id_is_valid(id) || !*bare(id))
		return toml_err(value, err, "'%.100s' is no module id", id);
	if (c->has_gateway && text_is_nocase(bare(id), "edgeHub"))
		return toml_err(value, err, "the gateway is this module; [gateway] enabled = false leaves it to another");
	for (size_t i = 0; i < c->n_modules; i++)
		if (text_is_nocase(bare(id), bare(c->modules[i].id)))
			return toml_err(value, err, "there is the module '%s' already", c->modules[i].id);
	return 0;
}

static int
take_modules(struct config *c, const struct toml *root, struct err *err)
{
	const struct toml *t = NULL;

	if (toml_find_table(root, "modules", &t, err) < 0)
		return -1;
	for (size_t i = 0; t && i < t->n; i++) {
		struct config_module *m = &c->modules[c->n_modules];
		int64_t uid = -1;

		if (c->n_modules == CONFIG_MODULES_MAX)
			return toml_err(t->item[i], err, "more than %d modules", CONFIG_MODULES_MAX);
		if (check_module(c, t->item[i], err) < 0 || toml_get_int(t->item[i], "uid", 0, UINT32_MAX - 1, &uid, err) < 0)
			return -1;
		m->id = mem_text(t->item[i]->key);
		m->uid = (uid_t)uid;
		c->n_modules++;
		if (take_names(m->names, &m->n_names, t->item[i], "names", err) < 0)
			return -1;
	}
	return 0;
}

static int
take_gateway(struct config *c, const struct toml *root, struct err *err)
{
	c->has_gateway = true;
	c->gateway_mqtt_port = c->upstream_mqtt_port = 8883;
	c->upstream_https_port = 443;
	c->max_queue_mib = 1024;
	c->first_uid = 61840;
	if (toml_find_bool(root, "gateway.enabled", &c->has_gateway, err) < 0 ||
		take_text(&c->gateway_address, root, "gateway.address", err) < 0 ||
		toml_find_int(root, "gateway.mqtt_port", 0, PORT_MAX, &c->gateway_mqtt_port, err) < 0 ||
		take_names(c->names, &c->n_names, root, "gateway.names", err) < 0 ||
		toml_find_int(root, "gateway.max_queue_mib", 1, 1 << 24, &c->max_queue_mib, err) < 0 ||
		take_text(&c->upstream_address, root, "upstream.address", err) < 0 ||
		toml_find_int(root, "upstream.mqtt_port", 1, PORT_MAX, &c->upstream_mqtt_port, err) < 0 ||
		toml_find_int(root, "upstream.https_port", 1, PORT_MAX, &c->upstream_https_port, err) < 0)
		return -1;
	if (!c->gateway_address)
		c->gateway_address = mem_text("0.0.0.0");
	return toml_find_int(root, "privileges.first_uid", 1, 1 << 30, &c->first_uid, err);
}

static int
take_limits(struct config *c, const struct toml *root, struct err *err)
{
	c->max_keyd = 64; /* each handshake of the gateway asks it */
	c->max_certd = c->max_identityd = c->max_workload = 10;
	if (toml_find_int(root, "aziot_max_requests.keyd", 1, 10000, &c->max_keyd, err) < 0 ||
		toml_find_int(root, "aziot_max_requests.certd", 1, 10000, &c->max_certd, err) < 0 ||
		toml_find_int(root, "aziot_max_requests.identityd", 1, 10000, &c->max_identityd, err) < 0)
		return -1;
	return toml_find_int(root, "iotedge_max_requests.workload", 1, 10000, &c->max_workload, err);
}

static int
take_all(struct config *c, const struct toml *root, const char *file, struct err *err)
{
	char own_name[HOSTNAME_MAX + 1] = "";

	if (check_keys(root, "", err) < 0 || take_text(&c->hostname, root, "hostname", err) < 0 ||
		take_path(&c->trust_bundle, root, "trust_bundle_cert", err) < 0 || config_est_take(&c->est, root, err) < 0 ||
		take_provisioning(c, root, file, err) < 0 || take_edge_ca(c, root, file, err) < 0 ||
		take_limits(c, root, err) < 0 || take_gateway(c, root, err) < 0 || take_modules(c, root, err) < 0 ||
		take_preloaded(&c->preloaded_keys, root, "preloaded_keys", false, err) < 0 ||
		config_keys_take(&c->keys, root, err) < 0)
		return -1;
	if (!c->hostname && gethostname(own_name, sizeof(own_name) - 1) == 0)
		c->hostname = mem_text(own_name);
	if (!c->hostname || !issue_is_host(c->hostname) || strlen(c->hostname) > ISSUE_COMMON_NAME_MAX)
		return err_set(err, ERR_INVALID, "%s: hostname: '%.100s' is no name or address of at most %d characters", file,
			c->hostname ? c->hostname : "", ISSUE_COMMON_NAME_MAX);
	return take_preloaded(&c->preloaded_certs, root, "preloaded_certs", true, err);
}

struct config *
config_load(const char *path, struct err *err)
{
	struct buf text = BUF_INIT(CONFIG_MAX);
	OWN(config) c = NEW(config);
	OWN(toml) root = NULL;

	config_est_init(&c->est);
	if (file_load(&text, path, err) == 0)
		root = toml_parse(buf_text(&text), text.len, path, err);
	buf_wipe(&text);
	if (!root || take_all(c, root, path, err) < 0)
		return NULL;
	return GIVE(c);
}

static void
free_texts(struct config *c)
{
	char **texts[] = { &c->hostname, &c->hub_name, &c->device_id, &c->trust_bundle, &c->identity_cert, &c->identity_pk,
		&c->device_key_path, &c->ca_form, &c->ca_cert, &c->ca_pk, &c->ca_method, &c->ca_common_name, &c->local_ca_cert,
		&c->local_ca_pk, &c->gateway_address, &c->upstream_address };

	for (size_t i = 0; i < COUNT(texts); i++)
		mem_free(*texts[i]);
}

void
config_free(struct config *c)
{
	if (!c)
		return;
	free_texts(c);
	config_est_clear(&c->est);
	for (size_t i = 0; i < c->n_names; i++)
		mem_free(c->names[i]);
	for (size_t m = 0; m < c->n_modules; m++) {
		mem_free(c->modules[m].id);
		for (size_t i = 0; i < c->modules[m].n_names; i++)
			mem_free(c->modules[m].names[i]);
	}
	json_decref(c->preloaded_keys);
	json_decref(c->preloaded_certs);
	config_keys_clear(&c->keys);
	secret_clear(&c->device_key);
	mem_free(c);
}
