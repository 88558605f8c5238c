/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of routes: what is understood, what is refused and why, and what they make of a message. */
#include "gateway/routes/routes.h"

#include "base/buf.h"
#include "base/mem.h"
#include "t.h"
#include "wire/json.h"

static struct routes *
read_routes(const char *text)
{
	struct err err = ERR_INIT;
	struct routes *routes = routes_parse(text, strlen(text), &err);

	if (!routes)
		fail_msg("%s", err.text);
	return routes;
}

static const char whole[] =
	"{\"schemaVersion\":\"1.3\",\"$version\":4,\"$metadata\":{},\"mqttBroker\":{},\"integrity\":{},"
	"\"routes\":{"
	"\"plain\":\"FROM /messages/* INTO $upstream\","
	"\"alarms\":{\"route\":\"FROM /* WHERE level = 'alarm' INTO $upstream\",\"priority\":0,\"timeToLiveSecs\":60},"
	"\"filter\":{\"route\":\"FROM /messages/events INTO BrokeredEndpoint('/modules/f/inputs/in')\",\"priority\":9},"
	"\"short\":{\"route\":\"FROM /messages/modules/none INTO BrokeredEndpoint('/modules/f/inputs/in')\",\"timeToLiveSecs\":0},"
	"\"kept\":{\"route\":\"FROM /messages/modules/none INTO $upstream\",\"timeToLiveSecs\":-1,\"priority\":2000000000},"
	"\"gone\":null},"
	"\"storeAndForwardConfiguration\":{\"timeToLiveSecs\":7200,\"storeLimits\":{\"maxSizeBytes\":1000000}}}";

TEST("a document is read with priorities and times, and those of the whole where a route has none")
{
	OWN(routes) r = read_routes(whole);

	CHECK_INT(r->n, 5);
	CHECK_INT(r->max_bytes, 1000000);
	CHECK_INT(r->n_sinks, 2);
	CHECK_INT(r->row[0].priority, ROUTE_LOWEST);
	CHECK_INT(r->row[0].ttl_s, 7200);
	CHECK_INT(r->row[1].priority, 0);
	CHECK_INT(r->row[1].ttl_s, 60);
	CHECK_STR(r->row[1].name, "alarms");
	CHECK_INT(r->row[2].priority, 9);
	CHECK_INT(r->row[2].ttl_s, 7200);
	CHECK_INT(r->row[3].ttl_s, 7200);
	CHECK_INT(r->row[4].ttl_s, ROUTES_FOR_EVER);
	CHECK_INT(r->row[4].priority, ROUTE_LOWEST);
	CHECK_INT(r->row[0].sink, r->row[1].sink);
	CHECK_STR(r->sink[r->row[2].sink].module_id, "f");
}

TEST("of several routes to one sink the one with the lowest number of priority takes a message, once")
{
	OWN(routes) r = read_routes(whole);
	const struct routes_row *taken[2];
	struct route_message alarm = { .device_id = { "leaf", 4 }, .bag = { "level=alarm", 11 } };
	struct route_message plain = { .device_id = { "leaf", 4 }, .bag = { "level=none", 10 } };

	CHECK_INT(routes_take(r, &alarm, taken), 2);
	CHECK_STR(taken[0]->name, "alarms");
	CHECK_STR(taken[1]->name, "filter");
	CHECK_INT(routes_take(r, &plain, taken), 2);
	CHECK_STR(taken[0]->name, "plain");
}

TEST("what no route takes goes nowhere, and without routes that is everything")
{
	OWN(routes) none = read_routes("{\"schemaVersion\":\"1.0\",\"routes\":{}}");
	OWN(routes) silent = read_routes("{\"schemaVersion\":\"1.1\"}");
	const struct routes_row *taken[1];
	struct route_message plain = { .device_id = { "leaf", 4 } };

	CHECK_INT(routes_take(none, &plain, taken), 0);
	CHECK_INT(silent->n, 0);
}

TEST("the default takes everything to the hub and keeps it for ever")
{
	OWN(routes) r = routes_default();
	const struct routes_row *taken[1];
	struct route_message plain = { .device_id = { "leaf", 4 } };

	CHECK_INT(routes_take(r, &plain, taken), 1);
	CHECK(!r->sink[taken[0]->sink].module_id);
	CHECK_INT(taken[0]->ttl_s, ROUTES_FOR_EVER);
}

