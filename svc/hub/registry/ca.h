/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The CAs that are registered with the hub: certificate objects with a proof of possession (hub 8).  Only a verified one authenticates devices, and only those of its
 * scope.  Changes are calls that run on the registry's worker and are durable before they are answered; decisions take the set as it is now, by
 * reference. */

#include "auth/authority.h"
#include "hub/registry/ca_store.h"
#include "hub/registry/registry.h"

#define CA_NAME_MAX 64
#define CA_CODE_BYTES 24 /* 48 hex digits, as the original's longer codes */

struct ca_registry;
/* file_path: CAs that the operator vouches for at the start, without an object of theirs; may be NULL. */
struct ca_registry *ca_open(struct registry *registry, enum ca_list list, const char *file_path, struct err *err);
/* On the worker: the certificate of this name, if it is verified; borrowed until the next change. */
struct cert *ca_find_verified(const struct ca_registry *cas, const char *name);
void ca_close(struct ca_registry *cas);
struct authorities *ca_current(struct ca_registry *cas); /* any thread; the caller owns a reference */
/* Told on the worker after each change that may have taken trust away.  Set before it is shared. */
void ca_watch(struct ca_registry *cas, void (*withdrawn)(void *arg), void *arg);
/* The same after each change of what decisions see.  There is one of each. */
void ca_watch_all(struct ca_registry *cas, void (*changed)(void *arg), void *arg);

bool ca_name_is_valid(const char *name); /* [A-Za-z0-9-._]{1,64} */
/* A certificate as clients send it: PEM, or base64 of DER or PEM; the first of at most `max`, which is 1 where what stands behind a leaf has no business. */
struct cert *ca_read_cert(const char *text, size_t max, struct err *err);
#define CA_CHAIN_MAX 8
/* Does `leaf` prove that its maker holds the key of `ca`?  Its CN is the code, the CA signed it, it is in date. */
int ca_check_proof(const struct cert *ca, const struct cert *leaf, const char *code, int64_t now, struct err *err);

enum ca_op { CA_LIST, CA_GET, CA_PUT, CA_REMOVE, CA_CODE, CA_VERIFY };
enum ca_answer {
	CA_OK,
	CA_MISSING,
	CA_ELSEWHERE, /* the certificate is registered under another name */
	CA_NO_ETAG,   /* what is there is changed only by who says which state it means */
	CA_WRONG_ETAG,
	CA_TOO_MANY,
	CA_NO_CODE, /* to verify needs a code */
	CA_INVALID, /* err has the sentence */
	CA_FAILED,  /* the database; err has the sentence */
};
struct ca_call {
	/* The question; owned. */
	enum ca_op op;
	char *name;
	char *if_match;	   /* "*" or an etag; NULL: PUT creates */
	struct cert *cert; /* PUT: NULL leaves the one that is there; VERIFY: the proof */
	bool has_verified, is_verified, has_scope;
	struct authority_scope scope;

	/* The answer; owned. */
	enum ca_answer answer;
	struct err err;
	struct ca_record **found;
	size_t n_found;

	void (*done)(struct ca_call *call); /* on the owner it was submitted for */
	struct ca_registry *cas;
	struct job job;
};
void ca_call_clear(struct ca_call *call);
bool ca_submit(struct ca_registry *cas, struct ca_call *call, struct owner *owner); /* false: too much waits already */
void ca_run(struct ca_registry *cas, struct ca_call *call);			    /* at once: for the worker and for tests */

/* -- JSON (hub 8; ca_json.c) ---------------------------------------------------------------------------------------------------- */

/* type: of the resource, as clients know it.  A scope is shown where there are such. */
json_t *ca_to_json(const struct ca_record *ca, const char *type, bool with_scope, bool with_code);
/* An object of the original's shape, or its properties alone, into the question. */
int ca_call_from_json(struct ca_call *call, const json_t *body, struct err *err);
