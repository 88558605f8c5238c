/* SPDX-License-Identifier: Apache-2.0 */
/* How certificates are issued.  What certd, edged and identityd ask for goes by ids; a table here says by whom each id is signed, and for how long. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_issuance.h"
#include "pki/issue.h"
#include "pki/subject.h"

void
config_issuance_init(struct config_issuance *i)
{
	*i = (struct config_issuance){ .tables = json_object(), .certs = json_object(), .keys = json_object() };
}

void
config_issuance_clear(struct config_issuance *i)
{
	json_decref(i->tables);
	json_decref(i->certs);
	json_decref(i->keys);
	mem_free(i->local_ca_cert);
	mem_free(i->local_ca_pk);
}

json_t *
config_issuance_renewal(const struct config_at *at)
{
	return json_pack("{s:b, s:s*, s:s*}", "rotate_key", config_bool(at, "rotate_key"), "threshold",
		config_text(at, "threshold"), "retry", config_text(at, "retry"));
}

const char *
config_issuance_method(const struct config_issuance *i, const char *id)
{
	return json_string_value(json_object_get(json_object_get(i->tables, id), "method"));
}

/* -- Subjects ----------------------------------------------------------------------------------------------------------------------------- */

char *
config_issuance_common_name(const struct config_at *at)
{
	struct config_at subject = config_table(at, "subject");
	const char *own = config_text(at, "common_name"), *name = own ? own : config_text(&subject, "CN");

	if (config_has(at, "common_name") && config_has(at, "subject"))
		config_wrong(at, "subject", "either common_name or subject");
	if (name && (!*name || strlen(name) > ISSUE_COMMON_NAME_MAX))
		config_wrong(at, own ? "common_name" : "subject", "a common name has between 1 and %d characters",
			ISSUE_COMMON_NAME_MAX);
	return mem_text(name);
}

json_t *
config_issuance_subject(const struct config_at *at, const char *common_name)
{
	struct config_at subject = config_table(at, "subject");
	json_t *made = NULL;
	struct err why = ERR_INIT;
	X509_NAME *name;

	if (!subject.table || (subject.table->n == 1 && config_has(&subject, "CN")))
		return NULL;
	made = json_object();
	for (size_t i = 0; i < subject.table->n; i++) {
		const char *key = subject.table->item[i]->key, *value = config_text(&subject, key);

		if (value)
			json_object_set_new(made, key, json_string(value));
	}
	if (common_name && !json_object_get(made, "CN"))
		json_object_set_new(made, "CN", json_string(common_name));
	name = subject_from_json(made, &why);
	if (!name)
		config_wrong(at, "subject", "%s", why.text);
	X509_NAME_free(name);
	return made;
}

/* -- Requests ----------------------------------------------------------------------------------------------------------------------------- */

static void
check_local(const struct config_issuance *i, const struct config_at *at)
{
	struct config_at root = config_read_root(at->root, at->findings), tables = config_table(&root, "cert_issuance");
	struct config_at local = config_table(&tables, "local_ca");

	(void)i;
	if (!config_has(&local, "method") && (!config_has(&local, "cert") || !config_has(&local, "pk")))
		config_wrong(at, "method", "there is no CA on this box: cert_issuance.local_ca.cert and pk are missing");
}

void
config_issuance_check_method(const struct config_at *at, const char *method)
{
	static const char *const of_est[] = { "url", "username", "password", "identity_cert", "identity_pk",
		"bootstrap_identity_cert", "bootstrap_identity_pk", "trusted_certs" };

	for (size_t i = 0; !text_is(method, "est") && i < COUNT(of_est); i++)
		if (config_has(at, of_est[i]))
			config_wrong(at, of_est[i], "belongs to method = \"est\"");
	if (text_is(method, "est") && config_has(at, "expiry_days"))
		config_warn(at, "expiry_days", "does nothing: an EST server decides how long its certificates live");
}

