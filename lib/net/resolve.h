/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside net: names to addresses, for conn_connect.c. */

#include <netdb.h>

#include "net/loop.h"

struct conn;

/* The list of addresses of a literal one, without a look-up; NULL when host is a name.  freeaddrinfo() it. */
struct addrinfo *resolve_literal(const char *host, int port);
/* Look the host up on a worker; conn_resolved (conn_inside.h) is called on the conn's loop, unless the conn or its loop is gone by then. */
int resolve_start(struct conn *conn, const char *host, int port, struct err *err);
void resolve_forget(struct loop *loop); /* the loop is about to be freed */
