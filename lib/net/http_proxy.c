/* SPDX-License-Identifier: Apache-2.0 */
/* Proxies as people have configured them for every other program: so the variables, their order and the port that is meant where none is given are curl's. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "net/http_proxy.h"
#include "wire/codec.h"
#include "wire/uri.h"

#define PROXY_PORT 1080
#define USER_MAX 1024
#define LIST_MAX 65536

void
http_proxy_free(struct http_proxy *proxy)
{
	if (!proxy)
		return;
	if (proxy->authorization)
		mem_wipe(proxy->authorization, strlen(proxy->authorization));
	mem_free(proxy->authorization);
	mem_free(proxy->host);
	mem_free(proxy);
}

/* -- Who goes without ----------------------------------------------------------------------------------------------------------------- */

static bool
is_in_network(const char *host, const char *network, int64_t bits)
{
	uint8_t a[sizeof(struct in6_addr)], b[sizeof(struct in6_addr)];
	int family = strchr(network, ':') ? AF_INET6 : AF_INET;
	size_t whole = (size_t)bits / 8, rest = (size_t)bits % 8;

	if (bits > (family == AF_INET6 ? 128 : 32) || inet_pton(family, host, a) != 1 || inet_pton(family, network, b) != 1)
		return false;
	return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool
is_same_address(const char *host, char *entry)
{
	char *slash = strchr(entry, '/');
	int64_t bits;

	if (!slash)
		return is_in_network(host, entry, strchr(entry, ':') ? 128 : 32);
	*slash = '\0';
	return text_to_i64(slash + 1, 0, 128, &bits) && is_in_network(host, entry, bits);
}

static bool
is_same_name(const char *host, const char *entry)
{
	size_t host_len = strlen(host), len = strlen(entry);

	if (len == 0 || len > host_len || !text_is_nocase(host + host_len - len, entry))
		return false;
	return len == host_len || host[host_len - len - 1] == '.';
}

static char *
without_last_dot(const char *name)
{
	return mem_textn(name, strlen(name) - (text_ends(name, ".") ? 1 : 0));
}

static bool
spares(struct slice entry, const char *host)
{
	OWN_TEXT whole = mem_textn(entry.text, entry.len);
	OWN_TEXT name = without_last_dot(whole[0] == '.' ? whole + 1 : whole);

	return uri_is_ip(host) ? is_same_address(host, name) : is_same_name(host, name);
}

bool
http_proxy_is_spared(const char *no_proxy, const char *host)
{
	OWN_TEXT name = without_last_dot(host);
	bool spared = text_is(no_proxy, "*");

	for (const char *at = no_proxy; *at && !spared;) {
		size_t len = strcspn(at, ", ");

		spared = spares((struct slice){ .text = at, .len = len }, name);
		at += len + strspn(at + len, ", ");
	}
	return spared;
}

/* -- Which one ------------------------------------------------------------------------------------------------------------------------ */

/* RFC 7617: "user:password", both percent-encoded in the URL. */
static int
take_user(struct http_proxy *proxy, const char *text, size_t len, struct err *err)
{
	CLEAR(buf) user = BUF_INIT(USER_MAX);
	CLEAR(buf) line = BUF_INIT(2 * USER_MAX);
	bool good = percent_decode(&user, text, len);

	if (good && !memchr(text, ':', len))
		buf_puts(&user, ":");
	buf_puts(&line, "Proxy-Authorization: Basic ");
	base64_encode(&line, user.data, user.len);
	good = good && !user.failed && !line.failed;
	if (good)
		proxy->authorization = buf_take_text(&line);
	buf_wipe(&user);
	buf_wipe(&line);
	return good ? 0 : err_set(err, ERR_INVALID, "the proxy: its user and password are too long or not percent-encoded");
}

struct http_proxy *
http_proxy_parse(const char *text, struct err *err)
{
	OWN(http_proxy) proxy = NEW(http_proxy);
	OWN_TEXT authority = NULL;
	const char *at = strstr(text, "://"), *user_end;

	/* The text may hold a password: no failure shows it. */
	if (at && (at - text != 4 || strncasecmp(text, "http", 4) != 0))
		return err_null(
			err, ERR_INVALID, "the proxy: only http:// proxies are spoken to, not %.*s://", (int)(at - text), text);
	at = at ? at + 3 : text;
	authority = mem_textn(at, strcspn(at, "/"));
	user_end = strrchr(authority, '@');
	proxy->port = PROXY_PORT;
	if (user_end && take_user(proxy, authority, (size_t)(user_end - authority), err) < 0)
		return NULL;
	if (uri_parse_host(user_end ? user_end + 1 : authority, &proxy->host, &proxy->port, err) < 0)
		return err_wrap_null(err, "the proxy");
	return GIVE(proxy);
}

/* The first that is there and not empty. */
static const char *
first_of(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *value = getenv(names[i]);

		if (value && *value && strlen(value) < LIST_MAX)
			return value;
	}
	return NULL;
}

int
http_proxy_find(struct http_proxy **out, const char *host, struct err *err)
{
	static const char *const proxies[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };
	static const char *const exceptions[] = { "no_proxy", "NO_PROXY" };
	const char *text = first_of(proxies, COUNT(proxies)), *no_proxy = first_of(exceptions, COUNT(exceptions));

	*out = NULL;
	if (!text || (no_proxy && http_proxy_is_spared(no_proxy, host)))
		return 0;
	*out = http_proxy_parse(text, err);
	return *out ? 0 : -1;
}

void
http_proxy_put_connect(struct buf *out, const struct http_proxy *proxy, const char *host, int port)
{
	OWN_TEXT place = mem_textf(strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);

	buf_putf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", place, place);
	if (proxy->authorization)
		buf_putf(out, "%s\r\n", proxy->authorization);
	buf_puts(out, "\r\n");
}
