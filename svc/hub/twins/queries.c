/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that read twins (queries.h). */
#include "hub/twins/queries.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define READERS 2
#define WAITING_MAX 256
#define SLICE_MS 50
#define PATIENCE_MS 20000 /* clients give up after a minute at the latest; a page or a refusal is better */

struct queries {
	struct pool *pool;
	struct db *readers[READERS]; /* the free ones; as many as threads */
	size_t n_free;
	pthread_mutex_t lock;
	atomic_bool stopping;
	struct registry *registry;
	struct directory *directory;
	const char *const *indexed_paths;
	size_t n_indexed_paths;
};

struct queries *
queries_open(const char *path, struct registry *registry, struct directory *directory, const char *const *indexed_paths,
	size_t n_indexed_paths, struct err *err)
{
	struct queries *queries = NEW(queries);

	queries->registry = registry;
	queries->directory = directory;
	queries->indexed_paths = indexed_paths;
	queries->n_indexed_paths = n_indexed_paths;
	pthread_mutex_init(&queries->lock, NULL);
	for (; queries->n_free < READERS; queries->n_free++) {
		queries->readers[queries->n_free] = db_open_reader(path, err);
		if (!queries->readers[queries->n_free]) {
			queries_free(queries);
			return NULL;
		}
	}
	queries->pool = pool_new("query", READERS, WAITING_MAX);
	return queries;
}

void
queries_stop(struct queries *queries)
{
	if (!queries)
		return;
	atomic_store(&queries->stopping, true);
	pool_free(queries->pool);
	queries->pool = NULL;
}

void
queries_free(struct queries *queries)
{
	if (!queries)
		return;
	queries_stop(queries);
	for (size_t i = 0; i < queries->n_free; i++)
		db_close(queries->readers[i]);
	pthread_mutex_destroy(&queries->lock);
	mem_free(queries);
}

static struct db *
take_reader(struct queries *queries)
{
	struct db *db;

	pthread_mutex_lock(&queries->lock);
	db = queries->readers[--queries->n_free];
	pthread_mutex_unlock(&queries->lock);
	return db;
}

static void
give_reader(struct queries *queries, struct db *db)
{
	pthread_mutex_lock(&queries->lock);
	queries->readers[queries->n_free++] = db;
	pthread_mutex_unlock(&queries->lock);
}

static void
run_slice(struct job *job)
{
	struct query_call *call = CONTAINER_OF(job, struct query_call, job);
	struct queries *queries = call->queries;
	struct twin_row_context context = { .registry = queries->registry, .directory = queries->directory };

	context.db = take_reader(queries);
	call->end = QUERY_DONE;
	if (twin_walk_go(&call->walk, &context, clock_boot_ms() + SLICE_MS, &call->err) < 0)
		call->end = QUERY_BROKEN;
	give_reader(queries, context.db);
}

static void
finish(struct query_call *call)
{
	if (call->end == QUERY_DONE && call->walk.state == TWIN_WALK_GOING && call->walk.groups)
		call->end = QUERY_TOO_SLOW;
	log_debug("query: %lld twins visited: %s", (long long)call->walk.n_visited, call->text);
	call->done(call);
}

static void
slice_done(struct job *job)
{
	struct query_call *call = CONTAINER_OF(job, struct query_call, job);

	if (call->is_wanted && !call->is_wanted(call)) {
		log_debug("query given up after %lld twins, nobody waits: %s", (long long)call->walk.n_visited, call->text);
		call->dropped(call);
		return;
	}
	if (call->end == QUERY_DONE && call->walk.state == TWIN_WALK_GOING && clock_boot_ms() < call->deadline &&
		queries_submit(call, job->owner))
		return;
	finish(call);
}

int
queries_prepare(
	struct queries *queries, struct query_call *call, const char *text, const char *cursor, int64_t max, struct err *err)
{
	struct query *query = query_parse(text, err);

	call->queries = queries;
	if (!query)
		return -1;
	call->text = mem_text(text);
	return twin_walk_init(&call->walk, query, text, queries->indexed_paths, queries->n_indexed_paths, cursor, max, err);
}

bool
queries_submit(struct query_call *call, struct owner *owner)
{
	if (call->deadline == 0)
		call->deadline = clock_boot_ms() + PATIENCE_MS;
	call->job = (struct job){ .run = run_slice, .done = slice_done, .owner = owner };
	return !atomic_load(&call->queries->stopping) && pool_try(call->queries->pool, &call->job);
}

void
query_call_clear(struct query_call *call)
{
	if (call->walk.query)
		twin_walk_clear(&call->walk);
	mem_free(call->text);
}
