/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Random bytes from the kernel. */

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint64_t random_u64(void);
uint32_t random_below(uint32_t n); /* evenly in [0, n) */

#define RANDOM_UUID_LEN 37
const char *random_uuid(char out[static RANDOM_UUID_LEN]); /* RFC 4122 version 4, lower case */
