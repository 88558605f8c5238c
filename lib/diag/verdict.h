/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A verdict: the answer to "let this peer in?", with the evidence for it.  It is an ordered list of checks; accepted means that no
 * check failed.  pki and auth fill it; logs, doctor, demo and tests read it.  The first failed check is the cause. */

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "diag/reason.h"

struct check {
	enum reason reason; /* OK-like severity when passed: the reason it would have failed with is still named by `what` */
	bool passed;
	char *what;    /* the question: "host name", "validity of CN=dev1", "thumbprint" */
	char *subject; /* which certificate, token or field */
	char *wanted;
	char *found;
	char *rule; /* "RFC 5280 4.2.1.9"; the table's when NULL was given */
};

#define VERDICT_CHECKS_MAX 64

struct verdict {
	struct check *checks;
	size_t n_checks;
	char *who;	/* who decided: "hub", "gateway", "device" */
	char *question; /* "Is this really TempSensor?" */
	char *peer;	/* who was judged: "TempSensor", "edgegateway.local" */
	char **chain;	/* leaf first, a line each: "CN=edgegateway.local, valid until ..., SHA-256 ..." */
	size_t n_chain;
};

struct verdict *verdict_new(const char *who, const char *question, const char *peer);
void verdict_free(struct verdict *v);
OWN_DEFINE(verdict);

/* All texts are copied; NULL is "".  At VERDICT_CHECKS_MAX further passes are dropped, failures are kept. */
void verdict_pass(struct verdict *v, const char *what, const char *subject, const char *wanted, const char *found);
void verdict_note(
	struct verdict *v, enum reason reason, const char *what, const char *subject, const char *wanted, const char *found);
void verdict_fail(
	struct verdict *v, enum reason reason, const char *what, const char *subject, const char *wanted, const char *found);
void verdict_add_chain(struct verdict *v, const char *line);
void verdict_absorb(struct verdict *into, struct verdict *from_take); /* appends checks and chain, frees the other */

bool verdict_accepted(const struct verdict *v);
enum reason verdict_cause(const struct verdict *v);		    /* OK when accepted */
const struct check *verdict_first_failure(const struct verdict *v); /* NULL when accepted */

char *verdict_sentence(const struct verdict *v); /* one line: code, subject, wanted, found */
char *verdict_json(const struct verdict *v);	 /* an object on one line */
struct verdict *verdict_from_json(const char *json, struct err *err);
/* For people: the chain as a tree, each check with wanted and found, the cause first when it failed. */
void verdict_print(const struct verdict *v, struct buf *out, bool colour);
/* The same without the question: the first line is the cause with its code, or `when_accepted`. */
void verdict_print_finding(const struct verdict *v, const char *when_accepted, struct buf *out, bool colour);
