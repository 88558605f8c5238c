/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/buf.h"
#include "base/mem.h"
#include "t.h"
#include "wire/toml.h"

static struct toml *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct toml *t = toml_parse(text, strlen(text), "f.toml", &err);

	if (!t)
		fail_msg("'%s': %s", text, err.text);
	return t;
}

/* A value as text that names its type, so that tables of cases can tell 1 from 1.0. */
static void
tell(struct buf *out, const struct toml *t)
{
	switch (t->type) {
	case TOML_TABLE:
	case TOML_ARRAY:
		buf_putc(out, t->type == TOML_TABLE ? '{' : '[');
		for (size_t i = 0; i < t->n; i++) {
			buf_putf(out, "%s%s%s", i ? "," : "", t->type == TOML_TABLE ? t->item[i]->key : "",
				t->type == TOML_TABLE ? "=" : "");
			tell(out, t->item[i]);
		}
		buf_putc(out, t->type == TOML_TABLE ? '}' : ']');
		break;
	case TOML_STRING:
		buf_putf(out, "'%s'", t->text);
		break;
	case TOML_INTEGER:
		buf_putf(out, "%lld", (long long)t->integer);
		break;
	case TOML_FLOAT:
		buf_putf(out, "f%g", t->number);
		break;
	case TOML_BOOLEAN:
		buf_puts(out, t->boolean ? "true" : "false");
		break;
	case TOML_DATETIME:
		buf_putf(out, "@%s", t->text);
		break;
	}
}

struct value {
	const char *text, *told;
};

static void
check_values(const struct value *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		OWN(toml) t = parsed(cases[i].text);
		CLEAR(buf) out = BUF_INIT(4096);

		tell(&out, t);
		CHECK_STR(buf_text(&out), cases[i].told);
	}
}

TEST("keys may be bare, quoted and dotted")
{
	static const struct value cases[] = {
		{ "", "{}" },
		{ "# only\n\t\n", "{}" },
		{ "\xef\xbb\xbf"
		  "a=1",
			"{a=1}" },
		{ "a=1\r\nb-_9 = 2 # x", "{a=1,b-_9=2}" },
		{ "\"a b\" = 1\n'c\\' = 2\n\"\" = 3", "{a b=1,c\\=2,=3}" },
		{ "a.b.c = 1\na . 'd' = 2", "{a={b={c=1},d=2}}" },
		{ "1.2 = 3", "{1={2=3}}" },
	};

	check_values(cases, COUNT(cases));
}

TEST("strings are basic, literal, and of several lines")
{
	static const struct value cases[] = {
		{ "a = \"\\t\\\"\\\\\\u00e4\\U0001F600\"", "{a='\t\"\\\xc3\xa4\xf0\x9f\x98\x80'}" },
		{ "a = 'C:\\x'", "{a='C:\\x'}" },
		{ "a = \"\"\"\nx\ny\"\"\"", "{a='x\ny'}" },
		{ "a = '''x''y'''", "{a='x''y'}" },
		{ "a = \"\"\"x\"\"\"\"\"", "{a='x\"\"'}" },
		{ "a = \"\"\"x \\\n\n   y\"\"\"", "{a='x y'}" },
		{ "a = \"\"\nb = ''", "{a='',b=''}" },
		{ "a = \"\"\"\"\"\"", "{a=''}" },
	};

	check_values(cases, COUNT(cases));
}

TEST("numbers are whole in four bases, or not whole")
{
	static const struct value cases[] = {
		{ "a=[0,+1,-1,1_000,-0,9223372036854775807,-9223372036854775808]",
			"{a=[0,1,-1,1000,0,9223372036854775807,-9223372036854775808]}" },
		{ "a=[0xDEAD_beef,0o17,0b1_0,0x7fffffffffffffff]", "{a=[3735928559,15,2,9223372036854775807]}" },
		{ "a=[1.5,-0.25,1e3,1_0.5_0E-1,+inf,-inf]", "{a=[f1.5,f-0.25,f1000,f1.05,finf,f-inf]}" },
		{ "a=true\nb=false", "{a=true,b=false}" },
	};

	check_values(cases, COUNT(cases));
}

TEST("dates and times stay as written")
{
	static const struct value cases[] = {
		{ "a=1979-05-27T07:32:00Z", "{a=@1979-05-27T07:32:00Z}" },
		{ "a=1979-05-27 07:32:00.5-07:00 # x", "{a=@1979-05-27 07:32:00.5-07:00}" },
		{ "a=[1979-05-27,07:32:00,2000-02-29,1979-05-27t23:59:60]",
			"{a=[@1979-05-27,@07:32:00,@2000-02-29,@1979-05-27t23:59:60]}" },
	};

	check_values(cases, COUNT(cases));
}

