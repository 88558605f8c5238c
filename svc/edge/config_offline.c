/* SPDX-License-Identifier: Apache-2.0 */
/* What ends with time at the gateway: sessions, and by [offline] what the hub said of a device.  Each rule of that is handed to it as "WHAT=TIME". */
#include "base/mem.h"
#include "common/renewal.h"
#include "edge/config_tables.h"

/* Seconds; 0: there is none, or it is told already. */
static int64_t
take_time(const struct config_at *at, const char *key)
{
	const char *text = config_text(at, key);
	struct renewal_span span = { 0 };
	struct err ignored = ERR_INIT;

	if (text && renewal_span_parse(&span, text, &ignored) == 0 && span.percent > 0)
		config_wrong(at, key, "a time is expected (\"90day\", \"720min\"), not a share");
	return span.seconds;
}

static void
take_rule(struct config *c, const struct config_at *at, const char *key, const char *what)
{
	if (take_time(at, key) == 0)
		return;
	if (c->n_offline == CONFIG_OFFLINE_MAX)
		config_wrong(at, key, "more than %d rules", CONFIG_OFFLINE_MAX);
	else
		c->offline[c->n_offline++] = mem_textf("%s=%s", what, config_text(at, key));
}

void
config_take_offline(struct config *c, const struct config_at *root)
{
	static const char *const kinds[] = { "modules", "sas", "thumbprint", "ca" };
	struct config_at offline = config_table(root, "offline"), devices = config_table(&offline, "devices");
	struct config_at gateway = config_table(root, "gateway");

	c->leave_expired = !config_bool(&gateway, "end_expired");
	c->max_session_age_s = take_time(&gateway, "max_session_age");
	take_rule(c, &offline, "trust_for", "all");
	for (size_t i = 0; i < COUNT(kinds); i++)
		take_rule(c, &offline, kinds[i], kinds[i]);
	for (size_t i = 0; devices.table && i < devices.table->n; i++) {
		const char *pattern = devices.table->item[i]->key;
		OWN_TEXT what = mem_textf("devices:%s", pattern);

		take_rule(c, &devices, pattern, what);
	}
}
