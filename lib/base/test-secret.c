/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/secret.h"
#include "t.h"

TEST("setting replaces all of the old secret")
{
	struct secret secret = { 0 };

	secret_set(&secret, "a long secret", 13);
	CHECK_INT(secret.len, 13);
	secret_set(&secret, "short", 5);
	CHECK_INT(secret.len, 5);
	CHECK_MEM(secret.bytes, "short\0\0\0\0\0\0\0\0", 13);
	secret_clear(&secret);
}

TEST("a cleared secret is zero to its last byte")
{
	static const struct secret zero;
	struct secret secret = { 0 };
	uint8_t bytes[SECRET_MAX];

	memset(bytes, 0xa5, sizeof(bytes));
	secret_set(&secret, bytes, sizeof(bytes));
	secret_clear(&secret);
	CHECK_MEM(&secret, &zero, sizeof(zero));
}

TEST("a hardened process leaves no core and cannot be attached to")
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		struct rlimit limit = { 1, 1 };

		secret_harden_process();
		getrlimit(RLIMIT_CORE, &limit);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && limit.rlim_cur == 0 && limit.rlim_max == 0 ? 0 : 1);
	}
	CHECK(child > 0);
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