TEST("tables, arrays of tables, inline tables and arrays over lines")
{
	static const struct value cases[] = {
		{ "[a]\nb=1\n[a.c]\nd=2\n[e]", "{a={b=1,c={d=2}},e={}}" },
		{ "[a.b]\nx=1\n[a]\ny=2", "{a={b={x=1},y=2}}" },
		{ "[[a]]\nb=1\n[[a]]\n[a.c]\nd=2\n[[a.e]]", "{a=[{b=1},{c={d=2},e=[{}]}]}" },
		{ "a = { b = 1, c.d = 2 }\ne = {}", "{a={b=1,c={d=2}},e={}}" },
		{ "a = [\n 1, # one\n [2, 'x'], {b=3},\n]", "{a=[1,[2,'x'],{b=3}]}" },
		{ "[fruit]\napple.taste.sweet = true\n[fruit.apple.texture]\nsmooth = true",
			"{fruit={apple={taste={sweet=true},texture={smooth=true}}}}" },
		{ "[ a . \"b\" ]", "{a={b={}}}" },
	};

	check_values(cases, COUNT(cases));
}

struct refused {
	const char *text, *why;
};

static void
check_refused(const struct refused *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct err err = ERR_INIT;
		struct toml *t = toml_parse(cases[i].text, strlen(cases[i].text), "f.toml", &err);

		if (t)
			fail_msg("accepted '%s'", cases[i].text);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}

TEST("a malformed document is refused with file and line")
{
	static const struct refused cases[] = {
		{ "a", "f.toml:1: expected = after the key" },
		{ "\na\n= 1", "f.toml:2: expected = after the key" },
		{ "= 1", "f.toml:1: expected a key" },
		{ "a = ", "f.toml:1: expected a value" },
		{ "a = 1 b = 2", "f.toml:1: something follows" },
		{ "a = 1\nb = x", "f.toml:2: 'x' is not a value (a text needs quotes)" },
		{ "a = 'x\nb'", "f.toml:1: a text without its closing quote" },
		{ "a = \"\"\"x", "closing quote" },
		{ "a = \"\\q\"", "unknown escape" },
		{ "a = \"\\ud800\"", "not a Unicode character" },
		{ "a = \"\\u12\"", "4 and 8 hex digits" },
		{ "a = \"\1\"", "control character in a text" },
		{ "# \1", "control character in a comment" },
		{ "a = 1\rb = 2", "something follows" },
		{ "a = [1 2]", "without its ]" },
		{ "a = [\n1\n", "f.toml:3: an array without its ]" },
		{ "a = {b=1,}", "expected a key" },
		{ "a = {b=1\n}", "f.toml:1: an inline table without its }" },
		{ "[a", "header without its ]" },
		{ "[[a]", "header without its ]" },
		{ "[a] b", "something follows" },
		{ "[]", "expected a key" },
		{ "\"\"\"a\"\"\" = 1", "can't be a text of several lines" },
		{ "\"\\u0000\" = 1", "a key with NUL" },
		{ "a = \xff", "not UTF-8" },
	};

	check_refused(cases, COUNT(cases));
}

TEST("what looks like a number or date and is none is refused")
{
	static const char *const words[] = { "01", "+-1", "-+1", "++1", "1_", "_1", "1__0", "1_e5", "1e_5", "1.", ".5", "1.e5",
		"1e", "0x", "0X1", "+0x1", "-0b1", "0b2", "0o8", "0xg", "0x_1", "9223372036854775808", "0x8000000000000000", "1.5_",
		"00.5", "Inf", "NaN", "+true", "True", "1979-13-01", "1979-02-29", "1979-1-1", "24:00:00", "12:60:00", "12:00",
		"12:00:61", "1979-05-27T", "1979-05-27T07:32:00+24:00", "1979-05-27T07:32:00.Z", "1.2.3" };

	for (size_t i = 0; i < COUNT(words); i++) {
		OWN_TEXT text = mem_textf("a = %s", words[i]);
		struct refused refused = { text, "is not a value" };

		check_refused(&refused, 1);
	}
}

TEST("nothing is defined twice, whichever way it is written")
{
	static const struct refused cases[] = {
		{ "a=1\na=2", "f.toml:2: `a` is given a second time" },
		{ "a=1\n'a'=2", "second time" },
		{ "[a]\n[a]", "f.toml:2: `a` is given a second time" },
		{ "a.b=1\n[a]", "second time" },
		{ "[a]\nb=1\n[a.b]", "second time" },
		{ "a={}\na.b=1", "second time" },
		{ "a={b={}}\n[a.b]", "second time" },
		{ "a={}\n[a.b]", "second time" },
		{ "a=[]\n[[a]]", "second time" },
		{ "[[a]]\n[a]", "second time" },
		{ "[a.b]\n[[a]]", "second time" },
		{ "a=1\na.b=2", "second time" },
		{ "[a.b]\nx=1\n[a]\nb.y=2", "second time" },
		{ "a={b=1,b=2}", "second time" },
	};

	check_refused(cases, COUNT(cases));
}

