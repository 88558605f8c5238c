/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to its handler. */
#include "gateway/front/front_route.h"

#include <stdarg.h>
#include <stdio.h>

#include "auth/identity.h"
#include "base/mem.h"
#include "base/text.h"

#define WORDS_MAX 512

static const struct front_route *const tables[] = { front_method_routes, front_scope_routes, front_registry_routes, NULL };

void
front_fail(struct http_request *req, int status, const char *code, const char *fmt, ...)
{
	OWN_TEXT line = code ? mem_textf("iothub-errorcode: %s", code) : NULL;
	const char *headers[] = { line, NULL };
	char words[WORDS_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	text_repair_utf8(words);
	http_respond_json(req, status, headers, json_pack("{s:s, s:s}", "message", words, "errorMessage", words));
}

void
front_fail_for_now(struct http_request *req, int64_t after_s, const char *words)
{
	OWN_TEXT after = mem_textf("Retry-After: %lld", (long long)after_s);
	const char *headers[] = { "iothub-errorcode: ThrottlingException", after, NULL };

	http_respond_json(req, 429, headers, json_pack("{s:s, s:s}", "message", words, "errorMessage", words));
}

static bool
ids_are_valid(const char *const *ids)
{
	for (size_t i = 0; i < FRONT_IDS_MAX && ids[i]; i++)
		if (!identity_id_is_valid(ids[i]))
			return false;
	return true;
}

bool
front_route(const struct front_api *api, struct http_request *req)
{
	bool known_path = false;

	for (size_t i = 0; tables[i]; i++)
		for (const struct front_route *route = tables[i]; route->method; route++) {
			const char *ids[FRONT_IDS_MAX] = { 0 };

			if (!http_path_fits(req, route->path, ids, FRONT_IDS_MAX))
				continue;
			known_path = true;
			if (!text_is(route->method, http_method(req)))
				continue;
			if (ids_are_valid(ids))
				route->handle(api, req, ids);
			else
				front_fail(req, 400, "ArgumentInvalid", "an id with characters that no id has");
			return true;
		}
	if (known_path)
		front_fail(req, 405, NULL, "%s is not possible here", http_method(req));
	return known_path;
}
