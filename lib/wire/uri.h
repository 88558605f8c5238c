/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The few kinds of URI and address that configuration and commands take. */

#include <stdbool.h>

#include "base/err.h"

bool uri_is_ip(const char *text); /* an IPv4 or IPv6 literal, without brackets */
/* "host", "host:port", "[v6]:port", "v6"; *port keeps its default where none is given.  The caller owns *host. */
int uri_parse_host(const char *text, char **host, int *port, struct err *err);
/* "file:///a%20b" or a plain path gives "/a b"; other schemes are a failure.  The caller owns the path. */
char *uri_file_path(const char *uri, struct err *err);
char *uri_unix_path(const char *uri, struct err *err); /* "unix:///run/x.sock" */
