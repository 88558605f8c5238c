/* SPDX-License-Identifier: Apache-2.0 */
/* [provisioning]: how this device is known.  Each source has keys of its own, and a key of another source is a mistake that is told. */
#include <string.h>

#include "auth/identity.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/config_tables.h"
#include "pki/issue.h"
#include "wire/codec.h"
#include "wire/connstr.h"

static void
check_belongs(const struct config_at *at, const char *source)
{
	static const struct {
		const char *key, *source;
	} rows[] = {
		{ "iothub_hostname", "manual" },
		{ "device_id", "manual" },
		{ "connection_string", "manual" },
		{ "authentication", "manual" },
		{ "global_endpoint", "dps" },
		{ "id_scope", "dps" },
		{ "payload", "dps" },
		{ "attestation", "dps" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (config_has(at, rows[i].key) && !text_is(rows[i].source, source))
			config_wrong(at, rows[i].key, "belongs to source = \"%s\"", rows[i].source);
}

/* -- How it proves who it is ---------------------------------------------------------------------------------------------------------------- */

static void
take_symmetric_key(struct config *c, const struct config_at *above, const char *key)
{
	struct config_at at = config_table(above, key);
	const char *value = config_text(&at, "value");
	struct buf bytes = BUF_INIT(SECRET_MAX);

	c->device_key_path = config_place(&at, "uri");
	if (config_has(&at, "value") && config_has(&at, "uri"))
		config_wrong(&at, "uri", "either value or uri");
	else if (value && (!base64_decode(&bytes, value, strlen(value), BASE64_LAX) || bytes.len == 0))
		config_wrong(&at, "value", "the key is not base64");
	else if (value)
		secret_set(&c->device_key, bytes.data, bytes.len);
	else if (!config_has(&at, "value") && !config_has(&at, "uri"))
		config_wrong(above, key, "neither value nor uri is given");
	buf_wipe(&bytes);
}

/* An identity whose key is made here; what makes it a device's name is the hub's business or provisioning's. */
static void
take_issued_identity(struct config *c, const struct config_at *at, const char *name)
{
	struct config_at issued = config_table(at, "identity_cert"), renewal = config_table(&issued, "auto_renew");
	OWN_TEXT given = config_issuance_common_name(&issued);
	const char *method = config_text(&issued, "method");

	c->identity_is_issued = true;
	c->identity_renewal = config_issuance_renewal(&renewal);
	if (config_has(at, "identity_pk"))
		config_wrong(at, "identity_pk", "the key of a certificate that is issued is made here");
	if (given && name && !text_is(given, name))
		config_wrong(&issued, config_has(&issued, "common_name") ? "common_name" : "subject",
			"the name is '%.64s' already: the hub knows the device by it", name);
	c->identity_subject = config_issuance_subject(&issued, name);
	config_issuance_take_request(&c->issuance, &issued, "device-id", 0);
	if (text_is(method, "est") || !name)
		return;
	if (strlen(name) > ISSUE_COMMON_NAME_MAX)
		config_wrong(&issued, NULL, "a certificate has room for a name of %d characters", ISSUE_COMMON_NAME_MAX);
}

static void
take_certificate(struct config *c, const struct config_at *at, const char *name)
{
	c->by_certificate = true;
	if (config_need(at, "identity_cert") && !config_is_text(at, "identity_cert")) {
		take_issued_identity(c, at, name);
		return;
	}
	c->identity_cert = config_file(at, "identity_cert");
	c->identity_pk = config_place(at, "identity_pk");
	if (config_has(at, "identity_cert"))
		config_need(at, "identity_pk");
}

static void
check_unused(const struct config_at *at, const char *method, const char *of_certificate, const char *of_key, const char *key)
{
	if (!text_is(method, of_certificate))
		for (int i = 0; i < 2; i++) {
			const char *name = i == 0 ? "identity_cert" : "identity_pk";

			if (config_has(at, name))
				config_wrong(at, name, "belongs to method = \"%s\"", of_certificate);
		}
	if (!text_is(method, of_key) && config_has(at, key))
		config_wrong(at, key, "belongs to method = \"%s\"", of_key);
}

/* -- Sources -------------------------------------------------------------------------------------------------------------------------------- */

static void
take_connection_string(struct config *c, const struct config_at *at, const char *text)
{
	static const char *const instead[] = { "iothub_hostname", "device_id", "authentication" };
	struct err why = ERR_INIT;
	OWN(connstr) s = connstr_parse(text, &why);

	for (size_t i = 0; i < COUNT(instead); i++)
		if (config_has(at, instead[i]))
			config_wrong(at, instead[i], "the connection string says it already");
	if (!s || !s->device_id || !s->has_key) {
		config_wrong(at, "connection_string", "%s", s ? "it has no DeviceId or no SharedAccessKey" : why.text);
		return;
	}
	c->hub_name = mem_text(s->host);
	c->device_id = mem_text(s->device_id);
	c->device_key = s->key;
	c->auth_method = mem_text("sas");
}

static void
take_manual(struct config *c, const struct config_at *at)
{
	const char *connection_string = config_text(at, "connection_string");
	struct config_at auth = config_table(at, "authentication");

	if (config_has(at, "connection_string")) {
		if (connection_string)
			take_connection_string(c, at, connection_string);
		return;
	}
	config_need(at, "iothub_hostname");
	c->hub_name = mem_text(config_text(at, "iothub_hostname"));
	if (config_need(at, "device_id"))
		c->device_id = mem_text(config_text(at, "device_id"));
	if (c->device_id && !identity_id_is_valid(c->device_id))
		config_wrong(at, "device_id", "no id that a hub takes");
	if (!config_need(&auth, "method"))
		return;
	c->auth_method = mem_text(config_text(&auth, "method"));
	check_unused(&auth, c->auth_method, "x509", "sas", "device_id_pk");
	if (text_is(c->auth_method, "sas"))
		take_symmetric_key(c, &auth, "device_id_pk");
	else if (text_is(c->auth_method, "x509"))
		take_certificate(c, &auth, c->device_id);
}

static void
take_dps(struct config *c, const struct config_at *at)
{
	struct config_at auth = config_table(at, "attestation"), payload = config_table(at, "payload");

	config_need(at, "global_endpoint");
	config_need(at, "id_scope");
	c->dps_endpoint = mem_text(config_text(at, "global_endpoint"));
	c->dps_id_scope = mem_text(config_text(at, "id_scope"));
	c->dps_payload = config_file(&payload, "uri");
	c->dps_registration_id = mem_text(config_text(&auth, "registration_id"));
	if (!config_need(&auth, "method"))
		return;
	c->auth_method = mem_text(config_text(&auth, "method"));
	check_unused(&auth, c->auth_method, "x509", "symmetric_key", "symmetric_key");
	if (!text_is(c->auth_method, "x509"))
		config_need(&auth, "registration_id");
	if (text_is(c->auth_method, "symmetric_key"))
		take_symmetric_key(c, &auth, "symmetric_key");
	else if (text_is(c->auth_method, "x509"))
		take_certificate(c, &auth, c->dps_registration_id);
	if (c->identity_is_issued && !c->dps_registration_id)
		config_wrong(&auth, "registration_id", "is missing: a certificate that is issued here needs a name");
	if (c->parent_hostname)
		config_wrong(at, "source", "under a parent gateway (parent_hostname) a device is provisioned manually");
}

void
config_take_provisioning(struct config *c, const struct config_at *root)
{
	struct config_at at = config_table(root, "provisioning");

	if (!config_need(&at, "source"))
		return;
	c->source = mem_text(config_text(&at, "source"));
	if (!c->source)
		return;
	check_belongs(&at, c->source);
	if (text_is(c->source, "manual"))
		take_manual(c, &at);
	else if (text_is(c->source, "dps"))
		take_dps(c, &at);
}