static char *
repeated(const char *head, const char *part, size_t n)
{
	struct buf out = BUF_INIT(4 * 1024 * 1024);

	buf_puts(&out, head);
	for (size_t i = 0; i < n; i++)
		buf_puts(&out, part);
	return buf_take_text(&out);
}

TEST("nesting deeper than 64 is refused, by brackets, braces or dots")
{
	OWN_TEXT brackets = repeated("a=", "[", 100000);
	OWN_TEXT braces = repeated("a=", "{a=", 100000);
	OWN_TEXT dots = repeated("a", ".a", 100000);
	OWN_TEXT mixed = repeated("a=", "{a.a.a.a.a.a.a.a=[", 12);
	struct refused cases[] = { { brackets, "nested too deeply" }, { braces, "nested too deeply" }, { dots, "too many parts" },
		{ mixed, "nested too deeply" } };

	check_refused(cases, COUNT(cases));
}

TEST("a table of more than 4096 keys and a document of more than 1 MiB are refused")
{
	CLEAR(buf) many = BUF_INIT(TOML_MAX);
	OWN_TEXT large = repeated("#", "x", TOML_MAX);
	struct err err = ERR_INIT;

	for (int i = 0; i <= TOML_KEYS_MAX; i++)
		buf_putf(&many, "k%d=1\n", i);
	CHECK(!toml_parse(buf_text(&many), many.len, "f.toml", &err));
	CHECK_ERR(err, ERR_LIMIT, "f.toml:4097: a table with more than 4096 keys");
	CHECK(!toml_parse(large, strlen(large), "f.toml", &err));
	CHECK_ERR(err, ERR_LIMIT, "larger than");
}

TEST("every value knows its file, line and column")
{
	OWN(toml) t = parsed("a = 1\n\n  b.c = [\n 'x',\n '''\ny'''\n]\n [d]\ne = 2");
	const struct toml *list = toml_find_path(t, "b.c");

	CHECK_INT(toml_find(t, "a")->line, 1);
	CHECK_INT(toml_find(t, "a")->column, 1);
	CHECK_INT(list->line, 3);
	CHECK_INT(list->column, 3);
	CHECK_INT(list->item[1]->line, 5);
	CHECK_INT(list->item[1]->column, 2);
	CHECK_INT(toml_find(t, "d")->line, 8);
	CHECK_INT(toml_find(t, "d")->column, 2);
	CHECK_STR(toml_find_path(t, "d.e")->file, "f.toml");
}

TEST("getters give values of their type and leave defaults alone")
{
	OWN(toml) t = parsed("name='x'\n[listen]\nport=8883\ntls=true\nhosts=['a','b']");
	struct err err = ERR_INIT;
	const char *text = "default";
	const struct toml *inner = NULL;
	int64_t number = 5;
	bool truth = false;

	CHECK_OK(toml_get_text(t, "name", &text, &err), err);
	CHECK_STR(text, "x");
	CHECK_OK(toml_find_text(t, "absent.too", &text, &err), err);
	CHECK_STR(text, "x");
	CHECK_OK(toml_find_int(t, "absent", 1, 2, &number, &err), err);
	CHECK_INT(number, 5);
	CHECK_OK(toml_get_int(t, "listen.port", 1, 65535, &number, &err), err);
	CHECK_INT(number, 8883);
	CHECK_OK(toml_find_bool(t, "listen.tls", &truth, &err), err);
	CHECK(truth);
	CHECK_OK(toml_find_table(t, "listen", &inner, &err), err);
	CHECK_INT(inner->n, 3);
	CHECK_OK(toml_find_array(t, "listen.hosts", &inner, &err), err);
	CHECK_STR(inner->item[1]->text, "b");
}

