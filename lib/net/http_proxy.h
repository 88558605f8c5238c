/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: the proxy that stands between us and an HTTPS server, as the environment names it.  HTTPS_PROXY, else ALL_PROXY: "http://[user:password@]host[:port]", the scheme
 * may be left out, the port is 1080 unless given.  NO_PROXY: hosts, domains with all below them, addresses and networks ("10.0.0.0/8"), separated by commas or blanks, or "*".
 * Names in lower case come first.  Other kinds of proxies are refused. */

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

struct http_proxy {
	char *host;
	char *authorization; /* a header line, or NULL */
	int port;
};

int http_proxy_find(struct http_proxy **out, const char *host, struct err *err); /* *out is NULL where none applies */
/* The same with the values at hand. */
struct http_proxy *http_proxy_parse(const char *text, struct err *err);
bool http_proxy_is_spared(const char *no_proxy, const char *host);
/* The request that asks it for a tunnel to there; its answer has no body. */
void http_proxy_put_connect(struct buf *out, const struct http_proxy *proxy, const char *host, int port);
void http_proxy_free(struct http_proxy *proxy);
OWN_DEFINE(http_proxy);