TEST("a document with one mistake is refused as a whole, and the reason says where")
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "[]", "a JSON object" },
		{ "{", "JSON" },
		{ "{}", "schemaVersion" },
		{ "{\"schemaVersion\":1.1}", "schemaVersion" },
		{ "{\"schemaVersion\":\"2.0\"}", "schemaVersion is 1.0 to 1.3, not 2.0" },
		{ "{\"schemaVersion\":\"1.4\"}", "schemaVersion is 1.0 to 1.3, not 1.4" },
		{ "{\"schemaVersion\":\"1.1.0\"}", "schemaVersion is 1.0 to 1.3" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":[]}", "routes" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":\"FROM /* INTO $upstream\",\"b\":\"FROM /* TO $upstream\"}}",
			"route b: at character 9: WHERE or INTO is expected, not TO" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":5}}", "route a: a route is a text or an object" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":{}}}", "route a: " },
		{ "{\"schemaVersion\":\"1.0\",\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\"}}}",
			"route a: schemaVersion 1.0" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\",\"priority\":10}}}",
			"route a: priority is 0 to 9, not 10" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\",\"priority\":-1}}}",
			"priority is" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\",\"priority\":\"0\"}}}",
			"priority" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":{\"route\":\"FROM /* INTO "
		  "$upstream\",\"timeToLiveSecs\":9000000000000}}}",
			"timeToLiveSecs is at most" },
		{ "{\"schemaVersion\":\"1.1\",\"routes\":{\"r\":{\"route\":\"FROM /* INTO $upstream\",\"timeToLiveSecs\":-5}}}",
			"route r: timeToLiveSecs is a number of seconds, or -1 for ever, not -5" },
		{ "{\"schemaVersion\":\"1.1\",\"storeAndForwardConfiguration\":{\"timeToLiveSecs\":\"7200\"}}", "timeToLiveSecs" },
		{ "{\"schemaVersion\":\"1.1\",\"storeAndForwardConfiguration\":{\"storeLimits\":{\"maxSizeBytes\":0}}}",
			"maxSizeBytes is above 0" },
		{ "{\"schemaVersion\":\"1.1\",\"storeAndForwardConfiguration\":7}", "storeAndForwardConfiguration" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = ERR_INIT;
		OWN(routes) routes = routes_parse(rows[i].text, strlen(rows[i].text), &err);

		if (routes)
			fail_msg("%s was understood", rows[i].text);
		CHECK_CONTAINS(err.text, rows[i].part);
	}
}

TEST("what the original overlooks is taken and remarked on: keys that nobody knows, and changes of twins to the hub")
{
	static const char *const documents[][2] = {
		{ "\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\",\"prority\":5}}",
			"route a: nothing is known of \"prority\", which does nothing: did you mean \"priority\"?" },
		{ "\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\",\"comment\":\"x\"}}",
			"route a: nothing is known of \"comment\", which does nothing" },
		{ "\"routes\":{\"a\":\"FROM /twinChangeNotifications INTO $upstream\"}", "route a: it takes nothing to the hub" },
		{ "\"storeAndForwardConfiguration\":{\"timeToLiveSec\":5}", "did you mean \"timeToLiveSecs\"?" },
		{ "\"storeAndForwardConfiguration\":{\"storeLimits\":{\"maxSizeByte\":5}}", "did you mean \"maxSizeBytes\"?" },
	};
	OWN(routes) r = read_routes(whole);
	OWN(routes) inputs = read_routes("{\"schemaVersion\":\"1.1\",\"routes\":{"
					 "\"t\":\"FROM /twinChangeNotifications INTO BrokeredEndpoint('/modules/m/inputs/i')\","
					 "\"all\":{\"route\":\"FROM /* INTO $upstream\",\"prority\":null}}}");

	CHECK(!r->remarks && !inputs->remarks);
	for (size_t i = 0; i < COUNT(documents); i++) {
		OWN_TEXT text = mem_textf("{\"schemaVersion\":\"1.1\",%s}", documents[i][0]);
		OWN(routes) taken = read_routes(text);

		CHECK(taken->remarks);
		CHECK_CONTAINS(taken->remarks, documents[i][1]);
	}
}

TEST("remarks are so many and no more: they stay one sentence for people")
{
	CLEAR(buf) text = BUF_INIT(ROUTES_JSON_MAX);
	OWN(routes) r = NULL;

	buf_puts(&text, "{\"schemaVersion\":\"1.1\",\"routes\":{\"a\":{\"route\":\"FROM /* INTO $upstream\"");
	for (int i = 0; i < 1000; i++)
		buf_putf(&text, ",\"key%d\":1", i);
	buf_puts(&text, "}}}");
	r = read_routes(buf_text(&text));
	CHECK(strlen(r->remarks) < 450);
	CHECK_CONTAINS(r->remarks, "\"key1\"");
}

TEST("there are at most 128 routes")
{
	CLEAR(buf) text = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	OWN(routes) routes = NULL;

	buf_puts(&text, "{\"schemaVersion\":\"1.1\",\"routes\":{");
	for (int i = 0; i <= ROUTES_MAX; i++)
		buf_putf(&text, "%s\"r%d\":\"FROM /* INTO $upstream\"", i ? "," : "", i);
	buf_puts(&text, "}}");
	routes = routes_parse(buf_text(&text), text.len, &err);
	CHECK(!routes);
	CHECK_ERR(err, ERR_LIMIT, "129 routes");
}
