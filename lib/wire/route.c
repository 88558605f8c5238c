/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of a route, around the expressions of the query language. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/route_inside.h"

void
route_free(struct route *route)
{
	if (!route)
		return;
	query_node_free(route->where);
	mem_free(route->source);
	mem_free(route->module_id);
	mem_free(route->input);
	mem_free(route);
}

/* -- Source ------------------------------------------------------------------------------------------------------------------------------ */

static void
trim_end(struct slice *s, char c)
{
	while (s->len > 0 && s->text[s->len - 1] == c)
		s->len--;
}

/* false: a longer one than any message has. */
static bool
cut_source(struct route *route)
{
	struct slice rest = slice_of(route->source + 1), part;

	trim_end(&rest, '*');
	trim_end(&rest, '/');
	while (rest.len > 0) {
		slice_cut(&rest, '/', &part);
		if (route->n_parts == ROUTE_SOURCE_PARTS)
			return false;
		route->parts[route->n_parts++] = part;
	}
	return true;
}

static bool
is_word(const struct route *route, size_t i, const char *word)
{
	struct slice part = route->parts[i];

	return part.len == strlen(word) && strncasecmp(part.text, word, part.len) == 0;
}

bool
route_is_of_twin_changes(const struct route *route)
{
	return route->n_parts > 0 && is_word(route, 0, "twinChangeNotifications");
}

/* May a message have a source that begins so?  The sources are those of route.h. */
static bool
is_source(const struct route *route)
{
	size_t n = route->n_parts;

	if (n == 0)
		return true;
	if (route_is_of_twin_changes(route))
		return n == 1;
	if (!is_word(route, 0, "messages"))
		return false;
	if (n == 1 || is_word(route, 1, "events"))
		return n <= 2;
	if (!is_word(route, 1, "modules") || (n > 2 && route->parts[2].len == 0))
		return false;
	return n <= 3 || (is_word(route, 3, "outputs") && (n == 4 || route->parts[4].len > 0));
}

/* The one thing in a route that has no tokens: all up to a space. */
static int
parse_source(struct query_parser *p, struct route *route)
{
	size_t at = p->token.at;
	const char *text = p->lexer.text + at;
	size_t len = strcspn(text, " \t\r\n");

	if (p->token.kind == QT_END || *text != '/')
		return query_fail(&p->lexer, at, "a source is expected that begins with /, such as /messages/*");
	route->source = mem_textn(text, len);
	if (!cut_source(route) || !is_source(route))
		return query_fail(&p->lexer, at,
			"no message has a source that begins with %.100s: there are /messages/events, "
			"/messages/modules/ID/outputs/NAME "
			"and /twinChangeNotifications, and * takes all that follows",
			route->source);
	p->lexer.at = at + len;
	query_next(p);
	return 0;
}

/* -- Condition --------------------------------------------------------------------------------------------------------------------------- */

/* TWIN_CHANGE_INCLUDES(path): is there such a member in the change? */
static bool
parse_own_call(struct query_parser *p, const struct query_token *name, struct query_node **node)
{
	static const char word[] = "twin_change_includes";
	OWN(query_node) call = NULL;
	struct query_node *path;

	if (name->len != sizeof(word) - 1 || strncasecmp(p->lexer.text + name->at, word, name->len) != 0)
		return false;
	*node = NULL;
	path = query_parse_path(p);
	if (!path)
		return true;
	query_path_prefix(path, "$body");
	call = query_node_new(QUERY_CALL);
	call->function = query_function_find("IS_DEFINED", 10);
	query_node_adopt(call, path);
	if (!query_take_sign(p, QS_CLOSE))
		(void)query_fail_expected(p, ")");
	else if (route_check_types(p, call, name->at) == 0)
		*node = GIVE(call);
	return true;
}

static const char *const words[] = { "INTO", NULL };
static const struct query_dialect dialect = { .words = words, .check = route_check_types, .parse_call = parse_own_call };

