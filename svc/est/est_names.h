/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The names that a requester may ask for, as patterns: * stands for any run of characters, ? for one (base/text.h).  Those that a label gives to whoever shows a certificate
 * may have {id} in them, which is the common name of that certificate.  Pure. */

#include <stdbool.h>
#include <stddef.h>

#define EST_NAMES_MAX 64
#define EST_NAME_LEN_MAX 256

struct est_names {
	char *item[EST_NAMES_MAX];
	size_t n;
};

void est_names_clear(struct est_names *names);
bool est_names_add(
	struct est_names *names, const char *pattern); /* false: empty, too long, with a control character, or one too many */
bool est_names_hold(const struct est_names *names, const char *name);
/* Added to *out, with id for {id}.  false, and nothing added: an id with * or ? would be a pattern that its owner has chosen. */
bool est_names_fill(struct est_names *out, const struct est_names *templates, const char *id);
