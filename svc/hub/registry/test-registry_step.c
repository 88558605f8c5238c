/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that share a transaction: what one of them does wrong is its own matter, and nobody hears of anything before it is durable. */
#include <pthread.h>

#include "base/mem.h"
#include "hub/commands/command_queue.h"
#include "hub/registry/registry.h"
#include "hub/twins/twin.h"
#include "t.h"
#include "wire/json.h"

/* Nobody waits: the posts stay where they are until the worker has ended. */
struct inbox {
	struct owner owner;
	struct post *first;
	pthread_mutex_t lock;
};

static void
inbox_post(struct owner *owner, struct post *post)
{
	struct inbox *inbox = CONTAINER_OF(owner, struct inbox, owner);

	pthread_mutex_lock(&inbox->lock);
	post->next = inbox->first;
	inbox->first = post;
	pthread_mutex_unlock(&inbox->lock);
}

/* dev1 with a worker that does nothing before the gate is open. */
struct fixture {
	char path[128];
	struct registry_store *store;
	struct pool *worker;
	struct registry *registry;
	struct twins *twins;
	struct command_queue *commands;
	struct inbox inbox;
	struct job gate;
	pthread_mutex_t closed;
	int n_told, n_ready, n_seen; /* n_seen: reported versions that another connection saw when the first watcher was told */
};

static void
pass_gate(struct job *job)
{
	struct fixture *f = CONTAINER_OF(job, struct fixture, gate);

	pthread_mutex_lock(&f->closed);
	pthread_mutex_unlock(&f->closed);
}

static void
do_nothing(struct job *job)
{
	(void)job;
}

/* What another process would find in the file. */
static int
versions_in_file(const struct fixture *f)
{
	struct err err = ERR_INIT;
	struct db *db = db_open_reader(f->path, &err);
	struct db_stmt *row = db_query(db, &err, "SELECT sum(reported_version) FROM twin", "");
	int n;

	CHECK_INT(db_next(row, &err), 1);
	n = (int)db_int(row, 0);
	db_done(row);
	db_close(db);
	return n;
}

static void
on_twin(void *arg, const struct twin_event *event)
{
	struct fixture *f = arg;

	(void)event;
	if (f->n_told++ == 0)
		f->n_seen = versions_in_file(f);
}

static void
on_ready(void *arg, const char *device_id, const char *module_id)
{
	struct fixture *f = arg;

	(void)device_id;
	(void)module_id;
	f->n_ready++;
}

