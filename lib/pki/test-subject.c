/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/subject.h"

#include "base/mem.h"
#include "t.h"

static void
is_subject(const struct subject_part *parts, size_t n, const char *wanted)
{
	struct err err = ERR_INIT;
	X509_NAME *name = subject_new(parts, n, &err);
	char text[512];

	if (!name)
		fail_msg("%s", err.text);
	X509_NAME_oneline(name, text, sizeof(text));
	CHECK_STR(text, wanted);
	X509_NAME_free(name);
}

TEST("attributes stand in the order of their keys")
{
	const struct subject_part parts[] = { { "ST", "Hessen" }, { "CN", "edge-1" }, { "O", "Contoso" }, { "C", "DE" } };

	is_subject(parts, COUNT(parts), "/C=DE/CN=edge-1/O=Contoso/ST=Hessen");
}

TEST("a CN is cut to 64 characters, which may be more bytes")
{
	char text[2 * 70 + 1] = "";
	struct subject_part part = { "CN", text };
	struct err err = ERR_INIT;
	X509_NAME *name;

	for (int i = 0; i < 70; i++)
		memcpy(text + 2 * i, "\xc3\xa4", 2);
	name = subject_new(&part, 1, &err);
	CHECK(name);
	CHECK_INT(ASN1_STRING_length(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, 0))), 128);
	X509_NAME_free(name);
}

TEST("what is no subject is refused by its name")
{
	static const struct {
		struct subject_part part;
		const char *why;
	} cases[] = {
		{ { "X", "a" }, "no attribute 'X'" },
		{ { "serverAuth", "a" }, "no attribute" },
		{ { "", "a" }, "no attribute" },
		{ { "CN", "" }, "the value of CN" },
		{ { "O", "a\nb" }, "the value of O" },
		{ { "O", "\xff" }, "the value of O" },
		{ { "C", "Germany" }, "for C in a subject" },
	};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < COUNT(cases); i++) {
		CHECK(!subject_new(&cases[i].part, 1, &err));
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
	CHECK(!subject_new(NULL, 0, &err));
}
