/* SPDX-License-Identifier: Apache-2.0 */
/* One TOML document, or two with 0xff between them, which are merged. */
#include "fuzz.h"
#include "wire/toml.h"

static void
visit(const struct toml *t, size_t depth)
{
	struct err err = ERR_INIT;

	FUZZ_CHECK(depth <= 3 * TOML_DEPTH_MAX);
	FUZZ_CHECK(t->file && t->line > 0 && t->column > 0);
	FUZZ_CHECK(t->type != TOML_STRING || t->text);
	toml_err(t, &err, "seen");
	for (size_t i = 0; i < t->n; i++) {
		FUZZ_CHECK(
			t->type == TOML_TABLE ? t->item[i]->key && toml_find(t, t->item[i]->key) == t->item[i] : !t->item[i]->key);
		visit(t->item[i], depth + 1);
	}
}

static void
ask(const struct toml *t)
{
	static const char *const known[] = { "a", "name", "listen" };
	struct err err = ERR_INIT;
	const struct toml *inner;
	const char *text;
	int64_t number;
	bool truth;

	toml_get_text(t, "a.b", &text, &err);
	toml_get_int(t, "a", -5, 5, &number, &err);
	toml_find_bool(t, "a.b.c", &truth, &err);
	toml_find_table(t, "a", &inner, &err);
	toml_find_array(t, "a", &inner, &err);
	toml_check_keys(t, known, COUNT(known), &err);
}

/* What is written is read as the same, unless inline tables became deeper than headers may be. */
static void
write_again(const struct toml *t)
{
	CLEAR(buf) first = BUF_INIT(TOML_MAX);
	CLEAR(buf) second = BUF_INIT(TOML_MAX);
	struct err err = ERR_INIT;
	OWN(toml) again = NULL;

	toml_put(&first, t);
	if (first.failed)
		return;
	again = toml_parse(buf_text(&first), first.len, "again", &err);
	FUZZ_CHECK(again || strstr(err.text, "deep"));
	if (!again)
		return;
	toml_put(&second, again);
	FUZZ_CHECK(fuzz_same(fuzz_slice(&first), fuzz_slice(&second)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size > 0 ? memchr(data, 0xff, size) : NULL;
	size_t len = cut ? (size_t)(cut - data) : size;
	struct err err = ERR_INIT;
	OWN(toml) first = toml_parse((const char *)data, len, "first", &err);
	OWN(toml) second = cut ? toml_parse((const char *)cut + 1, size - len - 1, "second", &err) : NULL;

	if (first && second) {
		toml_merge(first, second);
		FUZZ_CHECK(second->n == 0);
	}
	if (first) {
		visit(first, 0);
		ask(first);
		write_again(first);
	}
	return 0;
}
