/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside pki: what all that signs certificates has in common. */

#include <openssl/x509.h>

void issue_set_serial(X509 *x509); /* 16 random bytes */
/* As strong as the key, which is what profiles of these curves ask for (RFC 5480 4): NULL, which the key's kind decides. */
const EVP_MD *issue_digest(const EVP_PKEY *signer);
