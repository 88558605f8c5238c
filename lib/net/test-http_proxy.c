/* SPDX-License-Identifier: Apache-2.0 */
/* Proxies: what their URL says, and who goes without one. */
#include "net/http_proxy.h"
#include "base/mem.h"
#include "t.h"

TEST("a proxy is a host and a port, 1080 unless given, with or without the scheme")
{
	static const struct {
		const char *text, *host;
		int port;
	} rows[] = {
		{ "http://proxy.local:3128", "proxy.local", 3128 },
		{ "HTTP://proxy.local:3128/", "proxy.local", 3128 },
		{ "proxy.local", "proxy.local", 1080 },
		{ "10.0.0.1:80", "10.0.0.1", 80 },
		{ "http://[::1]:3128", "::1", 3128 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = ERR_INIT;
		OWN(http_proxy) proxy = http_proxy_parse(rows[i].text, &err);

		if (!proxy)
			fail_msg("%s", err.text);
		CHECK_STR(proxy->host, rows[i].host);
		CHECK_INT(proxy->port, rows[i].port);
		CHECK_STR(proxy->authorization, NULL);
	}
}

TEST("a user and a password become RFC 7617's header line")
{
	struct err err = ERR_INIT;
	OWN(http_proxy) proxy = http_proxy_parse("http://me:p%40ss@proxy.local:3128", &err);
	OWN(http_proxy) alone = http_proxy_parse("me@proxy.local", &err);

	CHECK(proxy && alone);
	CHECK_STR(proxy->host, "proxy.local");
	CHECK_STR(proxy->authorization, "Proxy-Authorization: Basic bWU6cEBzcw==");
	CHECK_STR(alone->authorization, "Proxy-Authorization: Basic bWU6");
}

TEST("another kind of proxy, and nonsense, are refused without showing a password")
{
	static const char *const texts[] = { "socks5://me:secret@proxy.local", "https://me:secret@proxy.local", "http://me:secret@",
		"http://me:secret@proxy.local:99999", "http://me:secret%zz@proxy.local", "://me:secret@proxy.local" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;
		OWN(http_proxy) proxy = http_proxy_parse(texts[i], &err);

		CHECK(!proxy);
		CHECK_ERR(err, ERR_INVALID, "the proxy: ");
		CHECK(!strstr(err.text, "secret"));
	}
}

TEST("NO_PROXY spares hosts, domains with what is below them, addresses and networks")
{
	static const struct {
		const char *list, *host;
		bool spared;
	} rows[] = {
		{ "*", "hub.local", true },
		{ "hub.local", "hub.local", true },
		{ "hub.local", "HUB.local.", true },
		{ "hub.local", "a.hub.local", true },
		{ ".hub.local", "a.hub.local", true },
		{ ".hub.local", "hub.local", true },
		{ "hub.local", "thub.local", false },
		{ "hub.local", "hub.local.evil", false },
		{ "a, hub.local.  b", "hub.local", true },
		{ "a,b", "hub.local", false },
		{ "", "hub.local", false },
		{ ",., ,", "hub.local", false },
		{ "127.0.0.1", "127.0.0.1", true },
		{ "0.0.1", "127.0.0.1", false },
		{ "10.0.0.0/8", "10.1.2.3", true },
		{ "10.0.0.0/15", "10.1.2.3", true },
		{ "10.0.0.0/15", "10.2.2.3", false },
		{ "10.0.0.0/0", "11.1.2.3", true },
		{ "10.0.0.0/33", "10.0.0.0", false },
		{ "10.0.0.0/x", "10.0.0.0", false },
		{ "::1", "0:0::1", true },
		{ "fd00::/9", "fd7f::1", true },
		{ "fd00::/9", "fd80::1", false },
		{ "fd00::/8", "253.0.0.1", false },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (http_proxy_is_spared(rows[i].list, rows[i].host) != rows[i].spared)
			fail_msg("NO_PROXY=%s, %s: not %d", rows[i].list, rows[i].host, rows[i].spared);
}

TEST("the environment names the proxy: small letters first, the one for https before the one for all, nothing where it is empty")
{
	struct err err = ERR_INIT;
	OWN(http_proxy) all = NULL;
	OWN(http_proxy) https = NULL;
	OWN(http_proxy) small = NULL;
	OWN(http_proxy) none = NULL;

	unsetenv("https_proxy");
	unsetenv("all_proxy");
	unsetenv("no_proxy");
	setenv("ALL_PROXY", "all.local", 1);
	setenv("HTTPS_PROXY", "", 1);
	setenv("NO_PROXY", "spared.local", 1);
	CHECK_OK(http_proxy_find(&all, "hub.local", &err), err);
	CHECK_STR(all->host, "all.local");
	setenv("HTTPS_PROXY", "https.local", 1);
	CHECK_OK(http_proxy_find(&https, "hub.local", &err), err);
	CHECK_STR(https->host, "https.local");
	setenv("https_proxy", "small.local", 1);
	CHECK_OK(http_proxy_find(&small, "hub.local", &err), err);
	CHECK_STR(small->host, "small.local");
	CHECK_OK(http_proxy_find(&none, "spared.local", &err), err);
	CHECK(!none);
}
