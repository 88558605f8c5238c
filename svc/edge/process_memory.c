/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of processes, by proc(5). */
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/process_memory.h"

static int64_t
first_number(const char *text)
{
	size_t blank = strspn(text, " \t");
	OWN_TEXT digits = mem_textn(text + blank, strspn(text + blank, "0123456789"));
	int64_t value;

	return text_to_i64(digits, 0, INT64_MAX, &value) ? value : -1;
}

/* The number of KiB behind this word; -1: there is none. */
static int64_t
find(pid_t pid, const char *name, const char *word)
{
	OWN_TEXT path = mem_textf("/proc/%d/%s", (int)pid, name);
	struct buf text = BUF_INIT(65536);
	struct err ignored = ERR_INIT;
	const char *at = file_load(&text, path, &ignored) == 0 ? strstr(buf_text(&text), word) : NULL;
	int64_t value = at ? first_number(at + strlen(word)) : -1;

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
