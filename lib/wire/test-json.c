/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/json.h"

static json_t *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	if (!json)
		fail_msg("'%s': %s", text, err.text);
	return json;
}

TEST("JSON is written on one line as it was read")
{
	OWN_LIB(json_t) json = parsed(" {\"a\" : [1, \"x\\n\", true, null]} ");
	OWN_TEXT line = json_line(json);

	CHECK_STR(line, "{\"a\":[1,\"x\\n\",true,null]}");
}

TEST("what is no JSON, has a key twice, NUL or more behind it is refused with its place")
{
	static const char *const cases[] = { "", "{", "{\"a\":1,\"a\":2}", "[1,]", "1 2", "\"\\u0000\"", "{\"a\":\xff}", "nan",
		"'x'" };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		if (json_parse(cases[i], strlen(cases[i]), &err))
			fail_msg("accepted '%s'", cases[i]);
		CHECK_ERR(err, ERR_INVALID, "JSON line ");
	}
}

static json_t *
nested(int depth, struct err *err)
{
	char text[4 * JSON_DEPTH_MAX] = "";

	for (int i = 0; i < depth; i++) {
		text[i] = '[';
		text[depth + i] = ']';
	}
	return json_parse(text, strlen(text), err);
}

TEST("JSON may be nested 64 deep and no deeper")
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) fits = nested(JSON_DEPTH_MAX, &err);

	CHECK(fits);
	CHECK(!nested(JSON_DEPTH_MAX + 1, &err));
	CHECK_ERR(err, ERR_LIMIT, "deeper than 64");
}

TEST("brackets in strings are no depth")
{
	OWN_TEXT text = mem_textf("[\"\\\"%s\\\\\"]", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
	OWN_LIB(json_t) json = parsed(text);

	CHECK(json);
}

TEST("a member is found, absent, null, or of the wrong type")
{
	OWN_LIB(json_t) o = parsed("{\"t\":\"x\",\"n\":null,\"i\":7,\"b\":false,\"o\":{},\"a\":[]}");
	struct err err = ERR_INIT;
	const char *text = "old";
	int64_t number = 1;
	bool truth = true;
	json_t *inner;

	CHECK_OK(json_get_text(o, "t", &text, &err), err);
	CHECK_STR(text, "x");
	CHECK_OK(json_find_text(o, "n", &text, &err), err);
	CHECK_STR(text, NULL);
	CHECK_OK(json_find_int(o, "absent", &number, &err), err);
	CHECK_INT(number, 1);
	CHECK_OK(json_find_int(o, "i", &number, &err), err);
	CHECK_INT(number, 7);
	CHECK_OK(json_find_bool(o, "b", &truth, &err), err);
	CHECK(!truth);
	CHECK_OK(json_find_object(o, "o", &inner, &err), err);
	CHECK(json_is_object(inner));
	CHECK_OK(json_find_array(o, "a", &inner, &err), err);
	CHECK(json_is_array(inner));
}

TEST("the sentence names the member and what was expected")
{
	OWN_LIB(json_t) o = parsed("{\"t\":1,\"i\":\"x\",\"b\":0,\"r\":1.5}");
	OWN_LIB(json_t) list = parsed("[]");
	struct err err = ERR_INIT;
	const char *text;
	int64_t number;
	bool truth;
	json_t *inner;

	CHECK_INT(json_get_text(o, "t", &text, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "`t` is not a string");
	CHECK_INT(json_get_text(o, "absent", &text, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "missing field `absent`");
	CHECK_INT(json_find_int(o, "r", &number, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "`r` is not a whole number");
	CHECK_INT(json_find_bool(o, "b", &truth, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "`b` is not true or false");
	CHECK_INT(json_find_object(o, "i", &inner, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "`i` is not an object");
	CHECK_INT(json_find_text(list, "x", &text, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "expected a JSON object");
}
