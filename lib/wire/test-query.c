/* SPDX-License-Identifier: Apache-2.0 */
/* The query language: what is understood, what is refused and where, what is selected. */
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "t.h"
#include "wire/json.h"
#include "wire/query.h"

static const char twin_text[] =
	"{\"deviceId\": \"sensor-7\", \"status\": \"enabled\", \"version\": 4, \"capabilities\": {\"iotEdge\": false},"
	"\"tags\": {\"building\": {\"floor\": 3, \"name\": \"Süd\"}, \"my-key\": 1, \"half\": 0.5, \"on\": true},"
	"\"properties\": {\"desired\": {\"rate\": 10, \"$version\": 7}, \"reported\": {\"rate\": 12, \"list\": [1, \"x\"], "
	"\"none\": null}},"
	"\"configurations\": {\"north/edge\": {\"status\": \"Applied\"}}}";

static json_t *
twin(void)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(twin_text, strlen(twin_text), &err);

	if (!json)
		fail_msg("%s", err.text);
	return json;
}

static bool
selects(const char *condition)
{
	struct err err = ERR_INIT;
	OWN(query) query = query_parse_condition(condition, QUERY_DEVICES, &err);
	OWN_LIB(json_t) row = twin();

	if (!query)
		fail_msg("%s: %s", condition, err.text);
	return query_is_true(query->where, row);
}

static void
check_selects(const char *const *conditions, size_t n, bool wanted)
{
	for (size_t i = 0; i < n; i++)
		if (selects(conditions[i]) != wanted)
			fail_msg("%s: is %s selected", conditions[i], wanted ? "not" : "");
}

TEST("conditions that are true of a twin select it")
{
	static const char *const conditions[] = {
		"",
		"*",
		"deviceId = 'sensor-7'",
		"DeviceID = \"sensor-7\" and Status <> 'disabled'",
		"devices.deviceId = 'sensor-7'",
		"tags.building.floor = 3 AND tags.building.name = 'S\\u00fcd'",
		"tags.building.floor IN [1, 2, 3]",
		"tags.building.floor NIN [1, 2] OR false",
		"tags.building.floor not in [-3]",
		"NOT tags.building.floor > 3",
		"tags.half < 1 AND tags.half >= 0.5 AND tags.half = 5e-1",
		"tags.building.floor = 0x3",
		"tags.on",
		"tags.on = true AND capabilities.iotEdge = false",
		"properties.desired.rate != properties.reported.rate",
		"properties.desired.rate * 2 - 8 = properties.reported.rate",
		"properties.desired.$version % 4 = 3",
		"7 / 2 = 3.5 AND 6 / 2 = 3 AND 1 + 2 * 3 = 7 AND (1 + 2) * 3 = 9 AND -2 - -3 = 1",
		"is_defined(properties.reported.none) AND NOT is_defined(tags.nothing)",
		"properties.reported.none = null",
		"tags.building.floor != null AND tags.building.floor != '3'",
		"'x' IN properties.reported.list",
		"configurations.[[north/edge]].status = 'Applied'",
		"[[tags]].[[my-key]] = 1",
		"STARTSWITH(deviceId, 'sensor') AND ENDS_WITH(deviceId, '-7') AND CONTAINS(deviceId, 'or-')",
		"LENGTH(tags.building.name) = 3 AND UPPER(deviceId) = 'SENSOR-7' AND lower('AB') = 'ab'",
		"SUBSTRING(deviceId, 0, 3) = 'sen' AND SUBSTRING(deviceId, 7) = '7' AND INDEX_OF(deviceId, '-') = 6",
		"CONCAT('a', 'b', 'c') = 'abc' AND AS_NUMBER('12.5') = 12.5",
		"IS_STRING(deviceId) AND IS_NUMBER(version) AND IS_BOOL(tags.on) AND IS_OBJECT(tags) AND "
		"IS_ARRAY(properties.reported.list)",
		"IS_NULL(properties.reported.none) AND IS_PRIMITIVE(version) AND NOT IS_PRIMITIVE(tags)",
		"ABS(-2) = 2 AND FLOOR(1.5) = 1 AND CEILING(1.5) = 2 AND POWER(2, 10) = 1024 AND SQRT(9) = 3 AND SQUARE(3) = 9 AND "
		"SIGN(-4) = -1",
		"false AND undefined OR true",
		"9007199254740993 > 9007199254740992.0",
	};

	check_selects(conditions, COUNT(conditions), true);
}

