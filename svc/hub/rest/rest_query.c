/* SPDX-License-Identifier: Apache-2.0 */
/* POST /devices/query (hub 4.5): a page of a query's rows. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/twins/queries.h"
#include "hub/rest/rest.h"
#include "wire/json.h"

#define PAGE_MAX 1000
#define PAGE_USUAL 100

struct page {
	struct http_request *req;
	struct query_call call;
};

static struct page *
page_of(struct query_call *call)
{
	return CONTAINER_OF(call, struct page, call);
}

static void
page_free(struct page *page)
{
	query_call_clear(&page->call);
	mem_free(page);
}

static bool
is_wanted(struct query_call *call)
{
	struct conn *conn = http_conn(page_of(call)->req);

	return conn && !conn_is_hung_up(conn);
}

static const char *
item_type(const struct query *query)
{
	if (query->n_columns > 0)
		return "x-ms-item-type: Raw";
	return query->from == QUERY_JOBS ? "x-ms-item-type: DeviceJob" : "x-ms-item-type: Twin";
}

static void
answer(struct page *page)
{
	const struct twin_walk *walk = &page->call.walk;
	bool more = walk->state != TWIN_WALK_END && walk->at.left != 0;
	OWN_TEXT cursor = more ? twin_walk_cursor(walk, page->call.text) : NULL;
	OWN_TEXT continuation = more ? mem_textf("x-ms-continuation: %s", cursor) : NULL;
	OWN_TEXT visited = mem_textf("x-rootedge-rows-visited: %lld", (long long)walk->n_visited);
	const char *headers[] = { item_type(walk->query), visited, continuation, NULL };

	http_respond_json(page->req, 200, headers, twin_walk_rows(walk));
}

static void
on_done(struct query_call *call)
{
	struct page *page = page_of(call);

	if (call->end == QUERY_DONE) {
		answer(page);
	} else if (call->end == QUERY_TOO_SLOW) {
		rest_fail(page->req, REST_GENERIC_TIMEOUT, "the aggregate took too long; a condition on tags makes it shorter");
	} else if (call->err.kind == ERR_LIMIT) {
		rest_fail(page->req, REST_ARGUMENT_INVALID, "%s", call->err.text);
	} else {
		log_error("query: %s", call->err.text);
		rest_fail(page->req, REST_SERVER_ERROR, "the twins could not be read");
	}
	page_free(page);
}

/* Nobody hears the answer; it ends the request. */
static void
on_dropped(struct query_call *call)
{
	struct page *page = page_of(call);

	rest_fail(page->req, REST_CLIENT_CLOSED_REQUEST, "nobody waits for this any more");
	page_free(page);
}

bool
rest_page_size(struct http_request *req, int64_t *max)
{
	const char *text = http_header(req, "x-ms-max-item-count");

	*max = PAGE_USUAL;
	if (!text || !*text)
		return true;
	if (text_is(text, "-1")) /* as many as the server likes */
		return true;
	if (text_to_i64(text, 1, INT64_MAX, max)) {
		*max = *max < PAGE_MAX ? *max : PAGE_MAX;
		return true;
	}
	rest_fail(req, REST_DEVICE_INVALID_RESULT_COUNT, "x-ms-max-item-count must be a number from 1 to %d", PAGE_MAX);
	return false;
}

static bool
is_of_jobs(const char *text)
{
	struct err ignored = ERR_INIT;
	OWN(query) query = query_parse(text, &ignored);

	return query && query->from == QUERY_JOBS;
}

static void
run(struct rest *rest, struct http_request *req, const char *text, int64_t max)
{
	struct page *page = NEW(page);
	struct conn *conn = http_conn(req);
	struct err err = ERR_INIT;

	page->req = req;
	page->call.is_wanted = is_wanted;
	page->call.done = on_done;
	page->call.dropped = on_dropped;
	if (is_of_jobs(text)) {
		rest_job_devices(rest, req, query_parse(text, &err), max);
		page_free(page);
	} else if (queries_prepare(rest->queries, &page->call, text, http_header(req, "x-ms-continuation"), max, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		page_free(page);
	} else if (!conn || !queries_submit(&page->call, loop_owner(conn_loop(conn)))) {
		rest_fail(req, REST_THROTTLING_EXCEPTION, "too many queries wait; try again");
		page_free(page);
	}
}

static void
query(struct rest *rest, struct http_request *req, const char *const *ids)
{
	OWN_LIB(json_t) body = rest_body(req);
	struct err err = ERR_INIT;
	const char *text;
	int64_t max;

	(void)ids;
	if (!body)
		return;
	if (json_get_text(body, "query", &text, &err) < 0) {
		rest_fail(req, REST_ARGUMENT_INVALID, "%s", err.text);
		return;
	}
	if (rest_page_size(req, &max))
		run(rest, req, text, max);
}

const struct rest_route rest_query_routes[] = {
	{ "POST", "devices/query", REST_SERVICE, AUTH_SERVICE_CONNECT, query },
	{ 0 },
};
