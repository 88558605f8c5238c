/* SPDX-License-Identifier: Apache-2.0 */
/* Which names a server certificate is to have. */
#include <stdio.h>

#include "gateway/server_names.h"
#include "t.h"

TEST("auto stands for the addresses of the box, in its place; a name stands there once")
{
	static const char *const given[] = { "gw.local", "auto", "GW.local", "10.0.0.7", "gw2.local" };
	char first[] = "10.0.0.7", second[] = "2001:db8::7";
	char *addresses[] = { first, second };
	struct server_names names, less;

	server_names_fill(&names, "::", given, 5, addresses, 2);
	CHECK_INT(names.n, 4);
	CHECK_STR(names.item[0], "gw.local");
	CHECK_STR(names.item[1], "10.0.0.7");
	CHECK_STR(names.item[2], "2001:db8::7");
	CHECK_STR(names.item[3], "gw2.local");
	CHECK(server_names_have(&names, "Gw2.Local") && !server_names_have(&names, "auto") &&
		!server_names_have(&names, "w.local"));
	server_names_fill(&less, "::", given, 5, addresses, 1);
	CHECK(!server_names_are_same(&names, &less));
	server_names_clear(&less);
	server_names_fill(&less, "::", given, 5, addresses, 2);
	CHECK(server_names_are_same(&names, &less));
	server_names_clear(&less);
	server_names_clear(&names);
}

TEST("auto is of the families on which the gateway listens; what is given in words stands as it is")
{
	static const char *const given[] = { "gw.local", "auto", "2001:db8::8" };
	char first[] = "10.0.0.7", second[] = "2001:db8::7";
	char *addresses[] = { first, second };
	struct server_names names;

	server_names_fill(&names, "0.0.0.0", given, 3, addresses, 2);
	CHECK_INT(names.n, 3);
	CHECK(server_names_have(&names, first) && !server_names_have(&names, second) && server_names_have(&names, "2001:db8::8"));
	server_names_clear(&names);
	server_names_fill(&names, "2001:db8::7", given, 3, addresses, 2);
	CHECK_INT(names.n, 3);
	CHECK(!server_names_have(&names, first) && server_names_have(&names, second));
	server_names_clear(&names);
}

TEST("there are so many names and no more")
{
	const char *given[100];
	char text[100][8];
	struct server_names names;

	for (int i = 0; i < 100; i++) {
		snprintf(text[i], sizeof(text[i]), "n%d", i);
		given[i] = text[i];
	}
	server_names_fill(&names, "::", given, 100, NULL, 0);
	CHECK_INT(names.n, SERVER_NAMES_MAX);
	server_names_clear(&names);
}
