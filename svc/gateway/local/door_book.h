/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The book at the gateway's door: each decision about who comes in is logged, counted, put into the audit log, and remembered for who asks why a device does not get in.  None of it
 * has a secret in it, and a flood of the same costs neither disk nor much else (decisions.h). */

#include "diag/verdict.h"
#include "gateway/local/audit.h"
#include "gateway/local/decisions.h"
#include "pki/cert.h"

struct door_book;
struct door_book *door_book_new(struct audit *audit, size_t max_clients); /* the audit log is borrowed */
void door_book_free(struct door_book *book);

struct door_claim {
	const char *name; /* who it says it is: DEVICE or DEVICE/MODULE */
	bool is_known;	  /* the hub has a record of it */
	enum tally_shown shown;
	const char *peer;	 /* its address */
	const struct cert *leaf; /* NULL: it showed none */
};
/* Any thread. */
void door_book_decision(struct door_book *book, const struct door_claim *claim, const struct verdict *verdict);
void door_book_violation(struct door_book *book, const char *who, enum reason reason, const char *detail);
void door_book_refused(struct door_book *book, const char *who, enum reason reason); /* what it brought by a request */
/* May it come in just now, which may come in: OK, SESSION_RIVALS or TOO_MANY_CLIENTS.  is_connected, n_connected: it, and how many, are. */
enum reason door_book_place(struct door_book *book, const char *name, bool is_connected, size_t n_connected);
struct decisions *door_book_decisions(struct door_book *book); /* borrowed */
