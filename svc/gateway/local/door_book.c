/* SPDX-License-Identifier: Apache-2.0 */
/* The book at the door. */
#include "gateway/local/door_book.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/local/rivals.h"
#include "wire/codec.h"
#include "wire/json.h"

#define KNOWN_MAX 20000
#define STRANGERS_MAX 1000
#define RIVALS_MAX 2000

struct door_book {
	struct audit *audit;
	struct decisions *decisions;
	struct rivals *rivals;
	size_t max_clients;
};

struct door_book *
door_book_new(struct audit *audit, size_t max_clients)
{
	struct door_book *book = NEW(door_book);

	book->audit = audit;
	book->decisions = decisions_new(KNOWN_MAX, STRANGERS_MAX);
	book->rivals = rivals_new(RIVALS_MAX);
	book->max_clients = max_clients;
	return book;
}

void
door_book_free(struct door_book *book)
{
	if (!book)
		return;
	decisions_free(book->decisions);
	rivals_free(book->rivals);
	mem_free(book);
}

struct decisions *
door_book_decisions(struct door_book *book)
{
	return book->decisions;
}

/* -- The audit log's lines ----------------------------------------------------------------------------------------------------------------- */

/* "primary" or "secondary": which key or thumbprint of the record it was. */
static const char *
slot_of(const struct verdict *v)
{
	static const char *const slots[] = { "primary", "secondary" };

	for (size_t i = 0; i < v->n_checks; i++)
		for (size_t s = 0; s < COUNT(slots); s++)
			if (v->checks[i].passed && text_starts(v->checks[i].what, slots[s]))
				return slots[s];
	return NULL;
}

static void
set_text(json_t *line, const char *name, const char *value)
{
	OWN_TEXT text = mem_text(value);

	if (!text)
		return;
	text_repair_utf8(text);
	json_object_set_new(line, name, json_string(text));
}

static void
set_certificate(json_t *line, const struct cert *leaf)
{
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	if (!leaf)
		return;
	hex_encode(&hex, cert_sha256(leaf), DIGEST_SHA256_LEN, true);
	set_text(line, "certificate", buf_text(&hex));
}

static json_t *
new_line(const char *event, const char *who)
{
	char now[CLOCK_TEXT_LEN];
	json_t *line = json_object();

	set_text(line, "time", clock_text_ms(clock_wall_ms(), now));
	set_text(line, "event", event);
	set_text(line, "who", who);
	return line;
}

static void
put_line(struct door_book *book, json_t *line_take, uint64_t left_out)
{
	OWN_LIB(json_t) line = line_take;
	OWN_TEXT text = NULL;

	if (left_out > 0)
		json_object_set_new(line, "left_out", json_integer((json_int_t)left_out));
	text = json_line(line);
	audit_put(book->audit, text);
}

static void
audit_decision(struct door_book *book, const struct door_claim *claim, const struct verdict *v, uint64_t left_out)
{
	json_t *line;

	if (!audit_is_on(book->audit))
		return;
	line = new_line("decision", claim->name);
	set_text(line, "peer", claim->peer);
	set_text(line, "answer", verdict_accepted(v) ? "accepted" : "refused");
	set_text(line, "reason", reason_row(verdict_cause(v))->code);
	set_text(line, "shown", tally_shown_name(claim->shown));
	set_text(line, "slot", slot_of(v));
	set_certificate(line, claim->leaf);
	put_line(book, line, left_out);
}

/* -- Entries -------------------------------------------------------------------------------------------------------------------------------- */

/* Which certificate or token it was, and what was wrong about it; cut where somebody's certificate tells stories. */
static char *
detail_of(const struct verdict *v)
{
	const struct check *failed = verdict_first_failure(v);

	if (!failed || (!*failed->subject && !*failed->found))
		return NULL;
	return mem_textf("%.120s%s%.160s%s%.160s", failed->subject, *failed->wanted ? "; wanted " : "", failed->wanted,
		*failed->found ? "; found " : "", failed->found);
}

static bool
note(struct door_book *book, const struct door_claim *claim, const struct verdict *v, uint64_t *left_out)
{
	OWN_TEXT detail = detail_of(v);
	struct decision now = { .cause = verdict_cause(v), .shown = claim->shown, .wall = clock_wall(), .detail = detail };
	bool good;

	snprintf(now.peer, sizeof(now.peer), "%s", claim->peer ? claim->peer : "");
	good = decisions_note(book->decisions, claim->name, claim->is_known, &now, clock_boot_ms(), left_out);
	if (!good)
		metric_add(gateway_metric(METRIC_AUDIT_LEFT_OUT), 1);
	return good;
}

void
door_book_decision(struct door_book *book, const struct door_claim *claim, const struct verdict *v)
{
	uint64_t left_out;

	tally_decision(claim->is_known ? claim->name : NULL, claim->shown, verdict_cause(v));
	if (!note(book, claim, v, &left_out))
		return;
	service_log_verdict(v);
	audit_decision(book, claim, v, left_out);
}

static void
note_end(struct door_book *book, const char *event, const char *who, enum reason reason, const char *detail)
{
	uint64_t left_out;
	json_t *line;

	tally_violation(reason);
	if (!decisions_note_end(book->decisions, who, reason, clock_wall(), clock_boot_ms(), &left_out)) {
		metric_add(gateway_metric(METRIC_AUDIT_LEFT_OUT), 1);
		return;
	}
	service_log_violation(who, reason, detail);
	if (!audit_is_on(book->audit))
		return;
	line = new_line(event, who);
	set_text(line, "reason", reason_row(reason)->code);
	set_text(line, "detail", *detail ? detail : NULL);
	put_line(book, line, left_out);
}

void
door_book_violation(struct door_book *book, const char *who, enum reason reason, const char *detail)
{
	if (reason == SESSION_TAKEN_OVER)
		rivals_taken_over(book->rivals, who, clock_boot_ms());
	note_end(book, "ended", who, reason, detail);
}

void
door_book_refused(struct door_book *book, const char *who, enum reason reason)
{
	note_end(book, "refused", who, reason, "");
}

/* Who is connected has a place already, and gives it to his newer connection. */
enum reason
door_book_place(struct door_book *book, const char *name, bool is_connected, size_t n_connected)
{
	if (!is_connected)
		return n_connected < book->max_clients ? OK : TOO_MANY_CLIENTS;
	if (rivals_wait_ms(book->rivals, name, clock_boot_ms()) == 0)
		return OK;
	metric_add(gateway_metric(METRIC_DUPLICATES, name), 1);
	return SESSION_RIVALS;
}
