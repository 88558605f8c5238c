/* SPDX-License-Identifier: Apache-2.0 */
/* Marks and the events that they are stored with: duplicates, and what is known after an end and after a crash. */
#include "hub/events/marks.h"

#include "base/file.h"
#include "base/mem.h"
#include "t.h"

#define LOG "00c0ffee00c0ffee"
#define LOOK_BACK 20

struct hub {
	struct loop *loop;
	struct message_log *events;
	struct marks *marks;
	struct message_lane *lane;
	char *dir, *events_dir;
	bool is_done, is_ok;
};

static void
on_trouble(const char *why)
{
	(void)why;
}

static void
start(struct hub *hub, const char *dir)
{
	struct err err = ERR_INIT;

	*hub = (struct hub){ .loop = loop_new("test"), .dir = mem_text(dir), .events_dir = file_join(dir, "events") };
	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	hub->events = message_log_open(
		&(struct message_log_config){ .log = { .dir = hub->events_dir, .n_partitions = 2 }, .on_trouble = on_trouble },
		&err);
	CHECK(hub->events);
	message_log_add_lane(hub->events, loop_owner(hub->loop));
	hub->lane = message_log_lane(hub->events, loop_owner(hub->loop));
	hub->marks = marks_open(&(struct marks_config){ .state_dir = hub->dir,
					.events_dir = hub->events_dir,
					.events = message_log_records(hub->events),
					.look_back = LOOK_BACK },
		&err);
	if (!hub->marks)
		fail_msg("%s", err.text);
}

static void
end(struct hub *hub)
{
	marks_stop(hub->marks);
	message_log_stop(hub->events);
	loop_free(hub->loop);
	marks_close(hub->marks);
	message_log_free(hub->events);
	mem_free(hub->dir);
	mem_free(hub->events_dir);
}

static void
on_done(void *arg, bool ok)
{
	struct hub *hub = arg;

	hub->is_done = true;
	hub->is_ok = ok;
}

/* How many events there are after it. */
static uint64_t
comes(struct hub *hub, const char *device, const char *mark)
{
	struct message m = { .source = MESSAGE_TELEMETRY, .enqueued_ms = 1, .device_id = slice_of(device), .mark = slice_of(mark) };

	hub->is_done = false;
	marks_store(hub->marks, hub->lane, &m, on_done, hub);
	if (!hub->is_done)
		loop_run_until(hub->loop, &hub->is_done);
	CHECK(hub->is_ok);
	return event_log_next(message_log_records(hub->events));
}

TEST("a message that comes again is acknowledged and not stored, the same number of another device or log is")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "again");
	struct hub hub;

	start(&hub, dir);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 1);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 1);
	CHECK_INT(marks_n_duplicates(hub.marks), 1);
	CHECK_INT(comes(&hub, "dev2", LOG ".5.0.1000"), 2);
	CHECK_INT(comes(&hub, "dev1", "ffffffffffffffff.5.0.1000"), 3);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 3);
	CHECK_INT(comes(&hub, "dev1", LOG ".6.5.1001"), 4);
	end(&hub);
}

TEST("what is no mark, or none at all, is stored each time")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "none");
	struct hub hub;

	start(&hub, dir);
	CHECK_INT(comes(&hub, "dev1", ""), 1);
	CHECK_INT(comes(&hub, "dev1", ""), 2);
	CHECK_INT(comes(&hub, "dev1", "../../etc/passwd"), 3);
	CHECK_INT(comes(&hub, "dev1", "../../etc/passwd"), 4);
	end(&hub);
}

TEST("it is known after a crash, from the events, and after an end, whatever was saved before")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "crash");
	OWN_TEXT path = file_join(dir, "marks");
	OWN_TEXT kept = file_join(T_TMPDIR, "kept");
	struct hub hub;

	start(&hub, dir);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 1);
	CHECK_INT(rename(path, kept), 0);
	CHECK_INT(comes(&hub, "dev1", LOG ".6.5.1000"), 2);
	end(&hub);
	CHECK_INT(rename(kept, path), 0); /* as it was when it ended by itself */
	for (int i = 0; i < 2; i++) {
		start(&hub, dir);
		CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 2);
		CHECK_INT(comes(&hub, "dev1", LOG ".6.5.1000"), 2);
		end(&hub);
	}
}

