/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/mem.h"
#include "t.h"

static void *
fail_with_pointer(struct err *err)
{
	return err_null(err, ERR_DENIED, "no");
}

TEST("a failure has a kind, a sentence and a place")
{
	struct err err = ERR_INIT;

	CHECK_INT(err_set(&err, ERR_LIMIT, "%d of %d", 3, 2), -1);
	CHECK_ERR(err, ERR_LIMIT, "3 of 2");
	CHECK_CONTAINS(err.file, "test-err.c");
	CHECK_INT(err.line, __LINE__ - 3);
	CHECK(fail_with_pointer(&err) == NULL);
	CHECK_ERR(err, ERR_DENIED, "no");
}

TEST("context goes in front and keeps the kind and the place")
{
	struct err err = ERR_INIT;
	int line;

	err_set(&err, ERR_MISSING, "no such file");
	line = err.line;
	CHECK_INT(err_wrap(&err, "CA %s", "factory"), -1);
	CHECK_STR(err.text, "CA factory: no such file");
	CHECK_INT(err.kind, ERR_MISSING);
	CHECK_INT(err.line, line);
}

TEST("the sentence itself may be an argument of the next")
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_BROKEN, "inner");
	err_set(&err, ERR_INVALID, "outer of %s", err.text);
	CHECK_STR(err.text, "outer of inner");
	err_wrap(&err, "again %s", err.text);
	CHECK_STR(err.text, "again outer of inner: outer of inner");
}

TEST("what is too long is cut at the end; what was attempted stays")
{
	struct err err = ERR_INIT;
	char many[1000];

	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	err_set(&err, ERR_INVALID, "%s", many);
	err_wrap(&err, "reading the list");
	CHECK_INT(strlen(err.text), sizeof(err.text) - 1);
	CHECK_INT(strncmp(err.text, "reading the list: xxx", 21), 0);
	err_wrap(&err, "%s", many);
	CHECK_INT(strlen(err.text), sizeof(err.text) - 1);
}

TEST("errno gives the kind and the end of the sentence")
{
	static const struct {
		int number;
		enum err_kind kind;
	} rows[] = { { ENOENT, ERR_MISSING }, { EACCES, ERR_DENIED }, { EPERM, ERR_DENIED }, { EEXIST, ERR_CONFLICT },
		{ ENOSPC, ERR_UNAVAILABLE }, { EDQUOT, ERR_UNAVAILABLE }, { EMFILE, ERR_UNAVAILABLE }, { ENFILE, ERR_UNAVAILABLE },
		{ EAGAIN, ERR_UNAVAILABLE }, { ECONNREFUSED, ERR_UNAVAILABLE }, { ETIMEDOUT, ERR_UNAVAILABLE },
		{ ENAMETOOLONG, ERR_LIMIT }, { EFBIG, ERR_LIMIT }, { EIO, ERR_BROKEN } };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < COUNT(rows); i++) {
		errno = rows[i].number;
		CHECK_INT(err_errno(&err, "/var/x"), -1);
		CHECK_ERR(err, rows[i].kind, "/var/x: ");
		CHECK_CONTAINS(err.text, strerror(rows[i].number));
	}
}

TEST("every kind has a name")
{
	for (int kind = ERR_NONE; kind <= ERR_BROKEN; kind++)
		CHECK(err_kind_name((enum err_kind)kind)[0] != '\0');
	CHECK_STR(err_kind_name(ERR_UNAVAILABLE), "unavailable");
	CHECK_STR(err_kind_name(ERR_BROKEN), "broken");
}

TEST("a sentence is UTF-8 wherever what it quotes was cut")
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_INVALID, "'%.2s' is none", "a\xc3\xa9");
	CHECK_STR(err.text, "'a?' is none");
	err_wrap(&err, "\xff");
	CHECK_STR(err.text, "?: 'a?' is none");
}
