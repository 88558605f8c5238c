/* SPDX-License-Identifier: Apache-2.0 */
/* URIs and addresses. */
#include <arpa/inet.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/uri.h"

#define URI_MAX 4096

bool
uri_is_ip(const char *text)
{
	struct in_addr v4;
	struct in6_addr v6;

	return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1;
}

static int
take_port(const char *text, int *port, struct err *err)
{
	int64_t value;

	if (!text_to_i64(text, 1, 65535, &value))
		return err_set(err, ERR_INVALID, "'%s' is not a port", text);
	*port = (int)value;
	return 0;
}

int
uri_parse_host(const char *text, char **host, int *port, struct err *err)
{
	const char *colon = strrchr(text, ':'), *bracket = strchr(text, ']');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);

	if (text[0] == '[' && bracket) {
		if (bracket[1] && (bracket[1] != ':' || take_port(bracket + 2, port, err) < 0))
			return err_set(err, ERR_INVALID, "'%s' is not [ADDRESS]:PORT", text);
		*host = mem_textn(text + 1, (size_t)(bracket - text) - 1);
		return 0;
	}
	if (uri_is_ip(text) || !colon)
		len = strlen(text);
	else if (take_port(colon + 1, port, err) < 0)
		return -1;
	if (len == 0 || text_has_control(text, len) || memchr(text, ' ', len))
		return err_set(err, ERR_INVALID, "'%s' is not a host name or address", text);
	*host = mem_textn(text, len);
	return 0;
}

static char *
decoded_path(const char *text, struct err *err)
{
	struct buf path = BUF_INIT(URI_MAX);

	if (!percent_decode(&path, text, strlen(text)) || strlen(buf_text(&path)) != path.len || path.len == 0) {
		buf_clear(&path);
		return err_null(err, ERR_INVALID, "'%s' is not a percent-encoded path", text);
	}
	return buf_take_text(&path);
}

char *
uri_file_path(const char *uri, struct err *err)
{
	const char *scheme = strstr(uri, ":");

	if (text_starts(uri, "file:///"))
		return decoded_path(uri + strlen("file://"), err);
	if (uri[0] == '/' || uri[0] == '.' || !scheme)
		return mem_text(uri);
	return err_null(err, ERR_INVALID, "'%s' is not a file:///PATH URI", uri);
}

char *
uri_unix_path(const char *uri, struct err *err)
{
	if (text_starts(uri, "unix:///"))
		return decoded_path(uri + strlen("unix://"), err);
	if (uri[0] == '/')
		return mem_text(uri);
	return err_null(err, ERR_INVALID, "'%s' is not a unix:///PATH URI", uri);
}