static void
make_device(struct fixture *f)
{
	struct registry_call call = { .op = REGISTRY_PUT, .device_id = mem_text("dev1"), .wanted = identity_new("dev1", NULL) };

	registry_run(f->registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
}

static void
fixture_new(struct fixture *f, const char *name)
{
	struct err err = ERR_INIT;

	*f = (struct fixture){ .inbox = { .owner = { inbox_post }, .lock = PTHREAD_MUTEX_INITIALIZER },
		.closed = PTHREAD_MUTEX_INITIALIZER };
	snprintf(f->path, sizeof(f->path), "%s/%s.sqlite", T_TMPDIR, name);
	f->store = registry_store_open(f->path, &err);
	f->worker = pool_new("registry", 1, 100);
	f->registry = f->store ? registry_open(f->store, f->worker, &err) : NULL;
	f->commands = f->registry ? command_queue_open(f->registry, &err) : NULL;
	if (!f->commands)
		fail_msg("%s", err.text);
	command_queue_watch(f->commands, on_ready, f);
	f->twins = twins_new(f->registry);
	twins_watch(f->twins, on_twin, f);
	make_device(f);
	pthread_mutex_lock(&f->closed);
	f->gate = (struct job){ .run = pass_gate, .done = do_nothing, .owner = &f->inbox.owner };
	CHECK(registry_work(f->registry, &f->gate));
}

/* All that was submitted has run when this returns. */
static void
open_gate(struct fixture *f)
{
	pthread_mutex_unlock(&f->closed);
	pool_free(f->worker);
	f->worker = NULL;
}

static void
fixture_end(struct fixture *f)
{
	twins_free(f->twins);
	command_queue_close(f->commands);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static void
report(struct fixture *f, struct twin_call *call, const char *reported)
{
	struct err err = ERR_INIT;

	*call = (struct twin_call){ .device_id = mem_text("dev1") };
	call->reported = reported ? json_parse(reported, strlen(reported), &err) : NULL;
	CHECK(twins_submit(f->twins, call, &f->inbox.owner));
}

static void
send(struct fixture *f, struct command_call *call)
{
	*call = (struct command_call){ .op = COMMAND_ADD, .device_id = mem_text("dev1"), .command = { .payload = slice_of("go") } };
	CHECK(command_queue_submit(f->commands, call, &f->inbox.owner));
}

TEST("what waits together is durable together before anybody hears of it, and what is refused is refused alone")
{
	struct fixture f;
	struct twin_call calls[4];
	struct command_call command;

	fixture_new(&f, "together");
	report(&f, &calls[0], "{\"a\":1}");
	report(&f, &calls[1], "{\"a.b\":1}");
	send(&f, &command);
	report(&f, &calls[2], "{\"b\":2}");
	report(&f, &calls[3], NULL);
	open_gate(&f);
	CHECK_INT(calls[0].answer, TWIN_OK);
	CHECK_INT(calls[0].twin->reported.version, 2);
	CHECK_INT(calls[1].answer, TWIN_INVALID);
	CHECK_INT(command.answer, COMMAND_OK);
	CHECK_INT(calls[2].answer, TWIN_OK);
	CHECK_INT(calls[3].twin->reported.version, 3);
	CHECK(json_object_get(calls[3].twin->reported.values, "a") && json_object_get(calls[3].twin->reported.values, "b"));
	CHECK_INT(f.n_told, 2);
	CHECK_INT(f.n_seen, 3); /* the first one was told when the last one was durable: it is one transaction */
	CHECK_INT(f.n_ready, 1);
	for (size_t i = 0; i < COUNT(calls); i++)
		twin_call_clear(&calls[i]);
	command_call_clear(&command);
	fixture_end(&f);
}

TEST("when the transaction can't be kept, each one fails, nobody hears of anything, and nothing is left")
{
	struct fixture f;
	struct twin_call calls[3];
	struct command_call command;
	struct err err = ERR_INIT;

	fixture_new(&f, "lost");
	/* A trigger does what SQLite does by itself where a disk fails in the middle. */
	CHECK_OK(db_run(registry_store_db(f.store), &err,
			 "CREATE TRIGGER broken BEFORE INSERT ON twin WHEN NEW.reported LIKE '%break%' BEGIN SELECT "
			 "RAISE(ROLLBACK, 'the disk is broken'); END",
			 ""),
		err);
	report(&f, &calls[0], "{\"a\":1}");
	send(&f, &command);
	report(&f, &calls[1], "{\"break\":1}");
	report(&f, &calls[2], "{\"b\":2}");
	open_gate(&f);
	for (size_t i = 0; i < COUNT(calls); i++) {
		CHECK_INT(calls[i].answer, TWIN_FAILED);
		twin_call_clear(&calls[i]);
	}
	CHECK_INT(command.answer, COMMAND_FAILED);
	CHECK_INT(f.n_told + f.n_ready, 0);
	CHECK_INT(command_queue_count(f.commands, "dev1", NULL), 0);
	CHECK_INT(versions_in_file(&f), 0);
	command_call_clear(&command);
	fixture_end(&f);
}

TEST("a queue of commands is full at its fiftieth, however many are sent at once")
{
	struct fixture f;
	struct command_call calls[COMMAND_PENDING_MAX + 2];
	size_t n_taken = 0;

	fixture_new(&f, "full");
	for (size_t i = 0; i < COUNT(calls); i++)
		send(&f, &calls[i]);
	open_gate(&f);
	for (size_t i = 0; i < COUNT(calls); i++) {
		n_taken += calls[i].answer == COMMAND_OK;
		CHECK(calls[i].answer == COMMAND_OK || calls[i].answer == COMMAND_QUEUE_FULL);
		command_call_clear(&calls[i]);
	}
	CHECK_INT(n_taken, COMMAND_PENDING_MAX);
	CHECK_INT(command_queue_count(f.commands, "dev1", NULL), COMMAND_PENDING_MAX);
	fixture_end(&f);
}
