/* SPDX-License-Identifier: Apache-2.0 */
/* [edge_ca]: which of its forms it has follows from the keys that are there (edge-services 5.2). */
#include "base/mem.h"
#include "base/text.h"
#include "edge/config_tables.h"

/* The device's id may be known to provisioning alone. */
static char *
default_name(const struct config *c)
{
	const char *id = c->device_id ? c->device_id : c->dps_registration_id;

	return id ? mem_textf("aziot-edge CA %.50s", id) : mem_text("aziot-edge CA");
}

static void
take_preloaded(struct config *c, const struct config_at *at)
{
	static const char *const strangers[] = { "method", "common_name", "subject", "expiry_days", "auto_renew",
		"auto_generated_edge_ca_expiry_days" };

	c->ca_form = mem_text("preloaded");
	c->ca_cert = config_file(at, "cert");
	c->ca_pk = config_place(at, "pk");
	config_need(at, "cert");
	config_need(at, "pk");
	for (size_t i = 0; i < COUNT(strangers); i++)
		if (config_has(at, strangers[i]))
			config_wrong(
				at, strangers[i], "the Edge CA is the one in edge_ca.cert; it is neither made nor renewed here");
}

static void
set_subject(struct config *c)
{
	json_t *own = json_object_get(c->issuance.tables, "aziot-edged-ca");

	if (c->ca_subject)
		json_object_set(own, "subject", c->ca_subject);
	else
		json_object_set_new(own, "common_name", json_string(c->ca_common_name));
}

/* Made here and signed by itself: the quickstart Edge CA, and method = "self_signed", which is the same. */
static void
take_self_signed(struct config *c, const struct config_at *at)
{
	int64_t days = config_int(at, config_has(at, "expiry_days") ? "expiry_days" : "auto_generated_edge_ca_expiry_days");

	c->ca_form = mem_text("quickstart");
	config_issuance_check_method(at, "self_signed");
	json_object_set_new(c->issuance.tables, "aziot-edged-ca",
		json_pack("{s:s, s:I}", "method", "self_signed", "expiry_days", (json_int_t)days));
	set_subject(c);
}

static void
take_issued(struct config *c, const struct config_at *at)
{
	c->ca_form = mem_text("issued");
	if (config_has(at, "auto_generated_edge_ca_expiry_days"))
		config_wrong(
			at, "auto_generated_edge_ca_expiry_days", "belongs to an Edge CA that signs itself; this is expiry_days");
	config_issuance_take_request(&c->issuance, at, "aziot-edged-ca", 0);
	if (!text_is(config_text(at, "method"), "est"))
		set_subject(c);
}

void
config_take_edge_ca(struct config *c, const struct config_at *root)
{
	struct config_at at = config_table(root, "edge_ca"), renewal = config_table(&at, "auto_renew");

	c->ca_method = mem_text(config_text(&at, "method"));
	c->ca_common_name = config_issuance_common_name(&at);
	if (!c->ca_common_name)
		c->ca_common_name = default_name(c);
	if (config_has(&at, "cert") || config_has(&at, "pk")) {
		take_preloaded(c, &at);
		return;
	}
	c->ca_subject = config_issuance_subject(&at, c->ca_common_name);
	c->ca_renewal = config_issuance_renewal(&renewal);
	if (config_has(&at, "method") && !text_is(c->ca_method, "self_signed"))
		take_issued(c, &at);
	else
		take_self_signed(c, &at);
}
