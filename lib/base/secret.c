/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: wiped when no longer needed, in a process that leaves no core. */
#include <assert.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/secret.h"

void
secret_clear(struct secret *secret)
{
	mem_wipe(secret, sizeof(*secret));
}

void
secret_set(struct secret *secret, const void *bytes, size_t len)
{
	assert(len <= SECRET_MAX);
	secret_clear(secret);
	if (len > 0)
		memcpy(secret->bytes, bytes, len);
	secret->len = len;
}

void
secret_harden_process(void)
{
	const struct rlimit none = { 0, 0 };

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
}
