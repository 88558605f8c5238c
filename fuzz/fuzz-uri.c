/* SPDX-License-Identifier: Apache-2.0 */
/* URIs, addresses and plain paths: what is accepted can be put together again. */
#include "base/text.h"
#include "fuzz.h"
#include "wire/uri.h"

static void
check_uri(const char *text)
{
	struct err err = ERR_INIT;
	OWN(uri) uri = uri_parse(text, &err);
	OWN(uri) again = NULL;
	OWN_TEXT copy = NULL;

	if (!uri || !uri->host)
		return;
	FUZZ_CHECK(uri->port > 0 && uri->path[0] == '/');
	copy = mem_textf(strchr(uri->host, ':') ? "%s://[%s]:%d%s" : "%s://%s:%d%s", uri->scheme == URI_HTTP ? "http" : "https",
		uri->host, uri->port, uri->path);
	again = uri_parse(copy, &err);
	if (!again) {
		FUZZ_CHECK(err.kind == ERR_LIMIT); /* the port was added */
		return;
	}
	FUZZ_CHECK(again->scheme == uri->scheme && again->port == uri->port);
	FUZZ_CHECK(strcmp(again->host, uri->host) == 0 && strcmp(again->path, uri->path) == 0);
}

static void
check_host(const char *text)
{
	struct err err = ERR_INIT;
	OWN_TEXT host = NULL;
	int port = -1;

	if (uri_parse_host(text, &host, &port, &err) < 0)
		return;
	FUZZ_CHECK(*host && (port == -1 || (port > 0 && port < 65536)));
	FUZZ_CHECK(!strchr(host, ':') || uri_is_ip(host));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWN_TEXT text = mem_textn((const char *)data, size);
	struct err err = ERR_INIT;
	OWN_TEXT file = uri_file_path(text, &err);
	OWN_TEXT socket = uri_unix_path(text, &err);

	FUZZ_CHECK(!file || *file);
	FUZZ_CHECK(!socket || *socket == '/');
	check_uri(text);
	check_host(text);
	return 0;
}
