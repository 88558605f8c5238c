/* SPDX-License-Identifier: Apache-2.0 */
/* The sum of rows (keep_sum.h). */
#include "gateway/keep/keep_sum.h"

#include <string.h>

#include "base/buf.h"

/* The name ends with a NUL, which it can't hold. */
void
keep_sum_add(struct keep_sum *sum, const void *key, size_t key_len, const char *name, bool is_due, const void *blob, size_t len)
{
	struct buf row = BUF_INIT(strlen(name) + len + 16);
	uint8_t term[DIGEST_SHA256_LEN];

	buf_put(&row, name, strlen(name) + 1);
	buf_putc(&row, is_due ? '1' : '0');
	buf_put(&row, blob, len);
	digest_hmac_sha256(key, key_len, row.data, row.len, term);
	for (size_t i = 0; i < sizeof(term); i++)
		sum->bytes[i] ^= term[i];
	buf_clear(&row);
}
