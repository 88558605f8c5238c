/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of blocks and names of blobs: what is accepted stays below its ceilings and can be written again as the same. */
#include "base/mem.h"
#include "fuzz.h"
#include "hub/files/blob_list.h"

static void
check_list(const uint8_t *data, size_t size)
{
	CLEAR(buf) again = BUF_INIT(1 << 24);
	CLEAR(blob_list) list = { 0 };
	CLEAR(blob_list) copy = { 0 };
	struct err err = ERR_INIT;

	if (blob_list_parse(&list, data, size, &err) < 0) {
		FUZZ_CHECK(list.n == 0 && !list.ids);
		return;
	}
	buf_puts(&again, "<BlockList>");
	for (size_t i = 0; i < list.n; i++) {
		FUZZ_CHECK(blob_block_id_is_valid(list.ids[i]));
		buf_putf(&again, "<Latest>%s</Latest>", list.ids[i]);
	}
	buf_puts(&again, "</BlockList>");
	FUZZ_CHECK(blob_list_parse(&copy, again.data, again.len, &err) == 0 && copy.n == list.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_TEXT name = mem_textn((const char *)data, size);

	FUZZ_CHECK(!blob_name_is_valid(name) || (*name && *name != '/' && !strstr(name, "/../") && !strchr(name, '\n')));
	check_list(data, size);
	return 0;
}
