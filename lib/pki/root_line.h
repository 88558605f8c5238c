/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Roots that followed those that an operator gave, and those of them that have retired since: what a device knows of root rollovers (docs/trust.md) beside its bundle.
 *
 * A root is never taken because somebody shows it: one that is trusted must have signed it, crosswise (RFC 4210 4.4), and that cross certificate must be the root's own but for its
 * issuer and a mark that it is one, so that none is taken for more than it was signed for; nor is one for more than its signer has.  A root leaves when its CA says that it is retired, and the answer
 * shows another one that is trusted and that it has signed itself: so nobody takes away the roots of another CA, and the last one stays.  A root that has retired once never comes back.
 *
 * The operator's bundle is the beginning: what follows a root that is no longer in it is trusted no longer, either.  Who reads a line sees himself that each of its roots was signed: the
 * process that keeps it can't make others trust what it likes. */

#include <jansson.h>

#include "pki/cert.h"

#define ROOT_LINE_MAX 64

struct root_step {
	struct cert *root;
	struct cert *cross;		  /* the same, signed by: */
	uint8_t after[DIGEST_SHA256_LEN]; /* this root */
};
struct root_line {
	struct root_step step[ROOT_LINE_MAX]; /* in the order in which they were taken */
	size_t n;
	uint8_t retired[ROOT_LINE_MAX][DIGEST_SHA256_LEN];
	size_t n_retired;
};
void root_line_clear(struct root_line *line);
void root_line_copy(struct root_line *out, const struct root_line *line);

/* `given` and what followed, without what has retired; where nothing would be left, with it. */
void root_line_apply(const struct root_line *line, const struct certs *given, struct certs *out);

/* What a CA shows: its certificates, and the fingerprints of those that have retired ("HEX, HEX"; NULL: it does not say). */
struct root_answer {
	const struct certs *shown;
	const char *retired;
};
/* What came of it.  Each owns its references. */
struct root_news {
	struct certs taken, left;
	struct certs not_signed; /* shown, and signed by no root that is trusted */
	struct certs kept;	 /* said to be retired, by somebody who shows no other root of its line */
};
void root_news_clear(struct root_news *news);
/* True: the line has changed, and is to be saved.  LIMIT, in err: it is full, and stays as it is. */
bool root_line_learn(struct root_line *line, const struct certs *given, const struct root_answer *answer, int64_t now,
	struct root_news *news, struct err *err);

/* "HEX, HEX" of at most ROOT_LINE_MAX; false: it is something else. */
bool root_line_parse_fingerprints(const char *text, uint8_t out[static ROOT_LINE_MAX][DIGEST_SHA256_LEN], size_t *n);
void root_line_put_fingerprint(struct buf *out, const struct cert *root); /* one more of them */

/* As a file: JSON.  MISSING: nothing was ever learnt. */
int root_line_load(struct root_line *out, const char *path, struct err *err);
int root_line_save(const struct root_line *line, const char *path, struct err *err);
int root_line_parse(struct root_line *out, const char *text, size_t len, struct err *err);

/* What a device reports of the roots that it trusts: {"trust": {"roots": [SHA-256, ...]}}.  Who wants to retire one waits for all to hold its successor; those of the system are many, nobody's to retire,
 * and not named. */
json_t *root_line_tell(const struct certs *roots);

/* A file of roots as it is given, and what has followed them; line_path NULL or not there: nothing has.  A line that can't be read is a failure: it may say who has retired. */
int root_line_load_roots(struct certs *out, const char *roots_path, const char *line_path, size_t max, struct err *err);
