/* SPDX-License-Identifier: Apache-2.0 */
/* Queries over stored twins: what is found, by which way, how much is looked at, and how pages follow each other. */
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/twins/twin_index.h"
#include "hub/twins/twin_walk.h"
#include "t.h"
#include "wire/json.h"

static const char *const index_paths[] = { "properties.reported.battery", "properties.reported.radio" };

struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct db *reader;
};

static struct db *
db_of(struct fixture *f)
{
	return registry_store_db(f->store);
}

static struct fixture
fixture_new(void)
{
	struct fixture f = { 0 };
	struct err err = ERR_INIT;
	static int n;

	snprintf(f.path, sizeof(f.path), "%s/query-%d.sqlite", T_TMPDIR, n++);
	f.store = registry_store_open(f.path, &err);
	f.registry = f.store ? registry_open(f.store, NULL, &err) : NULL;
	if (!f.registry || twin_index_open(f.store, index_paths, COUNT(index_paths), &err) < 0)
		fail_msg("%s", err.text);
	f.reader = db_open_reader(f.path, &err);
	if (!f.reader)
		fail_msg("%s", err.text);
	return f;
}

static void
fixture_close(struct fixture *f)
{
	db_close(f->reader);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static void
put_identity(struct fixture *f, const char *device_id, const char *module_id, bool enabled, bool is_edge)
{
	struct registry_call call = { .op = REGISTRY_PUT, .device_id = mem_text(device_id), .module_id = mem_text(module_id) };

	call.wanted = identity_new(device_id, module_id);
	call.wanted->enabled = enabled;
	call.wanted->is_edge = is_edge;
	call.wanted->auth = module_id ? IDENTITY_AUTH_NONE : IDENTITY_AUTH_SAS;
	registry_run(f->registry, &call);
	if (call.answer != REGISTRY_OK)
		fail_msg("%s: %d %s", device_id, (int)call.answer, call.err.text);
	registry_call_clear(&call);
}

/* The twin of an identity becomes this; `before` is what it was, or NULL. */
static void
put_twin(struct fixture *f, const char *device_id, const char *module_id, const char *before, const char *after)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) was = before ? json_parse(before, strlen(before), &err) : NULL;
	OWN_LIB(json_t) is = json_parse(after, strlen(after), &err);
	OWN_TEXT tags = json_line(json_object_get(is, "tags"));
	OWN_TEXT desired = json_line(json_object_get(is, "desired"));
	OWN_TEXT reported = json_line(json_object_get(is, "reported"));

	int done = db_begin(db_of(f), &err);

	if (db_run(db_of(f), &err, "INSERT OR REPLACE INTO twin VALUES (?, ?, 2, 'AAAAAAAAAAI=', NULL, ?, ?, '{}', 2, ?, '{}', 3)",
		    "ttttt", device_id, module_id ? module_id : "", tags, desired, reported) < 0 ||
		twin_index_update(db_of(f), device_id, module_id, was, is, &err) < 0)
		done = -1;
	if (db_end(db_of(f), done, &err) < 0)
		fail_msg("%s", err.text);
}

static void
add(struct fixture *f, const char *device_id, const char *twin)
{
	put_identity(f, device_id, NULL, true, false);
	put_twin(f, device_id, NULL, NULL, twin);
}

struct page {
	char *ids; /* of the rows, with a space between */
	char *rows;
	char *cursor; /* NULL: that was the last one */
	int64_t n_visited;
};

static void
page_clear(struct page *page)
{
	mem_free(page->ids);
	mem_free(page->rows);
	mem_free(page->cursor);
}

static char *
ids_of(const json_t *rows)
{
	struct buf out = BUF_INIT(1024 * 1024);
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *module_id = json_string_value(json_object_get(row, "moduleId"));

		buf_putf(&out, "%s%s%s%s", i > 0 ? " " : "", json_string_value(json_object_get(row, "deviceId")),
			module_id ? "/" : "", module_id ? module_id : "");
	}
	return buf_take_text(&out);
}

