/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server wishes of a request (RFC 7030 4.5, RFC 8951 4): the answer to GET /csrattrs, a sequence of object identifiers and attributes.  What is unknown is
 * overlooked, as clients must. */

#include "base/buf.h"
#include "base/err.h"
#include "keys/key.h"

struct est_attributes {
	bool challenge_password; /* the request says which TLS session it belongs to (RFC 7030 3.5) */
	bool has_key;		 /* a key of this kind */
	enum key_alg key;
	int digest_bits; /* signed by a digest of so many bits: 256, 384, 512; 0: any */
};

int est_put_attributes(struct buf *out, const struct est_attributes *attributes, struct err *err);
/* An empty sequence, and an empty body, wish for nothing.  Of several keys the first that is known counts. */
int est_take_attributes(struct est_attributes *attributes, const void *body, size_t len, struct err *err);
