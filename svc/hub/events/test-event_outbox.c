/* SPDX-License-Identifier: Apache-2.0 */
/* Events with the changes that they tell of: what is kept is told, once, and what is undone is not. */
#include "hub/events/event_outbox.h"

#include "base/mem.h"
#include "t.h"

/* A store, a log and a loop on the test's thread, which is the worker as well. */
struct fixture {
	char path[128], log_dir[128];
	struct loop *loop;
	struct registry_store *store;
	struct registry *registry;
	struct message_log *log;
	struct event_outbox *outbox;
};

static void
say_nothing(const char *why)
{
	(void)why;
}

static void
open_log(struct fixture *f)
{
	struct message_log_config config = { .log.dir = f->log_dir, .on_trouble = say_nothing };
	struct err err = ERR_INIT;

	f->log = message_log_open(&config, &err);
	if (!f->log)
		fail_msg("%s", err.text);
}

static struct fixture
fixture_new(const char *name)
{
	struct fixture f = { .loop = loop_new("test") };
	struct err err = ERR_INIT;

	snprintf(f.path, sizeof(f.path), "%s/%s.sqlite", T_TMPDIR, name);
	snprintf(f.log_dir, sizeof(f.log_dir), "%s/%s-events", T_TMPDIR, name);
	f.store = registry_store_open(f.path, &err);
	f.registry = registry_open(f.store, NULL, &err);
	open_log(&f);
	return f;
}

static void
begin(struct fixture *f)
{
	struct err err = ERR_INIT;

	f->outbox = event_outbox_open(f->registry, f->log, f->log_dir, f->loop, &err);
	if (!f->outbox)
		fail_msg("%s", err.text);
}

static void
fixture_end(struct fixture *f)
{
	event_outbox_stop(f->outbox);
	message_log_stop(f->log);
	loop_free(f->loop);
	event_outbox_close(f->outbox);
	registry_close(f->registry);
	registry_store_close(f->store);
	message_log_free(f->log);
}

static struct message
about(const char *device_id)
{
	return (struct message){ .source = MESSAGE_LIFECYCLE, .enqueued_ms = 1000, .device_id = slice_of(device_id) };
}

static void
put(struct fixture *f, const char *device_id)
{
	struct message message = about(device_id);
	struct err err = ERR_INIT;

	CHECK_OK(event_outbox_put(f->outbox, &message, &err), err);
}

static int64_t
rows(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct db_stmt *row = db_query(registry_store_db(f->store), &err, "SELECT count(*) FROM outbox", "");
	int64_t n = db_next(row, &err) == 1 ? db_int(row, 0) : -1;

	db_done(row);
	return n;
}

/* Who the log tells of, in order, once it has stopped. */
static void
check_log(struct fixture *f, const char *expected)
{
	struct event_start start = { .kind = EVENT_AT_OFFSET };
	CLEAR(buf) text = BUF_INIT(1024);
	struct err err = ERR_INIT;
	struct event_record record;
	struct event_reader *reader;
	struct message message;

	message_log_stop(f->log);
	reader = event_reader_open(f->log_dir, &start, &err);
	while (event_reader_next(reader, &record, &err) == 1) {
		CHECK_OK(message_decode(&message, record.data, record.len, &err), err);
		buf_putf(&text, "%.*s ", SLICE_FMT(message.device_id));
	}
	event_reader_close(reader);
	CHECK_STR(buf_text(&text), expected);
}

TEST("an event is told when its change is kept, in the order of the changes, and never when that is undone")
{
	struct fixture f = fixture_new("kept");
	struct err err = ERR_INIT;

	begin(&f);
	CHECK_OK(registry_store_begin(f.store, &err), err);
	put(&f, "undone");
	registry_store_end(f.store, -1, &err);
	CHECK_OK(registry_store_begin(f.store, &err), err);
	put(&f, "a");
	CHECK_OK(registry_store_begin(f.store, &err), err);
	put(&f, "undone-alone");
	registry_store_end(f.store, -1, &err);
	put(&f, "b");
	CHECK_OK(registry_store_end(f.store, 0, &err), err);
	CHECK_OK(registry_store_begin(f.store, &err), err);
	put(&f, "c");
	CHECK_OK(registry_store_end(f.store, 0, &err), err);
	CHECK_INT(rows(&f), 3);
	check_log(&f, "a b c ");
	fixture_end(&f);
}

static void
leave_row(struct fixture *f, int64_t number, const char *device_id)
{
	CLEAR(buf) record = BUF_INIT(1024);
	struct message message = about(device_id);
	struct err err = ERR_INIT;

	message_encode(&record, &message);
	CHECK_OK(db_run(registry_store_db(f->store), &err, "INSERT INTO outbox VALUES (?, ?)", "ib", number, record.data,
			 record.len),
		err);
}

static void
tell(struct fixture *f, const char *device_id)
{
	struct message message = about(device_id);

	message_log_tell(f->log, loop_owner(f->loop), &message, NULL, NULL);
}

TEST("of what an earlier hub left the log gets what it has not got, and numbers go on behind it")
{
	struct fixture f = fixture_new("left");
	struct err err = ERR_INIT;

	tell(&f, "telemetry");
	tell(&f, "a");
	tell(&f, "telemetry");
	tell(&f, "b");
	message_log_stop(f.log); /* all of it is durable */
	loop_free(f.loop);	 /* which runs the completions */
	message_log_free(f.log);
	f.loop = loop_new("test");
	open_log(&f);
	leave_row(&f, 7, "a");
	leave_row(&f, 8, "b");
	leave_row(&f, 9, "c");
	begin(&f);
	CHECK_OK(registry_store_begin(f.store, &err), err);
	put(&f, "d");
	CHECK_OK(registry_store_end(f.store, 0, &err), err);
	check_log(&f, "telemetry a telemetry b c d ");
	fixture_end(&f);
}

TEST("what the log has is forgotten when the hub stops in order, and what it has not is told at the next start")
{
	struct fixture f = fixture_new("refused");
	struct err err = ERR_INIT;

	begin(&f);
	CHECK_OK(registry_store_begin(f.store, &err), err);
	put(&f, "a");
	CHECK_OK(registry_store_end(f.store, 0, &err), err);
	event_outbox_stop(f.outbox);
	message_log_stop(f.log);
	loop_free(f.loop); /* which runs the completions */
	event_outbox_close(f.outbox);
	CHECK_INT(rows(&f), 0);
	message_log_free(f.log);
	f.loop = loop_new("test");
	open_log(&f);
	leave_row(&f, 1, "b");
	begin(&f);
	check_log(&f, "a b ");
	fixture_end(&f);
}

TEST("a row that is no record is damage, and said so")
{
	struct fixture f = fixture_new("damaged");
	struct err err = ERR_INIT;

	CHECK_OK(db_run(registry_store_db(f.store), &err, "INSERT INTO outbox VALUES (1, 'x')", ""), err);
	CHECK(!event_outbox_open(f.registry, f.log, f.log_dir, f.loop, &err));
	CHECK(err.kind != ERR_NONE);
	fixture_end(&f);
}
