/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Thumbprints: the digest of a certificate's DER, SHA-256 or, from old times, SHA-1. */

#include "pki/cert.h"

/* "AB:cd 12…" to upper-case hex without separators; NULL unless it is 40 or 64 digits and not all zero.  The caller owns it. */
char *thumbprint_normalise(const char *text);

/* Of a certificate, in the same form, which is that of the records: people compare the two.  The caller owns it. */
char *thumbprint_sha256(const struct cert *cert);
char *thumbprint_sha1(const struct cert *cert);

enum thumbprint_match { THUMBPRINT_DIFFERS, THUMBPRINT_IS_SHA256, THUMBPRINT_IS_SHA1 };
/* slot: a normalised thumbprint, or NULL, which matches nothing.  Constant time in the digest; whole digests only. */
enum thumbprint_match thumbprint_compare(const char *slot, const struct cert *cert);
