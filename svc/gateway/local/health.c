/* SPDX-License-Identifier: Apache-2.0 */
/* Health. */
#include "gateway/local/health.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define KEYD_SILENT_MS 5000 /* a busy one takes a moment */

static char *
judge_certificate(const struct vitals *v, bool *ok)
{
	char when[CLOCK_TEXT_LEN];

	*ok = false;
	if (v->noted.cert_not_after == 0)
		return mem_text("there is no server certificate");
	if (v->now >= v->noted.cert_not_after)
		return mem_textf(
			"the server certificate ended at %s; devices refuse it", clock_text(v->noted.cert_not_after, when));
	if (v->now < v->noted.cert_not_before)
		return mem_textf("the server certificate begins at %s, by this machine's clock that is to come",
			clock_text(v->noted.cert_not_before, when));
	*ok = true;
	return mem_textf("valid until %s", clock_text(v->noted.cert_not_after, when));
}

/* Records kept from before are as good as those told now; none at all lets nobody in. */
static char *
judge_scope(const struct vitals *v, bool *ok)
{
	char when[CLOCK_TEXT_LEN];

	*ok = v->n_known > 0 || v->scope_told > 0;
	if (!*ok)
		return mem_text("the hub has not told yet who may come in, and nothing is known from before");
	if (v->scope_told == 0)
		return mem_textf("%zu devices and modules are known from before this start", v->n_known);
	return mem_textf("%zu devices and modules, told by the hub at %s", v->n_known, clock_text(v->scope_told, when));
}

/* Without the key of the server certificate there is no handshake. */
static char *
judge_keys(const struct vitals *v, bool *ok)
{
	*ok = v->keyd_silent_ms < KEYD_SILENT_MS;
	if (!*ok)
		return mem_textf(
			"keyd has not answered for %lld s, so nobody new can be let in", (long long)v->keyd_silent_ms / 1000);
	return mem_text("keyd answers");
}

static char *
judge_queue(const struct vitals *v, bool *ok)
{
	*ok = !v->is_queue_bad;
	if (!*ok)
		return mem_textf("messages can't be stored: %s", v->queue_problem);
	return mem_textf("%llu messages wait", (unsigned long long)v->n_queued);
}

json_t *
health_json(const struct vitals *v, bool *ready)
{
	static const struct {
		const char *name;
		char *(*judge)(const struct vitals *v, bool *ok);
	} rows[] = { { "certificate", judge_certificate }, { "keys", judge_keys }, { "scope", judge_scope },
		{ "queue", judge_queue } };
	json_t *checks = json_object();

	*ready = true;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool ok;
		OWN_TEXT says = rows[i].judge(v, &ok);

		text_repair_utf8(says);
		*ready = *ready && ok;
		json_object_set_new(checks, rows[i].name, json_pack("{s:b, s:s}", "ok", ok, "says", says));
	}
	return json_pack("{s:b, s:o}", "ready", *ready, "checks", checks);
}
