/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A sum over the rows of a table, which goes along with each change and so costs no more however many there are: that one row was exchanged for an older one shows, too.  The terms are HMACs under
 * a secret key and added by XOR, and the sum is never seen outside in the clear or in a form that one could try things on.  Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct keep_sum {
	uint8_t bytes[DIGEST_SHA256_LEN];
};
/* The same takes away what was added. */
void keep_sum_add(
	struct keep_sum *sum, const void *key, size_t key_len, const char *name, bool is_due, const void *blob, size_t len);
