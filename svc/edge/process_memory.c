/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of processes, by proc(5). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "edge/process_memory.h"

/* The number of KiB behind this word; -1: there is none. */
static int64_t
find(pid_t pid, const char *name, const char *word)
{
	OWN_TEXT path = mem_textf("/proc/%d/%s", (int)pid, name);
	struct buf text = BUF_INIT(65536);
	struct err ignored = ERR_INIT;
	const char *at = file_load(&text, path, &ignored) == 0 ? strstr(buf_text(&text), word) : NULL;
	int64_t value = at ? strtoll(at + strlen(word), NULL, 10) : -1;

	buf_clear(&text);
	return value;
}

int64_t
process_memory_kib(pid_t pid, bool *is_pss)
{
	int64_t kib = find(pid, "smaps_rollup", "\nPss:");

	*is_pss = kib >= 0;
	if (kib < 0)
		kib = find(pid, "status", "\nVmRSS:");
	return kib < 0 ? 0 : kib;
}
