/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the kernel; without them nothing here is safe, so a failure ends the process. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/random.h"

void
random_bytes(void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t got = getrandom(at, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fputs("the kernel gives no random bytes\n", stderr);
			abort();
		}
		at += got;
		len -= (size_t)got;
	}
}

uint64_t
random_u64(void)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return v;
}

uint32_t
random_below(uint32_t n)
{
	uint32_t limit = n ? UINT32_MAX - UINT32_MAX % n : 0, v;

	if (n == 0)
		return 0;
	do
		random_bytes(&v, sizeof(v));
	while (v >= limit);
	return v % n;
}

const char *
random_uuid(char out[static RANDOM_UUID_LEN])
{
	uint8_t b[16];

	random_bytes(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, RANDOM_UUID_LEN, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
		b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return out;
}
