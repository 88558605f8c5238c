/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which of several certificates is shown to whoever asks for a name (SNI, RFC 6066 3): one that has this very name, else one with a wildcard for it (RFC 6125 6.4.3: a whole left label,
 * and one label only).  Built once, with all that is in the certificates; a look costs the same however many there are.  Pure; not locked, and only read after it was built. */

#include "pki/cert.h"

struct tls_names;
struct tls_names *tls_names_new(void);
void tls_names_free(struct tls_names *names); /* values are left alone */
/* All names of that certificate stand for the value from now on, but for those that are there already: whoever comes first has them. */
void tls_names_add(struct tls_names *names, const struct cert *leaf, void *value);
/* In any case, with or without the root's dot; NULL: none has it. */
void *tls_names_find(const struct tls_names *names, const char *host);
