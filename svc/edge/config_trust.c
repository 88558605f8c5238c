/* SPDX-License-Identifier: Apache-2.0 */
/* [trust]: from where this device hears which roots follow those that it was given (docs/trust.md). */
#include "base/mem.h"
#include "base/text.h"
#include "edge/config_tables.h"

/* The EST server that its certificates come from, where no other one is named. */
static const char *
est_server(const struct config_issuance *e)
{
	const char *url = json_string_value(json_object_get(json_object_get(json_object_get(e->tables, "est"), "urls"), "default"));
	const char *id;
	json_t *own;

	if (url)
		return url;
	json_object_foreach(e->tables, id, own)
		if (json_object_get(own, "url"))
			return json_string_value(json_object_get(own, "url"));
	return NULL;
}

static bool
has_roots(const struct config *c)
{
	return c->trust_bundle || c->issuance.n_trusted > 0;
}

/* After the tables that name servers and roots. */
void
config_take_trust(struct config *c, const struct config_at *root)
{
	struct config_at trust = config_table(root, "trust");
	const char *source = config_text(&trust, "source");

	c->trust_interval_s = config_int(&trust, "interval_sec");
	if (source && !has_roots(c))
		config_wrong(&trust, "source", "there are no roots that others could follow: trust_bundle_cert is missing");
	if (config_bool(&trust, "follow") && has_roots(c))
		c->trust_source = mem_text(source ? source : est_server(&c->issuance));
	c->trust_is_named = source != NULL;
}