TEST("events that were begun anew are looked through from their beginning")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "anew");
	OWN_TEXT path = file_join(dir, "marks");
	struct err err = ERR_INIT;
	struct hub hub;

	start(&hub, dir);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 1);
	end(&hub);
	CHECK_OK(file_save(path, "1 700\n.\n", 8, 0600, &err), err);
	start(&hub, dir);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 1);
	end(&hub);
}

TEST("without a file the newest events are looked through, and no more")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "bounded");
	OWN_TEXT path = file_join(dir, "marks");
	struct hub hub;

	start(&hub, dir);
	comes(&hub, "old", LOG ".5.0.1000");
	comes(&hub, "new", LOG ".5.0.1000");
	for (int i = 1; i < LOOK_BACK; i++)
		comes(&hub, "dev1", "");
	CHECK_INT(comes(&hub, "old", LOG ".5.0.1000"), LOOK_BACK + 1);
	end(&hub);
	CHECK_INT(remove(path), 0);
	start(&hub, dir);
	CHECK_INT(comes(&hub, "new", LOG ".5.0.1000"), LOOK_BACK + 1);
	CHECK_INT(comes(&hub, "old", LOG ".5.0.1000"), LOOK_BACK + 2);
	end(&hub);
}

/* Of many devices, each in its part of the table, while that is being saved. */
TEST("what is stored while the table is saved is known afterwards, from the table or from the events behind it")
{
	enum { DEVICES = 200 };
	OWN_TEXT dir = file_join(T_TMPDIR, "meanwhile");
	OWN_TEXT path = file_join(dir, "marks");
	OWN_TEXT kept = file_join(T_TMPDIR, "kept-meanwhile");
	struct pool *pool = pool_new("saver", 1, 1);
	struct hub hub;
	char name[16];
	int round = 0;

	start(&hub, dir);
	marks_watch(hub.marks, hub.loop, pool);
	for (; round < 2; round++)
		for (int i = 0; i < DEVICES; i++) {
			OWN_TEXT mark = mem_textf(LOG ".%d.%d.1000", round + 1, round);

			snprintf(name, sizeof(name), "dev%d", i);
			CHECK_INT(comes(&hub, name, mark), round * DEVICES + i + 1);
			if (i % 20 == 0)
				marks_save_soon(hub.marks);
		}
	pool_free(pool);
	CHECK_INT(rename(path, kept), 0); /* as a crash would leave it */
	end(&hub);
	CHECK_INT(rename(kept, path), 0);
	start(&hub, dir);
	for (int i = 0; i < DEVICES; i++) {
		OWN_TEXT mark = mem_textf(LOG ".%d.%d.1000", round, round - 1);

		snprintf(name, sizeof(name), "dev%d", i);
		CHECK_INT(comes(&hub, name, mark), round * DEVICES);
	}
	end(&hub);
}

TEST("who is deleted is forgotten")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "gone");
	struct hub hub;

	start(&hub, dir);
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 1);
	marks_forget(hub.marks, "dev1");
	CHECK_INT(comes(&hub, "dev1", LOG ".5.0.1000"), 2);
	end(&hub);
}

TEST("a file that is cut off is said so, not passed over")
{
	OWN_TEXT dir = file_join(T_TMPDIR, "damaged");
	OWN_TEXT path = file_join(dir, "marks");
	struct err err = ERR_INIT;
	struct hub hub;

	start(&hub, dir);
	CHECK_OK(file_save(path, "1 0\n" LOG " 5 1000 de", 30, 0600, &err), err);
	CHECK(!marks_open(
		&(struct marks_config){ .state_dir = dir, .events_dir = hub.events_dir, .events = message_log_records(hub.events) },
		&err));
	CHECK_ERR(err, ERR_BROKEN, "is cut off");
	end(&hub);
}
