/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The subjectAltName among the extensions of a request or a certificate (RFC 5280 4.2.1.6), as texts: DNS names, IP addresses, "URI:...". */

#include <stddef.h>

#include <openssl/x509.h>

/* The caller frees each.  Returns how many; those of other kinds, and with a NUL inside, are passed over. */
size_t alternative_names(const STACK_OF(X509_EXTENSION) * extensions, char **out, size_t max);
size_t alternative_names_count(const STACK_OF(X509_EXTENSION) * extensions); /* of any kind; SIZE_MAX: they can't be read */