/* A property's name may have dots in it; only $body goes down. */
static void
settle_path(void *arg, const struct query_node *path)
{
	struct query_node *node = (struct query_node *)(uintptr_t)path; /* of the tree that is being made */

	(void)arg;
	if (!text_is_nocase(node->path[0], "$body"))
		query_path_join(node);
}

/* -- Sink -------------------------------------------------------------------------------------------------------------------------------- */

/* "/modules/ID/inputs/NAME": the words between are not looked at, as the original has it. */
static int
cut_input(struct query_parser *p, struct route *route, size_t at, const char *text)
{
	struct slice rest = slice_of(text), part[4];
	size_t n = 0;

	if (rest.len > 0 && rest.text[0] == '/')
		rest = (struct slice){ .text = rest.text + 1, .len = rest.len - 1 };
	if (rest.len > 0 && rest.text[rest.len - 1] == '/')
		rest.len--;
	while (n < COUNT(part) && slice_cut(&rest, '/', &part[n]))
		n++;
	if (n != COUNT(part) - 1 || part[1].len == 0 || part[3].len == 0)
		return query_fail(&p->lexer, at, "an input is \"/modules/ID/inputs/NAME\"");
	if (part[3].len > ROUTE_INPUT_MAX || part[1].len > 2 * ROUTE_INPUT_MAX)
		return query_fail(&p->lexer, at, "an input's name has at most %d characters, a module's %d", ROUTE_INPUT_MAX,
			2 * ROUTE_INPUT_MAX);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || strchr("#+?", *c))
			return query_fail(&p->lexer, at, "an input's path has no spaces and none of # + ?");
	if (slice_is(part[1], "$edgeHub"))
		return query_fail(&p->lexer, at, "$edgeHub has no inputs: what goes to the hub goes INTO $upstream");
	route->module_id = slice_text(part[1]);
	route->input = slice_text(part[3]);
	return 0;
}

static int
parse_sink(struct query_parser *p, struct route *route)
{
	if (query_take_word(p, "$upstream"))
		return 0;
	if (!query_take_word(p, "BrokeredEndpoint"))
		return query_fail_expected(p, "$upstream or BrokeredEndpoint(...)");
	if (!query_take_sign(p, QS_OPEN))
		return query_fail_expected(p, "(");
	if (p->token.kind != QT_STRING)
		return query_fail_expected(p, "\"/modules/ID/inputs/NAME\"");
	if (cut_input(p, route, p->token.at, json_string_value(p->token.value)) < 0)
		return -1;
	query_next(p);
	return query_take_sign(p, QS_CLOSE) ? 0 : query_fail_expected(p, ")");
}

/* -- The whole --------------------------------------------------------------------------------------------------------------------------- */

static int
parse_where(struct query_parser *p, struct route *route)
{
	size_t at = p->token.at;

	route->where = query_parse_or(p);
	return route->where ? route_check_condition(p, route->where, at) : -1;
}

static int
parse_all(struct query_parser *p, struct route *route)
{
	if (query_take_word(p, "SELECT") && !query_take_sign(p, QS_STAR))
		return query_fail_expected(p, "*");
	if (!query_is_word(p, "FROM"))
		return query_fail_expected(p, "FROM");
	query_next(p);
	if (parse_source(p, route) < 0)
		return -1;
	if (query_take_word(p, "WHERE") && parse_where(p, route) < 0)
		return -1;
	if (!query_take_word(p, "INTO"))
		return query_fail_expected(p, route->where ? "an operator or INTO" : "WHERE or INTO");
	if (parse_sink(p, route) < 0)
		return -1;
	if (p->token.kind != QT_END)
		return query_fail_expected(p, "the end");
	query_each_path(route->where, settle_path, NULL);
	return 0;
}

struct route *
route_parse(const char *text, struct err *err)
{
	struct query_parser p = { .dialect = &dialect };
	OWN(route) route = NEW(route);
	int done;

	if (query_lexer_init(&p.lexer, text, err) < 0)
		return NULL;
	query_next(&p);
	done = parse_all(&p, route);
	json_decref(p.token.value);
	return done < 0 ? NULL : GIVE(route);
}