TEST("whatever is not true selects nothing: false, undefined, another type")
{
	static const char *const conditions[] = {
		"false",
		"null",
		"undefined",
		"'true'",
		"1",
		"tags",
		"deviceId = 'SENSOR-7'",
		"DEVICEID = 'sensor-7' AND TAGS.Building.floor = 3",
		"tags.nothing = 1",
		"tags.nothing != 1",
		"NOT tags.nothing = 1",
		"tags.nothing IN [1]",
		"tags.nothing NIN [1]",
		"tags.building.floor < '4'",
		"NOT tags.building.floor < '4'",
		"tags = tags",
		"properties.reported.list = properties.reported.list",
		"tags.on > false",
		"1 / 0 = 1 / 0",
		"9223372036854775807 + 1 < 9223372036854775807",
		"5 % 0 = 0",
		"deviceId + 1 = 1",
		"LENGTH(5) >= 0",
		"SUBSTRING(deviceId, -1) = deviceId",
		"AS_NUMBER('') = 0 OR AS_NUMBER('1x') = 1",
		"true AND undefined",
	};

	check_selects(conditions, COUNT(conditions), false);
}

static void
check_refused(const char *text, enum err_kind kind, const char *part)
{
	struct err err = ERR_INIT;
	OWN(query) query = query_parse(text, &err);

	if (query)
		fail_msg("%s was understood", text);
	CHECK_ERR(err, kind, part);
}

TEST("what is wrong is told with its place")
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "", "at character 1: SELECT is expected, and the query ends" },
		{ "SELEC * FROM devices", "at character 1: SELECT is expected, not SELEC" },
		{ "SELECT * FROM twins", "at character 15: devices, devices.modules or devices.jobs is expected, not twins" },
		{ "SELECT * FROM devices.things", "at character 23: modules or jobs" },
		{ "SELECT * FROM devices WHERE", "at character 28: a value is expected, and the query ends" },
		{ "SELECT * FROM devices WHERE a = = 1", "at character 33: a value is expected, not =" },
		{ "SELECT * FROM devices WHERE a ORDER BY b", "at character 31: an operator or the end is expected, not ORDER" },
		{ "SELECT * FROM devices WHERE tags.ü = 'x", "at character 38: the string that begins here does not end" },
		{ "SELECT * FROM devices WHERE a = 'x\\n'", "at character 35: only" },
		{ "SELECT * FROM devices WHERE a = '\\ud800'", "at character 34: only" },
		{ "SELECT * FROM devices WHERE a = '\\u0000'", "at character 34: only" },
		{ "SELECT * FROM devices WHERE a = 1x", "at character 33: 1x is not a number" },
		{ "SELECT * FROM devices WHERE a = 0xZ", "0xZ is not a number" },
		{ "SELECT * FROM devices WHERE a = 1e999", "1e999 is not a number" },
		{ "SELECT * FROM devices WHERE a # 1", "at character 31: '#' means nothing here" },
		{ "SELECT * FROM devices WHERE a IN [b]", "at character 35: a constant is expected, not b" },
		{ "SELECT * FROM devices WHERE a IN [1", "] or a comma is expected" },
		{ "SELECT * FROM devices WHERE a IN 1", "[ and constants is expected" },
		{ "SELECT * FROM devices WHERE a NOT 1", "IN is expected" },
		{ "SELECT * FROM devices WHERE nonsense(a)", "at character 29: there is no function nonsense" },
		{ "SELECT * FROM devices WHERE IS_DEFINED()", "at character 29: IS_DEFINED does not take 0 arguments" },
		{ "SELECT * FROM devices WHERE (a = 1", ") is expected" },
		{ "SELECT * FROM devices WHERE tags.[[]] = 1", "a name and ]] are expected" },
		{ "SELECT * FROM devices WHERE tags. = 1", "a name is expected" },
		{ "SELECT TOP x * FROM devices", "a whole number is expected, not x" },
		{ "SELECT TOP -1 * FROM devices", "a whole number is expected" },
		{ "SELECT tags.a AS FROM devices", "a name is expected, not FROM" },
		{ "SELECT tags.a, COUNT() AS n FROM devices", "a is neither an aggregate nor in GROUP BY" },
		{ "SELECT * FROM devices GROUP BY status", "GROUP BY does not go with SELECT *" },
		{ "SELECT jobId FROM devices.jobs", "SELECT * only" },
		{ "SELECT COUNT() FROM devices GROUP status", "BY is expected" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		check_refused(rows[i].text, ERR_INVALID, rows[i].part);
}

