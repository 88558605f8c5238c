/* SPDX-License-Identifier: Apache-2.0 */
/* Over which connections calls go to those above: a real hub counts them. */
#include "gateway/upstream/test_upstream.h"
#include "gateway/upstream/upstream_call.h"
#include "wire/json.h"

static struct above above;
static uint64_t came_over; /* the connection of the last call */
static int n_came;
static bool hangs_up; /* before the next answer */

static void
answer(struct http_request *req)
{
	came_over = conn_id(http_conn(req));
	n_came++;
	if (hangs_up)
		conn_abort(http_conn(req), "");
	hangs_up = false;
	http_respond_json(req, 200, NULL, json_object());
}

/* -- Calls ------------------------------------------------------------------------------------------------------------------------------------ */

enum kind { QUESTION_OF_JSON, QUESTION, CHANGE };

/* Blocks, while the loop serves it: on the worker. */
struct caller {
	struct job job;
	enum kind kind;
	int result;
	bool is_done;
};

static void
call(struct job *job)
{
	struct caller *caller = CONTAINER_OF(job, struct caller, job);
	OWN_LIB(json_t) body = json_object(), *json = NULL;
	struct upstream_call what = { .method = "POST",
		.operation = "operation",
		.body = body,
		.within_ms = PATIENCE_MS,
		.changes = caller->kind == CHANGE };
	struct http_answer said;
	struct err err = ERR_INIT;

	caller->result = caller->kind == QUESTION_OF_JSON ? upstream_fetch_json(&json, &said, above.upstream, &what, &err)
							  : upstream_fetch(&said, above.upstream, &what, &err);
	http_answer_clear(&said);
}

static void
on_called(struct job *job)
{
	CONTAINER_OF(job, struct caller, job)->is_done = true;
}

static int
result_of(enum kind kind)
{
	struct caller caller = { .job = { .run = call, .done = on_called, .owner = loop_owner(above.loop) }, .kind = kind };

	CHECK(pool_try(above.workers, &caller.job));
	CHECK(until(above.loop, until_true, &caller.is_done));
	return caller.result;
}

static uint64_t
way_of(enum kind kind)
{
	CHECK_INT(result_of(kind), 0);
	return came_over;
}

static void
begin(void)
{
	n_came = 0;
	hangs_up = false;
	above_begin(&above, 1, answer);
}

static void
end(void)
{
	above_end(&above);
	above_clear(&above);
}

/* -- Connections -------------------------------------------------------------------------------------------------------------------------------- */

TEST("all questions go over one connection that is kept, and each change over one of its own")
{
	uint64_t kept, changed;

	begin();
	kept = way_of(QUESTION_OF_JSON);
	CHECK(way_of(QUESTION) == kept);
	changed = way_of(CHANGE);
	CHECK(changed != kept);
	CHECK(way_of(QUESTION) == kept);
	CHECK(way_of(CHANGE) != changed && came_over != kept);
	CHECK(way_of(QUESTION_OF_JSON) == kept);
	end();
}

TEST("a question whose kept connection ends without an answer is asked again, and a change is not made again")
{
	static const struct {
		enum kind kind;
		int result, n_came;
	} rows[] = { { QUESTION, 0, 2 }, { QUESTION_OF_JSON, 0, 2 }, { CHANGE, -1, 1 } };

	begin();
	CHECK_INT(result_of(QUESTION), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		n_came = 0;
		hangs_up = true;
		CHECK_INT(result_of(rows[i].kind), rows[i].result);
		CHECK_INT(n_came, rows[i].n_came);
	}
	end();
}
