/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes that must not be seen: wiped when cleared, kept out of core files, never printable by a format.  Compare with
 * mem_equal_ct only. */

#include <stddef.h>
#include <stdint.h>

#define SECRET_MAX 128

struct secret {
	size_t len;
	uint8_t bytes[SECRET_MAX];
};

void secret_clear(struct secret *secret);
void secret_set(struct secret *secret, const void *bytes, size_t len); /* len <= SECRET_MAX (asserted) */

/* At the start of a process that holds secrets: no core dumps, not attachable. */
void secret_harden_process(void);
