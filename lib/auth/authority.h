/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The CAs that may speak for devices: which they are, for whom each may speak, and which of them vouches for a certificate that is shown.
 *
 * A set is immutable and shared by reference; a change of trust makes a new one.  The registered CA that is nearest to the device on its chain
 * decides, with its scope: an intermediate that is registered with a narrow scope stays narrow though its root is registered as well.
 *
 * A set remembers the chains that it found to hold (bounded).  What is remembered holds between two dates; the name, the record and the scope are
 * never part of it.  It ends with its set, so a CA that was withdrawn leaves nothing behind. */

#include "auth/identity.h"
#include "diag/verdict.h"
#include "pki/chain.h"

#define AUTHORITIES_MAX 256
#define AUTHORITY_PATTERNS_MAX 64

/* For which devices: "*" in a pattern stands for any characters, "?" for one; without patterns all ids are meant. */
enum authority_kind { AUTHORITY_ALL, AUTHORITY_EDGE, AUTHORITY_LEAF };
struct authority_scope {
	enum authority_kind kind; /* gateways only, or all but gateways */
	char **patterns;
	size_t n_patterns;
};
void authority_scope_clear(struct authority_scope *scope);
struct authority_scope authority_scope_copy(const struct authority_scope *scope);
/* {"devices": ["sensor-*", ...], "kind": "all"|"edge"|"leaf"}, both may be left out; -1: a sentence. */
int authority_scope_from_json(struct authority_scope *out, const json_t *json, struct err *err);
json_t *authority_scope_to_json(const struct authority_scope *scope);
char *authority_scope_text(const struct authority_scope *scope); /* for people */
bool authority_scope_covers(const struct authority_scope *scope, const struct identity *identity);

struct authority {
	char *name;
	struct cert *cert;
	struct authority_scope scope;
	bool is_verified;	 /* else it authenticates nobody; it is here to be named */
	struct anchors *anchors; /* it alone */
};

/* Is this a certificate that can be registered: a CA, of an accepted key, that may issue?  -1: a sentence. */
int authority_check_cert(const struct cert *cert, struct err *err);

struct authorities;
struct authorities *authorities_new(void);
/* While it is made.  The scope is copied. */
int authorities_add(struct authorities *set, const char *name, struct cert *cert, const struct authority_scope *scope,
	bool is_verified, struct err *err);
struct authorities *authorities_ref(struct authorities *set);
void authorities_free(struct authorities *set);
OWN_DEFINE(authorities);
/* The verified one with exactly this certificate, or NULL. */
const struct authority *authorities_find(const struct authorities *set, const uint8_t sha256[static DIGEST_SHA256_LEN]);

size_t authorities_count(const struct authorities *set);
const struct authority *authorities_item(const struct authorities *set, size_t i);

/* The verified ones as the hub hands them down to its gateways (authority_json.c): a list of {"name", "certificate": base64 of DER, "scope"}.  Reading takes all of it or nothing. */
json_t *authorities_to_json(const struct authorities *set);
struct authorities *authorities_from_json(const json_t *list, struct err *err);
bool authorities_equal(const struct authorities *a, const struct authorities *b); /* NULL is an empty set */

/* Does one of them vouch for chain->item[0] as `record`'s?  Adds its checks to *v and names the CA.  A leaf that is known already needs nothing beside it: a resumed
 * session brings it alone.  NULL: refused. */
const struct authority *authorities_verify(
	struct verdict *v, struct authorities *set, const struct certs *chain, const struct identity *record, int64_t now);
