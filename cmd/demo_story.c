/* SPDX-License-Identifier: Apache-2.0 */
/* The story: who has to decide is asked, one question after the other, and then those are sent who are to be refused.  A table
 * each; what is expected stands in it, what happened comes from the processes. */
#include <stdarg.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "demo.h"
#include "demo_papers.h"
#include "demo_testimony.h"
#include "page.h"

#define READINGS 5

__attribute__((format(printf, 2, 3))) static void
miss(struct demo *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vputf(&d->missing, fmt, args);
	buf_putc(&d->missing, '\n');
	va_end(args);
}

/* -- The five questions ------------------------------------------------------------------------------------------------------ */

struct question {
	const char *log, *who, *text;
};

static const struct question questions[] = {
	{ "edge", "edge", "Am I really talking to " CAST_HUB_HOST "?" },
	{ "hub", "hub", "Is this really " CAST_EDGE "?" },
	{ CAST_SENSOR, "device", "Am I really talking to " CAST_EDGE_HOST "?" },
	{ "edge", "gateway", "Is this really " CAST_SENSOR "?" },
	{ "edge", "edge", "Who may sign module certificates?" },
};

static struct verdict *
hear(struct demo *d, const struct question *q, size_t from, struct err *err)
{
	OWN_TEXT log = cast_log_path(&d->cast, q->log);

	return testimony_find(log, from, q->who, q->text, d->cast.stop_fd, err);
}

static int
answer(struct demo *d, size_t first, size_t n, struct err *err)
{
	for (size_t i = first; i < first + n; i++) {
		OWN(verdict) v = hear(d, &questions[i], 0, err);

		if (!v)
			return -1;
		demo_page_question(&d->page, (int)i + 1, v);
		page_print(&d->out);
		if (!verdict_accepted(v))
			miss(d, "the answer is no: %s", questions[i].text);
	}
	return 0;
}

/* -- Readings ---------------------------------------------------------------------------------------------------------------- */

static int
count_at_hub(struct demo *d, struct buf *last, struct err *err)
{
	OWN_TEXT state = file_join(d->dir, "hub");

	return testimony_count_events(state, CAST_SENSOR, READINGS, last, d->cast.stop_fd, err);
}

static int
count_readings(struct demo *d, struct err *err)
{
	CLEAR(buf) last = BUF_INIT(1 << 20);
	int n = count_at_hub(d, &last, err);

	if (n < 0)
		return -1;
	demo_page_heading(&d->page, "Telemetry");
	demo_page_outcome(
		&d->page, n == READINGS, "%d of %d readings of TempSensor came through EdgeGateway to ContosoIotHub", n, READINGS);
	demo_page_row(&d->page, "the last", "%s", buf_text(&last));
	page_print(&d->out);
	if (n != READINGS)
		miss(d, "%d of %d readings came to the hub", n, READINGS);
	return 0;
}

/* -- Those who are not who they say ------------------------------------------------------------------------------------------ */

struct refusal {
	const char *title;
	struct cast_device device;
	struct question question;
	enum reason reason;
};

static const struct refusal refusals[] = {
	{ "An impostor: TempSensor's name, the same issuer, another certificate",
		{ "impostor", PAPER_IMPOSTOR, PAPER_ROOT, CAST_EDGE_HOST, 1 },
		{ "edge", "gateway", "Is this really " CAST_SENSOR "?" }, THUMBPRINT_MISMATCH },
	{ "A wrong name: TempSensor looks for its gateway as edgegateway.lan",
		{ "wrong-name", PAPER_SENSOR, PAPER_ROOT, "edgegateway.lan", 1 },
		{ "wrong-name", "device", "Am I really talking to edgegateway.lan?" }, NAME_MISMATCH },
	{ "An unknown root: TempSensor was given another one than the gateway's",
		{ "unknown-root", PAPER_SENSOR, PAPER_OTHER_ROOT, CAST_EDGE_HOST, 1 },
		{ "unknown-root", "device", "Am I really talking to " CAST_EDGE_HOST "?" }, TRUST_UNKNOWN_ISSUER },
};

static int
refuse(struct demo *d, const struct refusal *r, struct err *err)
{
	OWN_TEXT log = cast_log_path(&d->cast, r->question.log);
	size_t from = testimony_length(log);
	int status = cast_run_device(&d->cast, &r->device, err);
	OWN(verdict) v = status < 0 ? NULL : hear(d, &r->question, from, err);

	if (!v)
		return -1;
	demo_page_refusal(&d->page, r->title, v);
	buf_putc(&d->out, '\n');
	page_print(&d->out);
	if (status == 0 || verdict_cause(v) != r->reason)
		miss(d, "not refused with %s: %s", reason_row(r->reason)->code, r->title);
	return 0;
}

static int
refuse_all(struct demo *d, struct err *err)
{
	int n;

	demo_page_heading(&d->page, "Refused, each for its reason");
	for (size_t i = 0; i < COUNT(refusals); i++)
		if (refuse(d, &refusals[i], err) < 0)
			return -1;
	n = count_at_hub(d, NULL, err);
	if (n >= 0 && n != READINGS)
		miss(d, "somebody who was refused has sent a reading: the hub has %d", n);
	return n < 0 ? -1 : 0;
}

/* -- All of it --------------------------------------------------------------------------------------------------------------- */

static void
introduce(struct demo *d)
{
	const struct cast *c = &d->cast;

	demo_page_heading(&d->page, "A hub, an edge gateway and a sensor on this machine, each a process of its own");
	buf_puts(&d->out, "\n   TempSensor ───3 4───▶ EdgeGateway ───1 2───▶ ContosoIotHub\n\n");
	demo_page_row(&d->page, "hub", CAST_HUB_HOST " on 127.0.0.1: MQTT port %d, HTTPS port %d", cast_hub_mqtt_port(c),
		cast_hub_https_port(c));
	demo_page_row(&d->page, "gateway", CAST_EDGE_HOST " on 127.0.0.1: MQTT port %d", cast_gateway_port(c));
	page_print(&d->out);
}

static void
conclude(struct demo *d, int64_t took_ms)
{
	if (d->missing.len > 0)
		demo_page_outcome(&d->page, false, "Not all went as it should");
	else
		demo_page_outcome(&d->page, true, "Five questions answered, %d readings delivered, three refused, in %d.%d s",
			READINGS, (int)(took_ms / 1000), (int)(took_ms % 1000 / 100));
	page_print(&d->out);
}

int
demo_story(struct demo *d, struct err *err)
{
	static const struct cast_device sensor = { CAST_SENSOR, PAPER_SENSOR, PAPER_ROOT, CAST_EDGE_HOST, READINGS };
	int64_t started_ms = clock_boot_ms();

	if (papers_make(d->dir, err) < 0 || cast_start_hub(&d->cast, err) < 0 || cast_register(&d->cast, err) < 0 ||
		cast_start_edge(&d->cast, err) < 0)
		return -1;
	if (cast_gateway_port(&d->cast) == 0)
		return err_set(err, ERR_MISSING, CAST_EDGE " has no gateway: rootedge-gateway is not installed");
	introduce(d);
	if (answer(d, 0, 2, err) < 0 || cast_run_device(&d->cast, &sensor, err) < 0 || answer(d, 2, 3, err) < 0 ||
		count_readings(d, err) < 0)
		return -1;
	if (refuse_all(d, err) < 0)
		return -1;
	conclude(d, clock_boot_ms() - started_ms);
	return 0;
}
