/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "edge/sandbox.h"
#include "t.h"

TEST("a secret among the system's files is one that every role may read; elsewhere it is not, however its name begins")
{
	OWN_TEXT own = mem_textf("%s/own.key", T_TMPDIR);
	OWN_TEXT link = mem_textf("%s/link.key", T_TMPDIR);

	CHECK(sandbox_all_may_read("/usr"));
	CHECK(sandbox_all_may_read("/usr/bin/../bin/env"));
	CHECK(!sandbox_all_may_read("/etc/passwd"));
	CHECK(!sandbox_all_may_read("/etc"));
	CHECK(!sandbox_all_may_read("/"));
	CHECK(!sandbox_all_may_read("/var/lib"));
	CHECK(!sandbox_all_may_read(own)); /* not there */
	CHECK(symlink("/usr/bin/env", link) == 0);
	CHECK(sandbox_all_may_read(link));
}