static void
set_subject(json_t *own, const struct config_at *at, const char *name)
{
	json_t *subject = config_issuance_subject(at, name);

	if (subject)
		json_object_set_new(own, "subject", subject);
	else if (name)
		json_object_set_new(own, "common_name", json_string(name));
}

void
config_issuance_take_request(struct config_issuance *i, const struct config_at *at, const char *id, int64_t days)
{
	const char *method = config_text(at, "method");
	OWN_TEXT name = config_issuance_common_name(at);
	json_t *own;

	if (!method) {
		config_need(at, "method");
		return;
	}
	own = json_pack("{s:s}", "method", method);
	if (!text_is(method, "est")) /* there it stands in the request */
		set_subject(own, at, name);
	json_object_set_new(i->tables, id, own);
	config_issuance_check_method(at, method);
	if (text_is(method, "est"))
		config_est_take_request(i, at, id, own);
	else
		json_object_set_new(own, "expiry_days", json_integer(days > 0 ? days : config_int(at, "expiry_days")));
	if (text_is(method, "local_ca"))
		check_local(i, at);
}

/* -- Tables ------------------------------------------------------------------------------------------------------------------------------- */

static const char *const given[] = { "cert", "pk" };

/* certd makes its request, so the subject stands here with every method. */
static void
take_issued_local_ca(struct config_issuance *i, const struct config_at *at)
{
	struct config_at renewal = config_table(at, "auto_renew");
	OWN_TEXT name = config_issuance_common_name(at);
	json_t *own;

	config_issuance_take_request(i, at, "local-ca", 0);
	own = json_object_get(i->tables, "local-ca");
	if (text_is(config_issuance_method(i, "local-ca"), "local_ca"))
		config_wrong(at, "method", "est or self_signed: it can't be issued by itself");
	if (!name)
		config_need(at, "common_name");
	for (size_t k = 0; k < COUNT(given); k++)
		if (config_has(at, given[k]))
			config_wrong(at, given[k], "either a method, or cert and pk");
	set_subject(own, at, name);
	json_object_set_new(own, "auto_renew", config_issuance_renewal(&renewal));
}

static void
take_local_ca(struct config_issuance *i, const struct config_at *tables)
{
	struct config_at at = config_table(tables, "local_ca");

	if (config_has(&at, "method"))
		take_issued_local_ca(i, &at);
	if (!at.table || config_has(&at, "method"))
		return;
	i->local_ca_cert = config_file(&at, "cert");
	i->local_ca_pk = config_place(&at, "pk");
	config_need(&at, "cert");
	config_need(&at, "pk");
}

/* Ids that other tables of config.toml are about, and what they are there. */
static const struct {
	const char *id, *table;
} taken[] = {
	{ "aziot-edged-ca", "edge_ca" },
	{ "device-id", "provisioning.authentication.identity_cert" },
	{ "local-ca", "cert_issuance.local_ca" },
};

static void
take_id(struct config_issuance *i, const struct config_at *tables, size_t n)
{
	const char *id = tables->table->item[n]->key;
	struct config_at at = config_entry(tables, n);

	for (size_t k = 0; k < COUNT(taken); k++)
		if (text_is(taken[k].id, id)) {
			config_wrong(&at, NULL, "how this one is issued stands in [%s]", taken[k].table);
			return;
		}
	if (at.table)
		config_issuance_take_request(i, &at, id, 0);
}

void
config_issuance_take(struct config_issuance *i, const struct config_at *root)
{
	struct config_at tables = config_table(root, "cert_issuance");

	config_est_take(i, root); /* before all that may be asked there */
	take_local_ca(i, &tables);
	for (size_t n = 0; tables.table && n < tables.table->n; n++)
		if (!text_is(tables.table->item[n]->key, "est") && !text_is(tables.table->item[n]->key, "local_ca"))
			take_id(i, &tables, n);
}
