/* SPDX-License-Identifier: Apache-2.0 */
/* URIs (RFC 3986) and addresses, as strictly as our use of them allows: what is not understood is refused, not guessed. */
#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/uri.h"

#define URI_MAX 4096
#define HOST_MAX 253 /* RFC 1035 2.3.4 */

bool
uri_is_ip(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;

	return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1;
}

/* -- Host and port ------------------------------------------------------------------------------------------------------------- */

static bool
is_host(struct slice host)
{
	if (host.len == 0 || host.len > HOST_MAX)
		return false;
	for (size_t i = 0; i < host.len; i++)
		if (host.text[i] <= ' ' || host.text[i] == 0x7f || strchr("/?#@[]:\\%\"<>", host.text[i]))
			return false;
	return true;
}

static bool
is_ip6(struct slice text)
{
	OWN_TEXT copy = slice_text(text);
	struct in6_addr v6;

	return inet_pton(AF_INET6, copy, &v6) == 1;
}

/* "" leaves the default alone, ":PORT" replaces it. */
static bool
take_port(struct slice text, int *port)
{
	OWN_TEXT digits = NULL;
	int64_t value;

	if (text.len == 0)
		return true;
	digits = mem_textn(text.text + 1, text.len - 1);
	if (text.text[0] != ':' || !text_to_i64(digits, 1, 65535, &value))
		return false;
	*port = (int)value;
	return true;
}

static struct slice
skip(struct slice s, size_t len)
{
	return (struct slice){ .text = s.text + len, .len = s.len - len };
}

/* Cut "host:port" into the host and what follows it, which is nothing or begins with ":" where all is well. */
static bool
cut_host(struct slice text, struct slice *host, struct slice *rest)
{
	if (is_ip6(text)) {
		*host = text;
		*rest = skip(text, text.len);
		return true;
	}
	if (slice_starts(text, "[")) {
		*rest = skip(text, 1);
		return slice_cut(rest, ']', host) && is_ip6(*host);
	}
	*rest = text;
	slice_cut(rest, ':', host);
	*rest = skip(text, host->len);
	return is_host(*host);
}

int
uri_parse_host(const char *text, char **host, int *port, struct err *err)
{
	struct slice name, rest;

	if (strnlen(text, URI_MAX) == URI_MAX || !cut_host(slice_of(text), &name, &rest))
		return err_set(err, ERR_INVALID, "'%.256s' is not a host name or address", text);
	if (!take_port(rest, port))
		return err_set(err, ERR_INVALID, "'%s': the port is not a number from 1 to 65535", text);
	*host = slice_text(name);
	return 0;
}

/* -- Paths --------------------------------------------------------------------------------------------------------------------- */

static char *
decoded_path(const char *text, struct err *err)
{
	struct buf path = BUF_INIT(URI_MAX);

	if (!percent_decode(&path, text, strlen(text)) || strlen(buf_text(&path)) != path.len || path.len == 0) {
		buf_clear(&path);
		return err_null(err, ERR_INVALID, "'%.256s' is not a percent-encoded path", text);
	}
	return buf_take_text(&path);
}

char *
uri_file_path(const char *uri, struct err *err)
{
	if (text_starts(uri, "file:///"))
		return decoded_path(uri + strlen("file://"), err);
	if (uri[0] && (uri[0] == '/' || uri[0] == '.' || !strchr(uri, ':')))
		return mem_text(uri);
	return err_null(err, ERR_INVALID, "'%.256s' is not a file:///PATH URI", uri);
}

char *
uri_unix_path(const char *uri, struct err *err)
{
	if (text_starts(uri, "unix:///"))
		return decoded_path(uri + strlen("unix://"), err);
	if (uri[0] == '/')
		return mem_text(uri);
	return err_null(err, ERR_INVALID, "'%.256s' is not a unix:///PATH URI", uri);
}

/* -- URIs ---------------------------------------------------------------------------------------------------------------------- */

struct scheme_row {
	const char *name;
	int port;
};

static const struct scheme_row schemes[] = {
	[URI_FILE] = { "file", 0 },
	[URI_UNIX] = { "unix", 0 },
	[URI_FD] = { "fd", 0 },
	[URI_HTTP] = { "http", 80 },
	[URI_HTTPS] = { "https", 443 },
};

static int
find_scheme(struct slice name)
{
	OWN_TEXT text = slice_text(name);

	for (size_t i = 0; i < COUNT(schemes); i++)
		if (text_is_nocase(text, schemes[i].name))
			return (int)i;
	return -1;
}

static int
take_authority(struct uri *uri, struct slice rest, struct err *err)
{
	size_t len = 0;
	OWN_TEXT authority = NULL;

	while (len < rest.len && rest.text[len] != '/' && rest.text[len] != '?')
		len++;
	authority = mem_textn(rest.text, len);
	rest = skip(rest, len);
	/* A bare IPv6 address would leave it open where the port begins (RFC 3986 3.2.2). */
	if (authority[0] != '[' && uri_is_ip(authority) && strchr(authority, ':'))
		return err_set(err, ERR_INVALID, "'%s': an IPv6 address in a URI stands in brackets", authority);
	if (uri_parse_host(authority, &uri->host, &uri->port, err) < 0)
		return -1;
	uri->path = mem_textf("%s%.*s", slice_starts(rest, "/") ? "" : "/", SLICE_FMT(rest));
	return 0;
}

static int
take_path(struct uri *uri, struct slice rest, struct err *err)
{
	if (uri->scheme == URI_FD) {
		if (rest.len == 0 || memchr(rest.text, '/', rest.len))
			return err_set(err, ERR_INVALID, "fd://%.*s: expected the name or number of a socket", SLICE_FMT(rest));
		uri->path = slice_text(rest);
		return 0;
	}
	if (!slice_starts(rest, "/"))
		return err_set(err, ERR_INVALID, "%s://%.*s: the path must be absolute, with three slashes",
			schemes[uri->scheme].name, SLICE_FMT(rest));
	uri->path = decoded_path(rest.text, err);
	return uri->path ? 0 : -1;
}

struct uri *
uri_parse(const char *text, struct err *err)
{
	OWN(uri) uri = NEW(uri);
	struct slice rest = slice_of(text), name;
	int scheme;

	if (rest.len >= URI_MAX)
		return err_null(err, ERR_LIMIT, "a URI of more than %d bytes", URI_MAX);
	for (size_t i = 0; i < rest.len; i++)
		if (text[i] <= ' ' || text[i] == 0x7f || text[i] == '#')
			return err_null(err, ERR_INVALID, "'%.256s' has a character that a URI has only encoded", text);
	if (!slice_cut(&rest, ':', &name) || !slice_starts(rest, "//"))
		return err_null(err, ERR_INVALID, "'%.256s' is not a SCHEME://... URI", text);
	scheme = find_scheme(name);
	if (scheme < 0)
		return err_null(err, ERR_INVALID, "'%.256s': the scheme is none of file, unix, fd, http, https", text);
	uri->scheme = (enum uri_scheme)scheme;
	uri->port = schemes[scheme].port;
	rest = skip(rest, 2);
	if ((uri->port ? take_authority(uri, rest, err) : take_path(uri, rest, err)) < 0)
		return NULL;
	return GIVE(uri);
}

void
uri_free(struct uri *uri)
{
	if (!uri)
		return;
	mem_free(uri->host);
	mem_free(uri->path);
	mem_free(uri);
}
