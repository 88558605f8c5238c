/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"

struct thing {
	int number;
	char *text;
};

TEST("new memory is zeroed")
{
	struct thing *thing = NEW(thing);
	uint32_t *numbers = mem_array(3, sizeof(*numbers));

	CHECK_INT(thing->number, 0);
	CHECK(thing->text == NULL);
	for (int i = 0; i < 3; i++)
		CHECK_INT(numbers[i], 0);
	mem_free(thing);
	mem_free(numbers);
}

TEST("nothing at all is a pointer too")
{
	void *none = mem_new(0), *array = mem_array(0, 8), *copy = mem_dup(NULL, 0);

	CHECK(none && array && copy);
	mem_free(none);
	mem_free(array);
	mem_free(copy);
	mem_free(NULL);
}

TEST("growing keeps the content")
{
	char *text = mem_text("abc");

	text = mem_resize(text, 100000);
	CHECK_STR(text, "abc");
	mem_free(text);
}

TEST("copies of text are terminated and stand alone")
{
	char source[] = "hello world";
	OWN_TEXT all = mem_text(source);
	OWN_TEXT part = mem_textn(source, 5);
	OWN_TEXT formatted = mem_textf("%s/%d", source, 7);
	OWN_TEXT none = mem_text(NULL);

	source[0] = 'J';
	CHECK_STR(all, "hello world");
	CHECK_STR(part, "hello");
	CHECK_STR(formatted, "hello world/7");
	CHECK(none == NULL);
}

TEST("what is handed out is no longer ours")
{
	char *kept = NULL;

	{
		OWN_TEXT text = mem_text("kept");

		kept = GIVE(text);
		CHECK(text == NULL);
	}
	CHECK_STR(kept, "kept");
	mem_free(kept);
}

TEST("bytes are equal only when each of them is")
{
	CHECK(mem_equal_ct("abcd", "abcd", 4));
	CHECK(!mem_equal_ct("abcd", "abce", 4));
	CHECK(!mem_equal_ct("\x80xxx", "\0xxx", 4));
	CHECK(mem_equal_ct("a", "b", 0));
	CHECK(mem_equal_ct(NULL, NULL, 0));
}

TEST("wiped bytes are zero, and no others")
{
	char bytes[] = "abcdef";

	mem_wipe(bytes, 3);
	CHECK_MEM(bytes, "\0\0\0def", 6);
	mem_wipe(NULL, 0);
}

TEST("the container is found from its member")
{
	struct thing thing = { .number = 1 };

	CHECK(CONTAINER_OF(&thing.text, struct thing, text) == &thing);
}
