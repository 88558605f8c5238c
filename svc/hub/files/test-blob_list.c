/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "hub/files/blob_list.h"
#include "t.h"

static int
parse(struct blob_list *list, const char *text)
{
	struct err err = ERR_INIT;

	return blob_list_parse(list, text, strlen(text), &err);
}

TEST("a list as the storage clients write it gives its ids in order, of whichever kind they are")
{
	CLEAR(blob_list) list = { 0 };

	CHECK(parse(&list, "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><BlockList><Latest>QUFB</Latest>\r\n "
			   "<Uncommitted>QUFC</Uncommitted>"
			   "<Committed>QUFB</Committed></BlockList>\n") == 0);
	CHECK(list.n == 3);
	CHECK_STR(list.ids[0], "QUFB");
	CHECK_STR(list.ids[1], "QUFC");
	CHECK_STR(list.ids[2], "QUFB");
}

TEST("an empty list is a list")
{
	CLEAR(blob_list) list = { 0 };

	CHECK(parse(&list, "<BlockList></BlockList>") == 0 && list.n == 0);
	CHECK(parse(&list, "\xef\xbb\xbf<?xml version='1.0'?>\n<BlockList />") == 0 && list.n == 0);
}

TEST("what is not such a list is refused, and nothing is kept of it")
{
	static const char *const wrong[] = { "", "<BlockList>", "<BlockList><Latest>QUFB</Latest>",
		"<BlockList><Latest>QUFB</Committed></BlockList>", "<BlockList><Latest>Q&#85;FB</Latest></BlockList>",
		"<BlockList><Latest></Latest></BlockList>", "<BlockList><Latest>not base64!</Latest></BlockList>",
		"<BlockList><Latest x='y'>QUFB</Latest></BlockList>", "<BlockList><Other>QUFB</Other></BlockList>",
		"<BlockList></BlockList>x", "<!DOCTYPE x [<!ENTITY a 'b'>]><BlockList></BlockList>",
		"<BlockList><!-- x --></BlockList>", "{}", "<?xml ", "<?xml ?>" };

	for (size_t i = 0; i < COUNT(wrong); i++) {
		CLEAR(blob_list) list = { 0 };

		CHECK(parse(&list, wrong[i]) < 0 && list.n == 0 && !list.ids);
	}
}

TEST("the id of a block is the base64 of 1 to 64 bytes")
{
	char long_id[100];

	memset(long_id, 'A', sizeof(long_id));
	long_id[92] = 0;
	CHECK(!blob_block_id_is_valid(long_id));
	long_id[84] = 0;
	CHECK(blob_block_id_is_valid(long_id));
	CHECK(!blob_block_id_is_valid("") && !blob_block_id_is_valid("QUF") && !blob_block_id_is_valid("../x"));
}

TEST("a blob's name means the same to everybody: no dots to climb, nothing empty, no control characters, UTF-8")
{
	static const char *const good[] = { "a", "log.txt", "dir/log 2026.txt", "...", ".hidden/x..", "grüße", "a%2e%2e/b" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", "a\\b",
		"a\nb", "a\x7f", "\xff" };
	char long_name[BLOB_NAME_MAX + 2];

	for (size_t i = 0; i < COUNT(good); i++)
		CHECK(blob_name_is_valid(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK(!blob_name_is_valid(bad[i]));
	memset(long_name, 'n', sizeof(long_name));
	long_name[BLOB_NAME_MAX + 1] = 0;
	CHECK(!blob_name_is_valid(long_name));
	long_name[BLOB_NAME_MAX] = 0;
	CHECK(blob_name_is_valid(long_name));
}