TEST("a wrong or missing value is told with its place and path")
{
	OWN(toml) t = parsed("name=1\n[listen]\nport='x'\nhigh=70000\nnul=\"a\\u0000b\"");
	struct err err = ERR_INIT;
	const struct toml *inner;
	const char *text;
	int64_t number;
	bool truth;

	CHECK_INT(toml_find_text(t, "name", &text, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:1: name: expected a string, found a whole number");
	CHECK_INT(toml_get_int(t, "listen.port", 1, 65535, &number, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:3: listen.port: expected a whole number, found a string");
	CHECK_INT(toml_find_int(t, "listen.high", 1, 65535, &number, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:4: listen.high: 70000 is not between 1 and 65535");
	CHECK_INT(toml_get_text(t, "listen.nul", &text, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:5: listen.nul: the string holds a NUL");
	CHECK_INT(toml_find_bool(t, "listen", &truth, &err), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:2: listen: expected true or false, found a table");
	CHECK_INT(toml_get_text(t, "absent", &text, &err), -1);
	CHECK_ERR(err, ERR_MISSING, "f.toml: `absent` is missing");
	CHECK_OK(toml_find_table(t, "listen", &inner, &err), err);
	CHECK_INT(toml_get_text(inner, "absent", &text, &err), -1);
	CHECK_ERR(err, ERR_MISSING, "f.toml:2: `absent` is missing in listen");
	CHECK_INT(toml_err(toml_find(t, "name"), &err, "is %d", 7), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:1: name: is 7");
}

TEST("an unknown key is named with the nearest one")
{
	static const char *const known[] = { "hostname", "homedir" };
	OWN(toml) good = parsed("hostname='x'");
	OWN(toml) near = parsed("homedir='x'\nhostnam='x'");
	OWN(toml) far = parsed("zzz=1");
	struct err err = ERR_INIT;

	CHECK_OK(toml_check_keys(good, known, COUNT(known), &err), err);
	CHECK_INT(toml_check_keys(near, known, COUNT(known), &err), -1);
	CHECK_ERR(err, ERR_INVALID, "f.toml:2: unknown key `hostnam`, did you mean `hostname`?");
	CHECK_INT(toml_check_keys(far, known, COUNT(known), &err), -1);
	CHECK_STR(err.text, "f.toml:1: unknown key `zzz`");
}

TEST("documents merge: tables key by key, arrays joined, values replaced; each value keeps its file")
{
	OWN(toml) into = parsed("a=1\nb=[1]\n[t]\nx=1\ny=2\n[[p]]\nn=1\n[s]\nz=1");
	static const char text[] = "a=2\nb=[2,3]\nnew='n'\ns='now text'\n[t]\ny=3\n[[p]]\nn=2";
	struct err err = ERR_INIT;
	struct toml *from = toml_parse(text, strlen(text), "g.toml", &err);
	CLEAR(buf) out = BUF_INIT(4096);

	CHECK(from);
	toml_merge(into, from);
	CHECK_INT(from->n, 0);
	toml_free(from);
	tell(&out, into);
	CHECK_STR(buf_text(&out), "{a=2,b=[1,2,3],t={x=1,y=3},p=[{n=1},{n=2}],s='now text',new='n'}");
	CHECK_STR(toml_find_path(into, "t.x")->file, "f.toml");
	CHECK_STR(toml_find_path(into, "t.y")->file, "g.toml");
}

TEST("what is written is read as the same: keys that need quotes, texts with anything in them, numbers, inline tables, arrays of "
     "tables")
{
	static const char text[] = "z=1\n'a b'='quoted'\nt='''two\nlines \"x\" \\ "
				   "'''\nf=1e3\ng=2.0\nnot=nan\nd=1979-05-27\nl=[1,[2,3],{a=1,b='c'}]\ne=[]\n"
				   "[q.'r s']\nx=true\n[[p]]\nn=1\n[p.below]\nm=2\n[[p]]\nn=2\n[empty]\ni={a={b=1}}\n";
	OWN(toml) first = parsed(text);
	CLEAR(buf) written = BUF_INIT(4096);
	CLEAR(buf) again = BUF_INIT(4096);
	CLEAR(buf) before = BUF_INIT(4096);
	CLEAR(buf) after = BUF_INIT(4096);
	OWN(toml) second = NULL;
	struct err err = ERR_INIT;

	toml_put(&written, first);
	second = toml_parse(buf_text(&written), written.len, "g.toml", &err);
	if (!second)
		fail_msg("%s in\n%s", err.text, buf_text(&written));
	toml_put(&again, second);
	CHECK_STR(buf_text(&again), buf_text(&written));
	CHECK_STR(toml_find_path(second, "t")->text, toml_find_path(first, "t")->text);
	CHECK_INT(toml_find_path(second, "p")->n, 2);
	CHECK_INT(toml_find_path(second, "empty.i.a.b")->integer, 1);
	CHECK_INT(toml_find(second, "f")->type, TOML_FLOAT);
	CHECK_INT(toml_find(second, "g")->type, TOML_FLOAT);
	tell(&before, toml_find(first, "l"));
	tell(&after, toml_find(second, "l"));
	CHECK_STR(buf_text(&after), buf_text(&before));
}

TEST("a key is removed with what is below it, and others can be added after")
{
	OWN(toml) t = parsed("a=1\n[b]\nc=2\n[d]\ne=3\n");
	OWN(toml) more = parsed("f=4\ng=5\n");
	CLEAR(buf) out = BUF_INIT(4096);

	toml_remove(t, "b");
	toml_remove(t, "b");
	toml_merge(t, more);
	tell(&out, t);
	CHECK_STR(buf_text(&out), "{a=1,d={e=3},f=4,g=5}");
}
