/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_basic.h"

#include "base/mem.h"
#include "t.h"
#include "wire/codec.h"

static bool
reads(const char *authorization, const char *name, const char *password)
{
	CLEAR(buf) found = BUF_INIT(HTTP_BASIC_MAX);
	const char *after = NULL;

	if (!http_basic_read(&found, &after, authorization))
		return false;
	CHECK_STR((char *)found.data, name);
	CHECK_STR(after, password);
	return true;
}

TEST("a name and a password, in any case of the scheme, with the colons that belong to the password")
{
	CHECK(reads("Basic bGluZTpjb3JyZWN0IGhvcnNl", "line", "correct horse"));
	CHECK(reads("bAsIc   bGluZTpjb3JyZWN0IGhvcnNl", "line", "correct horse"));
	CHECK(reads("Basic bGluZTphOmI6", "line", "a:b:"));
}

TEST("RFC 7030 3.2.3: the name may be empty, and so may the password")
{
	CHECK(reads("Basic OnNlY3JldA==", "", "secret"));
	CHECK(reads("Basic bGluZTo=", "line", ""));
	CHECK(reads("Basic Og==", "", ""));
}

TEST("another scheme, no colon, a NUL, base64 with rubbish or without an end, and what is too long are none")
{
	static const char *const crooked[] = { "", "Basic", "Basic ", "Bearer bGluZTph",
		"Basicb2E6Yg==", "Basic bGluZQ==", "Basic bGluZQA6YQ==", "Basic bGlu!TphOmI6", "Basic bGluZTp", "Basic bGlu ZTph",
		"Basic\tbGluZTph" };
	CLEAR(buf) long_one = BUF_INIT(4 * HTTP_BASIC_MAX);

	for (size_t i = 0; i < COUNT(crooked); i++)
		if (reads(crooked[i], "", ""))
			fail_msg("'%s' was read", crooked[i]);
	buf_puts(&long_one, "Basic ");
	for (int i = 0; i < HTTP_BASIC_MAX / 3 + 1; i++)
		buf_puts(&long_one, "OmFh");
	CHECK(!reads(buf_text(&long_one), "", ""));
}
