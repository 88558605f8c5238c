/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Is this chain to be trusted, for this purpose, under this name, at this time?  One function, used by every server, client and tool of
 * the product.  OpenSSL builds and checks the path (security level 2, no CN fallback); what it does not check is added here: see
 * chain.c.  Pure: no I/O, no clock. */

#include "diag/verdict.h"
#include "pki/cert.h"

enum chain_purpose { CHAIN_SERVER, CHAIN_CLIENT, CHAIN_ANY };

#define CHAIN_NO_INTERMEDIATES (-1)

struct chain_query {
	const struct cert *leaf;
	const struct certs *untrusted; /* what the peer sent beside the leaf; may hold the leaf again; may be NULL */
	enum chain_purpose purpose;
	const char *host; /* expected DNS name or IP literal, NULL: no name check */
	int64_t now;
	int max_depth;		  /* intermediates; 0 takes the default (8), or CHAIN_NO_INTERMEDIATES */
	bool partial;		  /* CA certificates that are not self-signed may be anchors too */
	bool refuse_ca_leaf;	  /* device auth by CA: a leaf that could itself issue is refused */
	const char *anchors_name; /* for people: where the anchors come from; NULL: "the trusted certificates" */
	bool must_sign;		  /* the leaf's keyUsage, where it has one, must allow digitalSignature */
};

/* Anchors prepared once and shared (an X509_STORE behind it); immutable, by reference, any thread. */
struct anchors;
struct anchors *anchors_new(const struct certs *roots, struct err *err);
int anchors_add_crls(struct anchors *anchors, const char *pem, size_t len, struct err *err); /* before it is shared */
struct anchors *anchors_ref(struct anchors *anchors);
void anchors_free(struct anchors *anchors);
OWN_DEFINE(anchors);
const struct certs *anchors_certs(const struct anchors *anchors);

/* Adds its checks and the chain it found to *v. */
void chain_verify(struct verdict *v, const struct anchors *anchors, const struct chain_query *query);

/* The name check alone: exact host or IP in the SAN (no CN fallback), wildcards only as a whole left label. */
void name_check(struct verdict *v, const struct cert *leaf, const char *host);
void name_check_email(struct verdict *v, const struct cert *leaf, const char *email); /* the SAN too */
/* notBefore and notAfter of one certificate; the second of notAfter itself counts as expired. */
void validity_check(struct verdict *v, const struct cert *cert, int64_t now);
bool validity_is_good(const struct cert *cert, int64_t now);
