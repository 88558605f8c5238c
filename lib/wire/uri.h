/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The few kinds of URI and address that configuration and commands take. */

#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"

enum uri_scheme { URI_FILE, URI_UNIX, URI_FD, URI_HTTP, URI_HTTPS };

struct uri {
	enum uri_scheme scheme;
	char *host; /* HTTP and HTTPS, without brackets; otherwise NULL */
	char *path; /* FILE and UNIX: decoded; FD: the name or number; HTTP and HTTPS: path and query as written, at least "/" */
	int port;   /* HTTP and HTTPS: 80 and 443 unless given; otherwise 0 */
};

/* "file:///a%20b", "unix:///run/x.sock", "fd://aziot-keyd.socket", "http://host:8080/x?y", "https://[::1]/".  Schemes in any
 * case; user names, fragments and other schemes are refused. */
struct uri *uri_parse(const char *text, struct err *err);
void uri_free(struct uri *uri);
OWN_DEFINE(uri);

bool uri_is_ip(const char *text); /* an IPv4 or IPv6 literal, without brackets */
/* "host", "host:port", "[v6]:port", "[v6]", "v6"; *port keeps its default where none is given.  The caller owns *host. */
int uri_parse_host(const char *text, char **host, int *port, struct err *err);
/* "file:///a%20b" or a plain path gives "/a b"; other schemes are a failure.  The caller owns the path. */
char *uri_file_path(const char *uri, struct err *err);
char *uri_unix_path(const char *uri, struct err *err); /* "unix:///run/x.sock", or a plain absolute path */
