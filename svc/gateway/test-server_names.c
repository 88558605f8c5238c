/* SPDX-License-Identifier: Apache-2.0 */
/* Which names a server certificate is to have. */
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "gateway/server_names.h"
#include "t.h"

/* As a gateway reads it. */
static struct server_names
given_in(const char *hostname, const char *lines)
{
	OWN_TEXT path = file_join(T_TMPDIR, "names");
	struct err err = ERR_INIT;
	struct server_names given;

	CHECK(file_save(path, lines, strlen(lines), 0600, &err) == 0);
	CHECK(server_names_load(&given, hostname, path, &err) == 0);
	return given;
}

TEST("auto stands for the addresses of the box, in its place; a name stands there once")
{
	struct server_names given = given_in("gw.local", "auto\n\nGW.local\n10.0.0.7\ngw2.local");
	char first[] = "10.0.0.7", second[] = "2001:db8::7";
	char *addresses[] = { first, second };
	struct server_names names, less;

	server_names_fill(&names, "::", &given, addresses, 2);
	CHECK_INT(names.n, 4);
	CHECK_STR(names.item[0], "gw.local");
	CHECK_STR(names.item[1], "10.0.0.7");
	CHECK_STR(names.item[2], "2001:db8::7");
	CHECK_STR(names.item[3], "gw2.local");
	CHECK(server_names_have(&names, "Gw2.Local") && !server_names_have(&names, "auto") &&
		!server_names_have(&names, "w.local"));
	server_names_fill(&less, "::", &given, addresses, 1);
	CHECK(!server_names_are_same(&names, &less));
	server_names_clear(&less);
	server_names_fill(&less, "::", &given, addresses, 2);
	CHECK(server_names_are_same(&names, &less));
	server_names_clear(&less);
	server_names_clear(&names);
	server_names_clear(&given);
}

TEST("auto is of the families on which the gateway listens; what is given in words stands as it is")
{
	struct server_names given = given_in("gw.local", "auto\n2001:db8::8\n");
	char first[] = "10.0.0.7", second[] = "2001:db8::7";
	char *addresses[] = { first, second };
	struct server_names names;

	server_names_fill(&names, "0.0.0.0", &given, addresses, 2);
	CHECK_INT(names.n, 3);
	CHECK(server_names_have(&names, first) && !server_names_have(&names, second) && server_names_have(&names, "2001:db8::8"));
	server_names_clear(&names);
	server_names_fill(&names, "2001:db8::7", &given, addresses, 2);
	CHECK_INT(names.n, 3);
	CHECK(!server_names_have(&names, first) && server_names_have(&names, second));
	server_names_clear(&names);
	server_names_clear(&given);
}

TEST("there are so many names and no more")
{
	CLEAR(buf) text = BUF_INIT(1024);
	struct server_names given, names;

	for (int i = 0; i < 100; i++)
		buf_putf(&text, "n%d\n", i);
	given = given_in("gw.local", buf_text(&text));
	server_names_fill(&names, "::", &given, NULL, 0);
	CHECK_INT(names.n, SERVER_NAMES_MAX);
	server_names_clear(&given);
	server_names_clear(&names);
}

TEST("a file with a line that is neither a name nor an address is refused as a whole, and which line is said")
{
	static const char *const lines[] = { "256.1.1.1", "10.0.0", "1.2.3.4.5", "with space", "a..b" };
	OWN_TEXT path = file_join(T_TMPDIR, "names");

	for (size_t i = 0; i < COUNT(lines); i++) {
		OWN_TEXT text = mem_textf("gw2.local\n%s\nauto\n", lines[i]);
		struct err err = ERR_INIT;
		struct server_names given;

		CHECK(file_save(path, text, strlen(text), 0600, &err) == 0);
		CHECK(server_names_load(&given, "gw.local", path, &err) < 0 && given.n == 0);
		CHECK_CONTAINS(err.text, path);
		CHECK_CONTAINS(err.text, lines[i]);
	}
}

TEST("without a file there is the one name; one that can't be read is said")
{
	struct err err = ERR_INIT;
	struct server_names given;

	CHECK(server_names_load(&given, "gw.local", NULL, &err) == 0 && given.n == 1);
	server_names_clear(&given);
	CHECK(server_names_load(&given, "gw.local", "/none/names", &err) < 0);
	CHECK_CONTAINS(err.text, "/none/names");
}