static char *
repeated(const char *begin, const char *part, size_t n, const char *end)
{
	struct buf out = BUF_INIT(1024 * 1024);

	buf_puts(&out, begin);
	for (size_t i = 0; i < n; i++)
		buf_puts(&out, part);
	buf_puts(&out, end);
	return buf_take_text(&out);
}

TEST("a query of 8192 characters is read and a longer one is not")
{
	struct err err = ERR_INIT;
	OWN_TEXT fits = repeated("SELECT * FROM devices WHERE a = '", "ü", QUERY_MAX - 34, "'");
	OWN_TEXT long_one = repeated("SELECT * FROM devices WHERE a = '", "ü", QUERY_MAX - 33, "'");
	OWN(query) query = query_parse(fits, &err);

	CHECK(query);
	check_refused(long_one, ERR_LIMIT, "at most 8192 characters");
}

TEST("nesting has a ceiling, a long chain of ANDs does not need one")
{
	struct err err = ERR_INIT;
	OWN_TEXT parentheses = repeated("SELECT * FROM devices WHERE ", "(", 2000, "a");
	OWN_TEXT nots = repeated("SELECT * FROM devices WHERE ", "NOT ", 1500, "a");
	OWN_TEXT minuses = repeated("SELECT * FROM devices WHERE ", "- ", 3000, "a");
	OWN_TEXT sums = repeated("SELECT * FROM devices WHERE 1", "+a", 3000, "");
	OWN_TEXT calls = repeated("SELECT * FROM devices WHERE ", "ABS(", 1000, "a");
	OWN_TEXT ands = repeated("SELECT * FROM devices WHERE a=1", " AND a=1", 1000, "");
	OWN(query) query = query_parse(ands, &err);

	CHECK(query && query->where->n_kids == 1001);
	check_refused(parentheses, ERR_INVALID, "less nested");
	check_refused(nots, ERR_INVALID, "less nested");
	check_refused(minuses, ERR_INVALID, "less nested");
	check_refused(sums, ERR_INVALID, "64 deep");
	check_refused(calls, ERR_INVALID, "less nested");
}

/* The rows of a query over documents, as JSON. */
static char *
answer(const char *text, const char *documents)
{
	struct err err = ERR_INIT;
	OWN(query) query = query_parse(text, &err);
	OWN(query_groups) groups = NULL;
	OWN_LIB(json_t) rows = json_parse(documents, strlen(documents), &err);
	OWN_LIB(json_t) out = json_array();
	json_t *row;
	size_t i;

	if (!query || !rows)
		fail_msg("%s: %s", text, err.text);
	groups = query_groups_new(query);
	json_array_foreach(rows, i, row) {
		if (!query_is_true(query->where, row))
			continue;
		if (query->folds)
			CHECK_INT(query_groups_add(groups, row, &err), 0);
		else
			json_array_append_new(out, query_project(query, row));
	}
	if (!query->folds)
		return json_line(out);
	json_decref(out);
	out = query_groups_rows(groups);
	return json_line(out);
}