static struct page
ask_for(struct fixture *f, const char *text, const char *cursor, int64_t max, int64_t until)
{
	struct err err = ERR_INIT;
	struct twin_row_context context = { .db = f->reader, .registry = f->registry };
	struct query *query = query_parse(text, &err);
	struct page page = { 0 };
	struct twin_walk walk;
	OWN_LIB(json_t) rows = NULL;

	if (!query || twin_walk_init(&walk, query, text, index_paths, COUNT(index_paths), cursor, max, &err) < 0 ||
		twin_walk_go(&walk, &context, until, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	rows = twin_walk_rows(&walk);
	page.ids = ids_of(rows);
	page.rows = json_line(rows);
	page.n_visited = walk.n_visited;
	page.cursor = walk.state == TWIN_WALK_END || walk.at.left == 0 ? NULL : twin_walk_cursor(&walk, text);
	twin_walk_clear(&walk);
	return page;
}

static void
check_finds(struct fixture *f, const char *condition, const char *ids, int64_t n_visited)
{
	OWN_TEXT text = mem_textf("SELECT * FROM devices WHERE %s", condition);
	CLEAR(page) page = ask_for(f, text, NULL, 0, INT64_MAX);

	if (!text_is(page.ids, ids) || (n_visited >= 0 && page.n_visited != n_visited))
		fail_msg("%s: found '%s' with %lld visits, not '%s' with %lld", condition, page.ids, (long long)page.n_visited, ids,
			(long long)n_visited);
}

static struct fixture
fleet(void)
{
	struct fixture f = fixture_new();

	add(&f, "a1",
		"{\"tags\":{\"site\":{\"name\":\"north\",\"floor\":1},\"live\":true},\"desired\":{},\"reported\":{\"battery\":10,"
		"\"heat\":1}}");
	add(&f, "a2",
		"{\"tags\":{\"site\":{\"name\":\"north\",\"floor\":2}},\"desired\":{},\"reported\":{\"battery\":20.5,\"radio\":{"
		"\"kind\":\"lora\"}}}");
	add(&f, "b1",
		"{\"tags\":{\"site\":{\"name\":\"nordic\",\"floor\":2.0},\"live\":false},\"desired\":{},\"reported\":{\"battery\":"
		"\"low\"}}");
	add(&f, "b2", "{\"tags\":{\"site\":{\"name\":\"south\",\"floor\":\"2\"},\"live\":1},\"desired\":{},\"reported\":{}}");
	put_identity(&f, "c1", NULL, true, false);
	put_identity(&f, "gw", NULL, true, true);
	put_identity(&f, "off", NULL, false, false);
	put_identity(&f, "a1", "mod", true, false);
	put_twin(&f, "a1", "mod", NULL, "{\"tags\":{\"site\":{\"name\":\"north\"}},\"desired\":{},\"reported\":{}}");
	return f;
}

TEST("what an index is asked for is all that is looked at")
{
	struct fixture f = fleet();

	check_finds(&f, "tags.site.name = 'north'", "a1 a2", 2);
	check_finds(&f, "'north' = TAGS.site.name", "a1 a2", 2);
	check_finds(&f, "tags.site.name IN ['south', 'north', 'south', 'moon']", "a1 a2 b2", 3);
	check_finds(&f, "tags.site.floor = 2", "a2 b1", 2);
	check_finds(&f, "tags.site.floor = '2'", "b2", 1);
	check_finds(&f, "tags.site.floor IN [2, 2.0]", "a2 b1", 2);
	check_finds(&f, "tags.live = true", "a1", 1);
	check_finds(&f, "tags.live", "a1", 1);
	check_finds(&f, "tags.live = 1", "b2", 1);
	check_finds(&f, "tags.site.floor >= 1 AND tags.site.floor < 2", "a1", 1);
	check_finds(&f, "tags.site.floor > 1", "a2 b1", 2);
	check_finds(&f, "tags.site.name > 'nordic'", "a1 a2 b2", 3);
	check_finds(&f, "tags.site.name <= 'nordic'", "b1", 1);
	check_finds(&f, "STARTSWITH(tags.site.name, 'nor')", "b1 a1 a2", 3);
	check_finds(&f, "properties.reported.battery > 10", "a2", 1);
	check_finds(&f, "properties.reported.radio.kind = 'lora'", "a2", 1);
	check_finds(&f, "deviceId = 'c1'", "c1", 1);
	check_finds(&f, "deviceId IN ['off', 'a1', 'nobody']", "a1 off", 2);
	check_finds(&f, "status = 'disabled'", "off", 1);
	check_finds(&f, "capabilities.iotEdge = true", "gw", 1);
	check_finds(&f, "tags.site.name = 'moon'", "", 0);
	check_finds(&f, "tags.site.name IN []", "", 0);
	fixture_close(&f);
}

TEST("of a conjunction all single values are looked up, and the rest is asked of what they leave")
{
	struct fixture f = fleet();

	check_finds(&f, "tags.site.name = 'north' AND tags.site.floor = 2", "a2", 1);
	check_finds(&f, "tags.site.name = 'north' AND properties.reported.heat = 1", "a1", 2);
	check_finds(&f, "(tags.site.floor = 2 AND status = 'enabled') AND tags.site.name IN ['nordic', 'south']", "b1", -1);
	check_finds(&f, "deviceId = 'a1' AND tags.site.name = 'south'", "", 0);
	fixture_close(&f);
}

TEST("what no index knows is asked of all devices, those without a twin of their own included")
{
	struct fixture f = fleet();

	check_finds(&f, "properties.reported.heat = 1", "a1", 7);
	check_finds(&f, "NOT is_defined(tags.site)", "c1 gw off", 7);
	check_finds(&f, "tags.site.name = 'south' OR deviceId = 'off'", "b2 off", 7);
	check_finds(&f, "tags.site.name != 'north'", "b1 b2", 7);
	check_finds(&f, "properties.desired.$version = 1 AND version = 1", "c1 gw off", 7);
	check_finds(&f, "connectionState = 'Disconnected' AND authenticationType = 'sas' AND deviceId != 'a1'",
		"a2 b1 b2 c1 gw off", 7);
	fixture_close(&f);
}

TEST("modules are queried by themselves, by their device and by their name")
{
	struct fixture f = fleet();
	static const struct {
		const char *condition, *ids;
		int64_t n_visited;
	} rows[] = {
		{ "tags.site.name = 'north'", "a1/mod", 1 },
		{ "moduleId = '$edgeHub'", "gw/$edgeHub", 1 },
		{ "deviceId = 'gw'", "gw/$edgeAgent gw/$edgeHub", 2 },
		{ "status = 'enabled'", "a1/mod gw/$edgeAgent gw/$edgeHub", 3 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT text = mem_textf("SELECT * FROM devices.modules WHERE %s", rows[i].condition);
		CLEAR(page) page = ask_for(&f, text, NULL, 0, INT64_MAX);

		CHECK_STR(page.ids, rows[i].ids);
		CHECK_INT(page.n_visited, rows[i].n_visited);
	}
	fixture_close(&f);
}

TEST("the index follows each change of a twin, and forgets a device that goes")
{
	struct fixture f = fixture_new();
	struct registry_call gone = { .op = REGISTRY_REMOVE, .device_id = mem_text("d") };
	struct err err = ERR_INIT;
	static const char first[] = "{\"tags\":{\"a\":1,\"b\":\"x\"},\"desired\":{},\"reported\":{\"battery\":3}}";
	static const char second[] = "{\"tags\":{\"a\":{\"deep\":1},\"b\":\"y\"},\"desired\":{},\"reported\":{\"battery\":4}}";
	struct db_stmt *left;

	add(&f, "d", first);
	put_twin(&f, "d", NULL, first, second);
	check_finds(&f, "tags.a = 1", "", 0);
	check_finds(&f, "tags.a.deep = 1", "d", 1);
	check_finds(&f, "tags.b IN ['x', 'y']", "d", 1);
	check_finds(&f, "properties.reported.battery < 4", "", 0);
	check_finds(&f, "properties.reported.battery = 4", "d", 1);
	registry_run(f.registry, &gone);
	CHECK_INT(gone.answer, REGISTRY_OK);
	left = db_query(f.reader, &err, "SELECT count(*) FROM twin_value", "");
	CHECK(left && db_next(left, &err) == 1);
	CHECK_INT(db_int(left, 0), 0);
	db_done(left);
	registry_call_clear(&gone);
	fixture_close(&f);
}

TEST("another list of paths builds the index anew, and a path elsewhere is refused")
{
	struct fixture f = fleet();
	static const char *const other[] = { "properties.reported.heat" }, *const wrong[] = { "tags.site" };
	struct err err = ERR_INIT;
	struct db_stmt *count;

	CHECK_INT(twin_index_open(f.store, other, 1, &err), 0);
	count = db_query(f.reader, &err, "SELECT path, device_id FROM twin_value WHERE path LIKE 'properties.%'", "");
	CHECK(count && db_next(count, &err) == 1);
	CHECK_STR(db_text(count, 0), "properties.reported.heat");
	CHECK_STR(db_text(count, 1), "a1");
	CHECK_INT(db_next(count, &err), 0);
	db_done(count);
	check_finds(&f, "tags.site.name = 'north'", "a1 a2", 2);
	CHECK(twin_index_open(f.store, wrong, 1, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "'tags.site' cannot be indexed");
	fixture_close(&f);
}

/* All pages of this size, with a bar between them. */
static char *
all_pages(struct fixture *f, const char *text, int64_t max, int64_t until)
{
	struct buf out = BUF_INIT(1024 * 1024);
	char *cursor = NULL;

	for (int i = 0; i < 100; i++) {
		struct page page = ask_for(f, text, cursor, max, until);

		buf_putf(&out, "%s%s", i > 0 ? "|" : "", page.ids);
		mem_free(cursor);
		cursor = mem_text(page.cursor);
		page_clear(&page);
		if (!cursor)
			return buf_take_text(&out);
	}
	fail_msg("%s: the pages do not end: %s", text, buf_text(&out));
	return NULL;
}

TEST("pages follow each other without gap or repetition, whichever index they come by")
{
	struct fixture f = fleet();
	static const struct {
		const char *text, *pages;
	} rows[] = {
		{ "SELECT * FROM devices", "a1 a2|b1 b2|c1 gw|off" },
		{ "SELECT TOP 3 * FROM devices", "a1 a2|b1" },
		{ "SELECT TOP 0 * FROM devices", "" },
		{ "SELECT * FROM devices WHERE tags.site.name IN ['north', 'south', 'nordic']", "b1 a1|a2 b2" },
		{ "SELECT * FROM devices WHERE tags.site.name > 'a'", "b1 a1|a2 b2" },
		{ "SELECT * FROM devices WHERE tags.site.floor > 0", "a1 a2|b1" },
		{ "SELECT * FROM devices.modules", "a1/mod gw/$edgeAgent|gw/$edgeHub" },
		{ "SELECT deviceId, moduleId FROM devices.modules WHERE deviceId = 'gw'", "gw/$edgeAgent gw/$edgeHub" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT pages = all_pages(&f, rows[i].text, 2, INT64_MAX);

		CHECK_STR(pages, rows[i].pages);
	}
	fixture_close(&f);
}

TEST("a walk whose time is up goes on behind the last twin that it looked at")
{
	struct fixture f = fleet();
	OWN_TEXT pages = all_pages(&f, "SELECT * FROM devices WHERE properties.reported.heat = 1 OR deviceId = 'off'", 10, 0);

	CHECK_STR(pages, "a1||||||off|");
	fixture_close(&f);
}

TEST("rows that come and go between two pages shift nothing")
{
	struct fixture f = fleet();
	static const char text[] = "SELECT * FROM devices";
	struct registry_call gone = { .op = REGISTRY_REMOVE, .device_id = mem_text("a1") };
	CLEAR(page) first = ask_for(&f, text, NULL, 2, INT64_MAX);
	struct page second;

	registry_run(f.registry, &gone);
	registry_call_clear(&gone);
	put_identity(&f, "a0", NULL, true, false);
	put_identity(&f, "b0", NULL, true, false);
	second = ask_for(&f, text, first.cursor, 2, INT64_MAX);
	CHECK_STR(second.ids, "b0 b1");
	page_clear(&second);
	fixture_close(&f);
}

TEST("a forged continuation is refused or harmless")
{
	struct fixture f = fleet();
	static const char text[] = "SELECT * FROM devices";
	struct err err = ERR_INIT;
	static const char *const forged[] = { "x", "e30=", "bnVsbA==", "eyJxdWVyeSI6MX0=" };
	CLEAR(page) first = ask_for(&f, text, NULL, 2, INT64_MAX);
	struct twin_walk walk;

	for (size_t i = 0; i < COUNT(forged); i++) {
		CHECK(twin_walk_init(&walk, query_parse(text, &err), text, NULL, 0, forged[i], 2, &err) < 0);
		CHECK_ERR(err, ERR_INVALID, "not one of this query");
		twin_walk_clear(&walk);
	}
	CHECK(twin_walk_init(&walk, query_parse("SELECT deviceId FROM devices", &err), "SELECT deviceId FROM devices", NULL, 0,
		      first.cursor, 2, &err) < 0);
	twin_walk_clear(&walk);
	fixture_close(&f);
}

TEST("aggregates see all twins, projections show what they name")
{
	struct fixture f = fleet();
	static const struct {
		const char *text, *rows;
	} cases[] = {
		{ "SELECT COUNT() AS n FROM devices", "[{\"n\":7}]" },
		{ "SELECT tags.site.name AS site, COUNT() AS n, MAX(properties.reported.battery) AS best FROM devices WHERE "
		  "is_defined(tags) AND tags.site.name != 'south' GROUP BY tags.site.name",
			"[{\"site\":\"north\",\"n\":2,\"best\":20.5},{\"site\":\"nordic\",\"n\":1,\"best\":\"low\"}]" },
		{ "SELECT deviceId AS id, status, tags.site.floor FROM devices WHERE deviceId = 'a1'",
			"[{\"id\":\"a1\",\"status\":\"enabled\",\"floor\":1}]" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEAR(page) page = ask_for(&f, cases[i].text, NULL, 1, INT64_MAX);

		CHECK_STR(page.rows, cases[i].rows);
	}
	fixture_close(&f);
}

TEST("a whole row has what a service sees of a twin, and no key")
{
	struct fixture f = fleet();
	CLEAR(page) page = ask_for(&f, "SELECT * FROM devices WHERE deviceId = 'a1'", NULL, 1, INT64_MAX);
	static const char *const members[] = { "deviceId", "etag", "deviceEtag", "status", "connectionState", "lastActivityTime",
		"authenticationType", "x509Thumbprint", "modelId", "version", "tags", "$metadata", "$version", "capabilities",
		"cloudToDeviceMessageCount" };

	for (size_t i = 0; i < COUNT(members); i++) {
		OWN_TEXT member = mem_textf("\"%s\":", members[i]);

		CHECK_CONTAINS(page.rows, member);
	}
	CHECK(!strstr(page.rows, "symmetricKey"));
	fixture_close(&f);
}
