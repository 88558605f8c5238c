/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/uri.h"

TEST("IP literals are told from names")
{
	CHECK(uri_is_ip("127.0.0.1"));
	CHECK(uri_is_ip("::1"));
	CHECK(uri_is_ip("fe80::1:2"));
	CHECK(!uri_is_ip("[::1]"));
	CHECK(!uri_is_ip("127.1"));
	CHECK(!uri_is_ip("host"));
	CHECK(!uri_is_ip(""));
}

struct address {
	const char *text, *host;
	int port;
};

TEST("host and port are told apart, also for IPv6")
{
	static const struct address cases[] = { { "host", "host", 7 }, { "host:8883", "host", 8883 },
		{ "127.0.0.1:1", "127.0.0.1", 1 }, { "::1", "::1", 7 }, { "[::1]", "::1", 7 }, { "[::1]:443", "::1", 443 },
		{ "fe80::1", "fe80::1", 7 }, { "my_host.local:65535", "my_host.local", 65535 } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN_TEXT host = NULL;
		int port = 7;

		CHECK_OK(uri_parse_host(cases[i].text, &host, &port, &err), err);
		CHECK_STR(host, cases[i].host);
		CHECK_INT(port, cases[i].port);
	}
}

TEST("an address that is malformed is refused and leaves the default port alone")
{
	static const char *const cases[] = { "", ":1", "host:", "host:0", "host:65536", "host:-1", "host:1x", "host:+1", "a b",
		"host/path", "user@host", "[host]:1", "[::1", "[::1]x", "[::1]1", "[::1]:", "[]:1", "a:b:1", "h\nx", "http://host",
		"h%20x", "[fe80::1%eth0]:1" };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		char *host = NULL;
		int port = 7;

		if (uri_parse_host(cases[i], &host, &port, &err) == 0)
			fail_msg("accepted '%s'", cases[i]);
		CHECK(!host);
		CHECK_INT(port, 7);
		CHECK_INT(err.kind, ERR_INVALID);
	}
}

TEST("files are named by URI or plain path")
{
	struct err err = ERR_INIT;
	OWN_TEXT uri = uri_file_path("file:///a%20b/c", &err);
	OWN_TEXT plain = uri_file_path("/a%20b", &err);
	OWN_TEXT near = uri_file_path("certs/x.pem", &err);
	OWN_TEXT socket = uri_unix_path("unix:///run/x.sock", &err);

	CHECK_STR(uri, "/a b/c");
	CHECK_STR(plain, "/a%20b");
	CHECK_STR(near, "certs/x.pem");
	CHECK_STR(socket, "/run/x.sock");
}

TEST("other schemes, hosts in file URIs and paths with NUL are refused")
{
	static const char *const cases[] = { "", "file:/x", "file://host/x", "http://x/", "pkcs11:token=x", "file:///a%00b",
		"file:///a%2" };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		CHECK(!uri_file_path(cases[i], &err));
		CHECK(!uri_unix_path(cases[i], &err));
		CHECK_INT(err.kind, ERR_INVALID);
	}
}

struct wish {
	const char *text;
	enum uri_scheme scheme;
	const char *host;
	int port;
	const char *path;
};

TEST("URIs of all schemes are taken apart")
{
	static const struct wish cases[] = {
		{ "file:///etc/x%20y", URI_FILE, NULL, 0, "/etc/x y" },
		{ "unix:///run/x.sock", URI_UNIX, NULL, 0, "/run/x.sock" },
		{ "fd://aziot-keyd.socket", URI_FD, NULL, 0, "aziot-keyd.socket" },
		{ "FD://3", URI_FD, NULL, 0, "3" },
		{ "http://localhost", URI_HTTP, "localhost", 80, "/" },
		{ "HTTPS://est.example:9443/.well-known/est?a=b%20c", URI_HTTPS, "est.example", 9443, "/.well-known/est?a=b%20c" },
		{ "https://[::1]:1?q", URI_HTTPS, "::1", 1, "/?q" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		OWN(uri) uri = uri_parse(cases[i].text, &err);

		if (!uri)
			fail_msg("'%s': %s", cases[i].text, err.text);
		CHECK_INT(uri->scheme, cases[i].scheme);
		CHECK_STR(uri->host, cases[i].host);
		CHECK_INT(uri->port, cases[i].port);
		CHECK_STR(uri->path, cases[i].path);
	}
}

struct refused {
	const char *text, *why;
};

TEST("a URI that is not understood is refused")
{
	static const struct refused cases[] = { { "", "SCHEME://" }, { "/x", "SCHEME://" }, { "file:x", "SCHEME://" },
		{ "ftp://x/", "scheme is none of" }, { "unix://x.sock", "absolute" }, { "file://", "absolute" },
		{ "fd://", "name or number" }, { "fd://a/b", "name or number" }, { "http://", "not a host name" },
		{ "http://u@h/", "not a host name" }, { "http://::1/", "stands in brackets" }, { "http://h:x/", "port" },
		{ "http://h/#x", "only encoded" }, { "http://h/a b", "only encoded" }, { "http://h/\xc3\xa4", "only encoded" } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;

		if (uri_parse(cases[i].text, &err))
			fail_msg("accepted '%s'", cases[i].text);
		CHECK_ERR(err, ERR_INVALID, cases[i].why);
	}
}
