/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the document.  What says nothing that we need is overlooked: the twin has more in it (integrity, a broker that is history). */
#include "gateway/routes/routes.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

#define TTL_MAX (1ll << 40) /* longer than any clock goes */
#define UNSET 2000000000    /* the original's number for a route without a priority */
#define REMARKS_MAX 400	    /* they have to find room in an error's text */

struct document {
	int minor; /* of the schema 1.x */
	int64_t ttl_s;
	struct routes *routes;
};

/* -- Sinks ------------------------------------------------------------------------------------------------------------------------------- */

static size_t
sink_of(struct routes *routes, const struct route *route)
{
	size_t i = 0;

	while (i < routes->n_sinks &&
		!(text_is(routes->sink[i].module_id, route->module_id) && text_is(routes->sink[i].input, route->input)))
		i++;
	if (i == routes->n_sinks) {
		routes->sink = mem_resize(routes->sink, (i + 1) * sizeof(*routes->sink));
		routes->sink[routes->n_sinks++] = (struct routes_sink){ route->module_id, route->input };
	}
	return i;
}

static struct routes_row *
add_row(struct routes *routes, const char *name, struct route *route_take)
{
	struct routes_row *row;

	routes->row = mem_resize(routes->row, (routes->n + 1) * sizeof(*routes->row));
	row = &routes->row[routes->n++];
	*row = (struct routes_row){
		.name = mem_text(name),
		.route = route_take,
		.priority = ROUTE_LOWEST,
		.ttl_s = ROUTES_FOR_EVER,
		.sink = sink_of(routes, route_take),
	};
	return row;
}

/* -- Remarks ----------------------------------------------------------------------------------------------------------------------------- */

/* The first of them at least. */
static void __attribute__((format(printf, 2, 3))) remark(struct routes *routes, const char *fmt, ...)
{
	CLEAR(buf) now = BUF_INIT(REMARKS_MAX);
	OWN_TEXT before = routes->remarks;
	va_list args;

	va_start(args, fmt);
	buf_vputf(&now, fmt, args);
	va_end(args);
	if (before && strlen(before) + now.len > REMARKS_MAX)
		routes->remarks = GIVE(before);
	else
		routes->remarks = before ? mem_textf("%s; %s", before, buf_text(&now)) : mem_text(buf_text(&now));
}

/* The original overlooks a key that it doesn't know, and so documents have them. */
static void
remark_unknown(struct routes *routes, const char *what, const char *name, json_t *object, const char *const *known, size_t n)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value) {
		const char *like = text_nearest(key, known, n);
		size_t i = 0;

		while (i < n && !text_is(key, known[i]))
			i++;
		if (i < n || json_is_null(value))
			continue;
		remark(routes, "%s%.64s: nothing is known of \"%.64s\", which does nothing%s%s%s", what, name, key,
			like ? ": did you mean \"" : "", like ? like : "", like ? "\"?" : "");
	}
}

/* The hub makes its own of a twin's changes (queue.c leaves them out). */
static void
remark_twin_changes(struct routes *routes, const char *name, const struct route *route)
{
	if (!route->module_id && route_is_of_twin_changes(route))
		remark(routes,
			"route %.64s: it takes nothing to the hub, which makes its own messages of changes of twins: they go to "
			"inputs only",
			name);
}

/* -- One route --------------------------------------------------------------------------------------------------------------------------- */

static int
read_priority(const json_t *json, struct routes_row *row, struct err *err)
{
	int64_t priority = UNSET;

	if (json_find_int(json, "priority", &priority, err) < 0)
		return -1;
	if (priority != UNSET && (priority < 0 || priority >= ROUTE_LOWEST))
		return err_set(err, ERR_INVALID, "priority is 0 to %d, not %lld", ROUTE_LOWEST - 1, (long long)priority);
	row->priority = priority == UNSET ? ROUTE_LOWEST : (int)priority;
	return 0;
}

/* Below zero is for ever; `absent` is what it is when nothing is said. */
static int
read_ttl(const json_t *json, int64_t absent, int64_t least, int64_t *ttl_s, struct err *err)
{
	int64_t ttl = absent;

	if (json_find_int(json, "timeToLiveSecs", &ttl, err) < 0)
		return -1;
	if (ttl < least)
		return err_set(err, ERR_INVALID, "timeToLiveSecs is a number of seconds, or -1 for ever, not %lld", (long long)ttl);
	if (ttl > TTL_MAX)
		return err_set(err, ERR_INVALID, "timeToLiveSecs is at most %lld", TTL_MAX);
	*ttl_s = ttl < 0 ? ROUTES_FOR_EVER : ttl;
	return 0;
}

/* "FROM ..." or, since 1.1, {"route": "FROM ...", "priority": 0, "timeToLiveSecs": 60} */
static int
read_route(struct document *d, const char *name, json_t *json, struct err *err)
{
	static const char *const known[] = { "route", "priority", "timeToLiveSecs" };
	const char *text = json_string_value(json);
	struct route *route;
	struct routes_row *row;

	if (json_is_object(json) && d->minor < 1)
		return err_set(
			err, ERR_INVALID, "schemaVersion 1.0 knows routes that are texts only; 1.1 knows those with a priority");
	if (json_is_object(json) && json_get_text(json, "route", &text, err) < 0)
		return -1;
	if (!text)
		return err_set(err, ERR_INVALID, "a route is a text or an object with \"route\"");
	route = route_parse(text, err);
	if (!route)
		return -1;
	row = add_row(d->routes, name, route);
	row->ttl_s = d->ttl_s;
	remark_twin_changes(d->routes, name, route);
	if (!json_is_object(json))
		return 0;
	remark_unknown(d->routes, "route ", name, json, known, COUNT(known));
	if (read_priority(json, row, err) < 0 || read_ttl(json, 0, -1, &row->ttl_s, err) < 0)
		return -1;
	if (row->ttl_s == 0)
		row->ttl_s = d->ttl_s;
	return 0;
}

