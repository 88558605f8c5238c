/* SPDX-License-Identifier: Apache-2.0 */
/* For which devices a CA may speak: a list of patterns of device ids, and gateways or not. */
#include <string.h>

#include "auth/authority.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

static const char *const kinds[] = { [AUTHORITY_ALL] = "all", [AUTHORITY_EDGE] = "edge", [AUTHORITY_LEAF] = "leaf" };

void
authority_scope_clear(struct authority_scope *scope)
{
	for (size_t i = 0; i < scope->n_patterns; i++)
		mem_free(scope->patterns[i]);
	mem_free(scope->patterns);
	*scope = (struct authority_scope){ 0 };
}

static void
add_pattern(struct authority_scope *scope, const char *pattern)
{
	scope->patterns = mem_resize(scope->patterns, (scope->n_patterns + 1) * sizeof(*scope->patterns));
	scope->patterns[scope->n_patterns++] = mem_text(pattern);
}

struct authority_scope
authority_scope_copy(const struct authority_scope *from)
{
	struct authority_scope copy = { .kind = from->kind };

	for (size_t i = 0; i < from->n_patterns; i++)
		add_pattern(&copy, from->patterns[i]);
	return copy;
}

static int
take_patterns(struct authority_scope *scope, const json_t *list, struct err *err)
{
	const json_t *item;
	size_t at;

	if (json_array_size(list) > AUTHORITY_PATTERNS_MAX)
		return err_set(err, ERR_LIMIT, "scope.devices has more than %d patterns", AUTHORITY_PATTERNS_MAX);
	json_array_foreach(list, at, item) {
		/* Both wildcards are characters of ids, so a pattern is an id in its alphabet. */
		if (!identity_id_is_valid(json_string_value(item)))
			return err_set(
				err, ERR_INVALID, "scope.devices is a list of device ids, in which * and ? stand for others");
		add_pattern(scope, json_string_value(item));
	}
	if (list && scope->n_patterns == 0)
		return err_set(err, ERR_INVALID, "scope.devices is empty: leave it out to mean all devices");
	return 0;
}

static int
take_kind(struct authority_scope *scope, const char *kind, struct err *err)
{
	for (size_t i = 0; kind && i < COUNT(kinds); i++)
		if (text_is(kind, kinds[i])) {
			scope->kind = (enum authority_kind)i;
			return 0;
		}
	return kind ? err_set(err, ERR_INVALID, "scope.kind is all, edge or leaf") : 0;
}

/* A misspelt member must not widen what was meant to be narrow. */
static int
check_members(const json_t *json, struct err *err)
{
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)json, name, value)
		if (!text_is(name, "devices") && !text_is(name, "kind"))
			return err_set(err, ERR_INVALID, "scope has the members devices and kind, and no %.40s", name);
	return 0;
}

int
authority_scope_from_json(struct authority_scope *out, const json_t *json, struct err *err)
{
	struct authority_scope scope = { 0 };
	const char *kind = NULL;
	json_t *list = NULL;

	if (check_members(json, err) < 0 || json_find_text(json, "kind", &kind, err) < 0 ||
		json_find_array(json, "devices", &list, err) < 0 || take_kind(&scope, kind, err) < 0 ||
		take_patterns(&scope, list, err) < 0) {
		authority_scope_clear(&scope);
		return -1;
	}
	*out = scope;
	return 0;
}

json_t *
authority_scope_to_json(const struct authority_scope *scope)
{
	json_t *json = json_pack("{s:s}", "kind", kinds[scope->kind]), *list;

	if (scope->n_patterns == 0)
		return json;
	list = json_array();
	for (size_t i = 0; i < scope->n_patterns; i++)
		json_array_append_new(list, json_string(scope->patterns[i]));
	json_object_set_new(json, "devices", list);
	return json;
}

char *
authority_scope_text(const struct authority_scope *scope)
{
	static const char *const who[] = {
		[AUTHORITY_ALL] = "devices",
		[AUTHORITY_EDGE] = "gateways",
		[AUTHORITY_LEAF] = "devices that are no gateways",
	};
	struct buf text = BUF_INIT(AUTHORITY_PATTERNS_MAX * (IDENTITY_ID_MAX + 2) + 64);

	buf_puts(&text, who[scope->kind]);
	for (size_t i = 0; i < scope->n_patterns; i++)
		buf_putf(&text, "%s %s", i == 0 ? " named" : " or", scope->patterns[i]);
	return buf_take_text(&text);
}

bool
authority_scope_covers(const struct authority_scope *scope, const struct identity *identity)
{
	if (scope->kind != AUTHORITY_ALL && identity->is_edge != (scope->kind == AUTHORITY_EDGE))
		return false;
	for (size_t i = 0; i < scope->n_patterns; i++)
		if (text_fits(identity->device_id, scope->patterns[i]))
			return true;
	return scope->n_patterns == 0;
}
