/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/property_bag.h"

/* "name=value" of each property, a line each; "name" alone where there is no value. */
static const char *
told(const char *text)
{
	static char lines[512];
	struct property_bag bag;

	*lines = '\0';
	property_bag_init(&bag, slice_of(text));
	while (property_bag_next(&bag)) {
		size_t len = strlen(lines);

		snprintf(lines + len, sizeof(lines) - len, "%s%s%s\n", buf_text(&bag.name), bag.has_value ? "=" : "",
			buf_text(&bag.value));
	}
	property_bag_clear(&bag);
	return lines;
}

TEST("an empty bag has no properties, with or without its slash")
{
	CHECK_STR(told(""), "");
	CHECK_STR(told("/"), "");
	CHECK_STR(told("&&"), "");
}

TEST("both spellings of the dollar are one")
{
	CHECK_STR(told("%24.mid=1&$.cid=2&%24%2euid=3"), "$.mid=1\n$.cid=2\n$.uid=3\n");
}

TEST("keys and values are percent-decoded, and a plus is a plus")
{
	CHECK_STR(told("a%20b=c%26d%3De&x=1+1&y=a=b"), "a b=c&d=e\nx=1+1\ny=a=b\n");
}

TEST("a key without an equals sign has no value, which is not the empty value")
{
	CHECK_STR(told("a&b=&c"), "a\nb=\nc\n");
}

TEST("one slash at the end is overlooked, others belong to the value")
{
	CHECK_STR(told("%24.on=out/"), "$.on=out\n");
	CHECK_STR(told("p=/a/b//"), "p=/a/b/\n");
}

TEST("what does not decode stays as it stands")
{
	CHECK_STR(told("load=50%&b=%zz&c=%ff&d=a%00b&ok=%41"), "load=50%\nb=%zz\nc=%ff\nd=a%00b\nok=A\n");
}

TEST("system properties have long names")
{
	CHECK_STR(property_system_name("$.mid"), "message-id");
	CHECK_STR(property_system_name("$.ct"), "content-type");
	CHECK_STR(property_system_name("mid"), NULL);
}

TEST("a bag that was put together is read back, and the dollar is written as %24")
{
	CLEAR(buf) out = BUF_INIT(256);

	property_put(&out, "$.mid", "m 1");
	property_put(&out, "k&", "a=b/\xc3\xa4");
	property_put(&out, "bare", NULL);
	property_put(&out, "empty", "");
	CHECK_STR(buf_text(&out), "%24.mid=m%201&k%26=a%3Db%2F%C3%A4&bare&empty=");
	CHECK_STR(told(buf_text(&out)), "$.mid=m 1\nk&=a=b/\xc3\xa4\nbare\nempty=\n");
}
