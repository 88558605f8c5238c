/* SPDX-License-Identifier: Apache-2.0 */
/* The offline budget. */
#include "gateway/local/offline_budget.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

#define RESERVE_S (7 * 86400) /* of an Edge CA that is its own root, when the next one takes over */

__attribute__((format(printf, 4, 5))) static void
add(struct offline_budget *b, const char *what, int64_t at, const char *fmt, ...)
{
	struct offline_limit *limit = &b->limits[b->n++];
	va_list args;

	*limit = (struct offline_limit){ .what = what, .at = at };
	va_start(args, fmt);
	vsnprintf(limit->why, sizeof(limit->why), fmt, args);
	va_end(args);
	text_repair_utf8(limit->why);
}

/* -- Each of them -------------------------------------------------------------------------------------------------------------------------- */

/* The Edge CA issues the server certificate on this very box; while it does, that is no limit of its own. */
static void
add_certificate(struct offline_budget *b, const struct vitals *v)
{
	if (v->noted.cert_not_after > 0 && v->now >= v->noted.cert_not_after)
		add(b, "certificate", v->noted.cert_not_after, "the server certificate has ended, and no other one has come yet");
	else if (v->noted.cert_failures > 0)
		add(b, "certificate", v->noted.cert_not_after,
			"the server certificate ends, and %llu attempts to renew it have failed; rootedge renewals and the log say "
			"why",
			(unsigned long long)v->noted.cert_failures);
	else
		add(b, "certificate", OFFLINE_NEVER, "the server certificate is renewed on this box, by the Edge CA");
}

/* Its successor is in the trust bundle before it takes over, which it does when so much is left (docs/renewal.md): from then on devices that have not read it again trust nothing here. */
static int64_t
takes_over_at(const struct vitals *v)
{
	int64_t fifth = (v->noted.issuers_not_after - v->noted.issuers_not_before) / 5;

	return v->noted.issuers_not_after - (fifth < RESERVE_S ? fifth : RESERVE_S);
}

static void
add_edge_ca(struct offline_budget *b, const struct vitals *v)
{
	if (v->noted.issuers_not_after == 0)
		return;
	if (v->noted.is_issuer_ours)
		add(b, "Edge CA", takes_over_at(v),
			"the Edge CA signed itself, and another one follows it: devices that have not read the trust bundle again "
			"by then "
			"no longer trust this gateway; with an Edge CA below a root of yours they go on");
	else
		add(b, "Edge CA", v->noted.issuers_not_after,
			"%s ends; who issued it has to be within reach before, and no server certificate is valid for longer",
			v->noted.issuers_name);
}

/* From seven eighths on the oldest messages go, or whoever has most waiting is refused. */
static uint64_t
room_of_queue(const struct vitals *v)
{
	uint64_t mark = v->max_queue_bytes - v->max_queue_bytes / 8;

	return mark > v->queue_bytes ? mark - v->queue_bytes : 0;
}

/* Whichever is less: what the queue may take, or what the disk has. */
static void
add_queue(struct offline_budget *b, const struct vitals *v)
{
	uint64_t room = room_of_queue(v);
	bool by_disk = v->disk_free >= 0 && (uint64_t)v->disk_free < room;
	const char *which = by_disk ? "the disk is full" : "the queue ([gateway] max_queue_mib) is nearly full";
	const char *then = v->drops_oldest ? ", and the oldest messages are lost"
			   : by_disk	   ? ""
					   : ", and who has most in it is refused";

	if (by_disk)
		room = (uint64_t)v->disk_free;
	if (v->is_queue_bad)
		add(b, "queue", v->now, "messages can't be stored: %.256s", v->queue_problem);
	else if (room == 0) /* whatever is sent: what is refused has no rate */
		add(b, "queue", v->now, "%s%s", which, then);
	else if (v->noted.bytes_per_hour < 1)
		add(b, "queue", OFFLINE_NEVER, "nobody sends anything now");
	else if ((double)room / v->noted.bytes_per_hour > 24 * 365 * 1000.0)
		add(b, "queue", OFFLINE_NEVER, "as little as is sent now does not fill it");
	else
		add(b, "queue", v->now + (int64_t)((double)room / v->noted.bytes_per_hour * 3600),
			"%s%s, with %.1f MB left and %.3g MB an hour as in the last one", which, then, (double)room / 1e6,
			v->noted.bytes_per_hour / 1e6);
}

/* What waits longer is dropped, as its route says. */
static void
add_messages(struct offline_budget *b, const struct vitals *v)
{
	int64_t since = v->oldest_queued_ms > 0 ? v->oldest_queued_ms / 1000 : v->now, end = since + v->least_ttl_s;

	if (v->least_ttl_s >= 0)
		add(b, "messages", end > v->now ? end : v->now,
			"the first messages are lost that a route keeps for %lld s (timeToLiveSecs), and then all that wait so "
			"long",
			(long long)v->least_ttl_s);
}

static void
add_records(struct offline_budget *b, const struct vitals *v)
{
	if (v->record_ends != 0)
		add(b, "records", v->record_ends,
			"what the hub told about %s no longer counts ([offline]); others follow, each so long after the hub "
			"confirmed it",
			v->record_ends_of);
	else if (v->n_known > 0)
		add(b, "records", OFFLINE_NEVER, "what the hub told about devices counts until it tells something else");
	else
		add(b, "records", v->now, "nothing is known of any device, so nobody comes in until the hub tells");
}

static void
add_device_cas(struct offline_budget *b, const struct vitals *v)
{
	if (v->device_ca_ends == 0)
		return;
	add(b, "device CAs", v->device_ca_ends,
		v->now < v->device_ca_ends
			? "the CA \"%s\" ends: whose certificate stands below it alone is refused from then on, until the "
			  "hub is given another one and tells it here"
			: "the CA \"%s\" has ended: whose certificate stands below it alone is refused",
		v->device_ca_name);
}

/* Devices make their tokens themselves, and ours are for the hub alone. */
static void
add_tokens(struct offline_budget *b, const struct vitals *v)
{
	(void)v;
	add(b, "tokens", OFFLINE_NEVER, "devices sign their own, and are judged by the keys at hand");
}

/* -- All ------------------------------------------------------------------------------------------------------------------------------------ */

static int
compare(const void *a, const void *b)
{
	const struct offline_limit *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

void
offline_budget_make(struct offline_budget *out, const struct vitals *v)
{
	*out = (struct offline_budget){ 0 };
	add_queue(out, v);
	add_messages(out, v);
	add_certificate(out, v);
	add_edge_ca(out, v);
	add_records(out, v);
	add_device_cas(out, v);
	add_tokens(out, v);
	qsort(out->limits, out->n, sizeof(*out->limits), compare);
}

static json_t *
time_or_null(int64_t at)
{
	char text[CLOCK_TEXT_LEN];

	return at == OFFLINE_NEVER ? json_null() : json_string(clock_text(at, text));
}

json_t *
offline_budget_json(const struct offline_budget *b, int64_t now)
{
	json_t *limits = json_array();

	for (size_t i = 0; i < b->n; i++) {
		const struct offline_limit *l = &b->limits[i];

		json_array_append_new(limits,
			json_pack("{s:s, s:o, s:o, s:s}", "what", l->what, "at", time_or_null(l->at), "in_s",
				l->at == OFFLINE_NEVER ? json_null() : json_integer((json_int_t)(l->at - now)), "why", l->why));
	}
	return json_pack("{s:o, s:o}", "stops_first",
		b->n > 0 && b->limits[0].at != OFFLINE_NEVER ? json_string(b->limits[0].what) : json_null(), "limits", limits);
}
