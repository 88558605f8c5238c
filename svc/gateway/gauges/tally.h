/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the gateway's front door counts (gateway_metrics.tbl.h): decisions, and what a session does, with the series at hand that count for every message. */

#include <stdbool.h>
#include <stddef.h>

#include "auth/identity.h"
#include "diag/reason.h"

enum tally_shown { TALLY_NOTHING, TALLY_TOKEN, TALLY_CERTIFICATE };
const char *tally_shown_name(enum tally_shown shown); /* "nothing", "sas", "certificate" */

/* `name`: DEVICE or DEVICE/MODULE; NULL when there is no record of it, and whoever knocks may choose any. */
void tally_decision(const char *name, enum tally_shown shown, enum reason cause);
void tally_violation(enum reason reason);
void tally_unstored(const struct identity *from); /* a message that was not acknowledged */

/* What goes both ways, of or to this identity. */
void tally_twin(const struct subject *subject, bool is_report);
void tally_twin_took(const struct subject *subject, bool is_report, int64_t ms);
/* As in the original: every call that comes, whether or not who is called is connected.  "upstream" is the hub; `to` NULL: there is no record of it. */
void tally_method(const char *from, const char *to);
void tally_method_took(const char *from, const char *to, int64_t ms);

/* Of one session, zeroed at its beginning: most devices that are connected have nothing to say, and then there are no series of theirs. */
struct tally {
	struct metric *received, *size, *no_route;
};
void tally_message(struct tally *tally, const struct identity *from, size_t len);
void tally_no_route(struct tally *tally, const struct identity *from);
void tally_end(const struct identity *identity);