static const char fleet[] =
	"[{\"deviceId\":\"a\",\"tags\":{\"t\":1,\"site\":\"x\"}},{\"deviceId\":\"b\",\"tags\":{\"t\":4,\"site\":\"y\"}},"
	"{\"deviceId\":\"c\",\"tags\":{\"t\":2.5,\"site\":\"x\"}},{\"deviceId\":\"d\",\"tags\":{\"t\":\"warm\"}}]";

TEST("projections make rows of what they name; without an alias the last name is the key")
{
	static const struct {
		const char *text, *rows;
	} cases[] = {
		{ "SELECT deviceId FROM devices WHERE tags.site = 'y'", "[{\"deviceId\":\"b\"}]" },
		{ "SELECT deviceId AS id, tags.t t, tags.t * 2 FROM devices WHERE deviceId = 'c'",
			"[{\"id\":\"c\",\"t\":2.5,\"$3\":5}]" },
		{ "SELECT tags.site FROM devices WHERE deviceId = 'd'", "[{}]" },
		{ "SELECT * FROM devices WHERE tags.t > 3", "[{\"deviceId\":\"b\",\"tags\":{\"t\":4,\"site\":\"y\"}}]" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN_TEXT rows = answer(cases[i].text, fleet);

		CHECK_STR(rows, cases[i].rows);
	}
}

TEST("aggregates count what has the type they need, in all or in groups")
{
	static const struct {
		const char *text, *rows;
	} cases[] = {
		{ "SELECT COUNT() AS n FROM devices", "[{\"n\":4}]" },
		{ "SELECT COUNT(*) FROM devices WHERE deviceId = 'nobody'", "[{\"$1\":0}]" },
		{ "SELECT COUNT(tags.site) AS n, SUM(tags.t) AS s, AVG(tags.t) AS a, MIN(tags.t) AS lo, MAX(tags.site) AS hi FROM "
		  "devices",
			"[{\"n\":3,\"s\":7.5,\"a\":2.5,\"lo\":1,\"hi\":\"y\"}]" },
		{ "SELECT tags.site AS site, COUNT() AS n FROM devices GROUP BY tags.site",
			"[{\"site\":\"x\",\"n\":2},{\"site\":\"y\",\"n\":1},{\"n\":1}]" },
		{ "SELECT TOP 1 tags.site, AVG(tags.t) AS a FROM devices GROUP BY devices.tags.site",
			"[{\"site\":\"x\",\"a\":1.75}]" },
		{ "SELECT AVG(tags.nothing) AS a FROM devices", "[{}]" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		OWN_TEXT rows = answer(cases[i].text, fleet);

		CHECK_STR(rows, cases[i].rows);
	}
}

TEST("the number of groups has a ceiling")
{
	struct err err = ERR_INIT;
	OWN(query) query = query_parse("SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId", &err);
	OWN(query_groups) groups = query_groups_new(query);
	int done = 0;

	for (int i = 0; i < QUERY_GROUPS_MAX + 1 && done == 0; i++) {
		OWN_LIB(json_t) row = json_pack("{s:i}", "deviceId", i);

		done = query_groups_add(groups, row, &err);
	}
	CHECK(done < 0);
	CHECK_ERR(err, ERR_LIMIT, "more than 10000 groups");
}

TEST("sources are told apart, and their names in front of a path are taken off")
{
	struct err err = ERR_INIT;
	OWN(query) modules = query_parse("select top 5 * from devices.modules where devices.modules.moduleId = '$edgeAgent'", &err);
	OWN(query) jobs = query_parse("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j1'", &err);

	CHECK(modules && modules->from == QUERY_MODULES && modules->top == 5);
	CHECK(query_path_is(modules->where->kids[0], (const char *const[]){ "moduleid", NULL }));
	CHECK(jobs && jobs->from == QUERY_JOBS && jobs->top == -1);
	CHECK(query_path_is(jobs->where->kids[0], (const char *const[]){ "jobId", NULL }));
}
