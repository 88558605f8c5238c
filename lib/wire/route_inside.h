/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of the route language share. */

#include "wire/query_inside.h"
#include "wire/route.h"

/* Is it possible by the types that are known before there is a message? (route_type.c) */
int route_check_types(struct query_parser *p, struct query_node *node, size_t at);
/* May the whole of it, which begins there, be true? */
int route_check_condition(struct query_parser *p, const struct query_node *where, size_t at);
/* The payload as UTF-8 where the message says that it is JSON text of that encoding (NULL: it can't be read), the caller owns it. (route_body.c) */
json_t *route_body(const char *content_type, const char *content_encoding, struct slice payload);
