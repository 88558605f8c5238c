/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The requests that devices send, read without OpenSSL's decoder of keys, which takes longer than all the rest: an EC key on P-256 or P-384 as an uncompressed point, signed by ECDSA with SHA-256 or
 * better, in DER.  Whatever is not exactly that, sound or not, is for OpenSSL's own reader. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

struct csr_plain {
	X509_REQ *req; /* subject, attributes and the algorithm of the signature: the rest is not in it */
	EVP_PKEY *key;
	const EVP_MD *digest;
	/* Of the request as it was given: what is signed, the SubjectPublicKeyInfo in it, and the signature. */
	const uint8_t *signed_part, *key_info, *signature;
	size_t signed_len, key_info_len, signature_len;
};

/* false: it is none, and nothing is to be freed.  The request has to outlive *out where that points into it. */
bool csr_plain_read(struct csr_plain *out, const uint8_t *der, size_t len);
bool csr_plain_verify(const struct csr_plain *plain); /* is it signed by its own key? */