/* -- The document ------------------------------------------------------------------------------------------------------------------------ */

static int
read_version(struct document *d, const json_t *desired, struct err *err)
{
	const char *version;

	if (json_get_text(desired, "schemaVersion", &version, err) < 0)
		return -1;
	if (strlen(version) != 3 || !text_starts(version, "1.") || version[2] < '0' || version[2] > '3')
		return err_set(err, ERR_INVALID, "schemaVersion is 1.0 to 1.3, not %.40s", version);
	d->minor = version[2] - '0';
	return 0;
}

static int
read_store(struct document *d, const json_t *desired, struct err *err)
{
	static const char *const known[] = { "timeToLiveSecs", "storeLimits" }, *const known_limits[] = { "maxSizeBytes" };
	json_t *store = NULL, *limits = NULL;
	int64_t max_bytes = 0;

	d->ttl_s = ROUTES_FOR_EVER;
	if (json_find_object(desired, "storeAndForwardConfiguration", &store, err) < 0)
		return -1;
	if (!store)
		return 0;
	if (read_ttl(store, ROUTES_FOR_EVER, INT64_MIN, &d->ttl_s, err) < 0 ||
		json_find_object(store, "storeLimits", &limits, err) < 0)
		return err_wrap(err, "storeAndForwardConfiguration");
	if (limits && json_find_int(limits, "maxSizeBytes", &max_bytes, err) < 0)
		return err_wrap(err, "storeLimits");
	if (limits && json_object_get(limits, "maxSizeBytes") && max_bytes <= 0)
		return err_set(err, ERR_INVALID, "storeLimits: maxSizeBytes is above 0, not %lld", (long long)max_bytes);
	d->routes->max_bytes = (uint64_t)max_bytes;
	remark_unknown(d->routes, "storeAndForwardConfiguration", "", store, known, COUNT(known));
	remark_unknown(d->routes, "storeLimits", "", limits, known_limits, COUNT(known_limits));
	return 0;
}

static int
read_routes(struct document *d, const json_t *desired, struct err *err)
{
	json_t *routes = NULL, *json;
	const char *name;

	if (json_find_object(desired, "routes", &routes, err) < 0)
		return -1;
	if (json_object_size(routes) > ROUTES_MAX)
		return err_set(err, ERR_LIMIT, "%zu routes: there may be %d", json_object_size(routes), ROUTES_MAX);
	json_object_foreach(routes, name, json) {
		if (json_is_null(json)) /* deleted, in a twin's patch */
			continue;
		if (read_route(d, name, json, err) < 0)
			return err_wrap(err, "route %.64s", name);
	}
	return 0;
}

static struct routes *
routes_new(void)
{
	struct routes *routes = NEW(routes);

	routes->refs = 1;
	return routes;
}

struct routes *
routes_from_json(const json_t *desired, struct err *err)
{
	OWN(routes) routes = routes_new();
	struct document d = { .routes = routes };

	if (!json_is_object(desired))
		return err_null(err, ERR_INVALID, "routes are a JSON object");
	if (read_version(&d, desired, err) < 0 || read_store(&d, desired, err) < 0 || read_routes(&d, desired, err) < 0)
		return NULL;
	return GIVE(routes);
}

struct routes *
routes_parse(const char *text, size_t len, struct err *err)
{
	OWN_LIB(json_t) json = NULL;

	if (len > ROUTES_JSON_MAX)
		return err_null(err, ERR_LIMIT, "%zu bytes of routes: there may be %d", len, ROUTES_JSON_MAX);
	json = json_parse(text, len, err);
	return json ? routes_from_json(json, err) : NULL;
}

struct routes *
routes_default(void)
{
	struct err err = ERR_INIT;
	struct routes *routes = routes_new();

	add_row(routes, "upstream", route_parse("FROM /* INTO $upstream", &err));
	return routes;
}

struct routes *
routes_ref(struct routes *routes)
{
	routes->refs++;
	return routes;
}

void
routes_free(struct routes *routes)
{
	if (!routes || --routes->refs > 0)
		return;
	for (size_t i = 0; i < routes->n; i++) {
		mem_free(routes->row[i].name);
		route_free(routes->row[i].route);
	}
	mem_free(routes->row);
	mem_free(routes->sink);
	mem_free(routes->remarks);
	mem_free(routes);
}

/* -- Taking ------------------------------------------------------------------------------------------------------------------------------ */

static size_t
find_sink(const struct routes_row **taken, size_t n, size_t sink)
{
	size_t i = 0;

	while (i < n && taken[i]->sink != sink)
		i++;
	return i;
}

size_t
routes_take(const struct routes *routes, const struct route_message *message, const struct routes_row **taken)
{
	struct route_view view;
	size_t n = 0;

	route_view_init(&view, message);
	for (size_t i = 0; i < routes->n; i++) {
		const struct routes_row *row = &routes->row[i];
		size_t at = find_sink(taken, n, row->sink);

		if (at < n && taken[at]->priority <= row->priority)
			continue;
		if (!route_takes(row->route, &view))
			continue;
		taken[at] = row;
		n += at == n;
	}
	route_view_clear(&view);
	return n;
}
