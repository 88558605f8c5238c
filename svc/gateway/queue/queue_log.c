/* SPDX-License-Identifier: Apache-2.0 */
/* Saving goes segment by segment, because behind a damaged record only the next segment says where records begin.  The new queue is made beside the old one, and takes its
 * place by two renames; a crash before the second is made good at the next start, an earlier one leaves things as they were. */
#include "gateway/queue/queue_log.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/gauges/noted.h"
#include "gateway/queue/queue_lines.h"
#include "gateway/queue/queue_reader_inside.h"
#include "store/segment.h"

/* Completions come on the writer's thread: there is no loop yet. */
struct saving {
	struct owner owner;
	struct event_log *log;
	const char *dir;
	size_t segment_bytes, n;
	bool failed;
};

struct record {
	struct event_append append;
	struct saving *saving;
};

static void
run_at_once(struct owner *owner, struct post *post)
{
	(void)owner;
	post->run(post);
}

static void
on_saved(struct event_append *append, bool ok)
{
	struct record *record = CONTAINER_OF(append, struct record, append);

	if (!ok)
		record->saving->failed = true;
	mem_free(record);
}

static int
open_fresh(struct saving *s, struct err *err)
{
	s->log = event_log_open(&(struct event_log_config){ .dir = s->dir, .segment_bytes = s->segment_bytes }, err);
	return s->log ? 0 : -1;
}

/* Waits for what was given to the disk. */
static void
close_fresh(struct saving *s)
{
	event_log_close(s->log);
	s->log = NULL;
}

static int
save_record(struct saving *s, const uint8_t *data, size_t len, struct err *err)
{
	struct record *record = NEW(record);
	int done;

	record->append = (struct event_append){ .done = on_saved, .owner = &s->owner };
	record->saving = s;
	done = event_log_append(s->log, &record->append, data, len, err);
	if (done < 0 && err->kind == ERR_LIMIT) { /* too much waits for the disk */
		close_fresh(s);
		*err = (struct err)ERR_INIT;
		done = open_fresh(s, err) < 0 ? -1 : event_log_append(s->log, &record->append, data, len, err);
	}
	if (done < 0)
		mem_free(record);
	else
		s->n++;
	return done;
}

/* From `from` up to where it ends or is damaged; its own records only. */
static int
save_segment(struct saving *s, const char *dir, uint64_t first, uint64_t end, uint64_t from, struct err *err)
{
	struct err damage = ERR_INIT;
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = first }, &damage);
	struct event_record record;
	int done = 0;

	while (reader && done == 0 && event_reader_next(reader, &record, &damage) == 1 && record.place.offset < end)
		if (record.place.offset >= from)
			done = save_record(s, record.data, record.len, err);
	event_reader_close(reader);
	if (damage.kind != ERR_NONE)
		log_error("%s", damage.text);
	return done;
}

static int
save_segments(struct saving *s, const char *dir, uint64_t from, struct err *err)
{
	uint64_t *firsts = NULL;
	size_t n = 0;
	int done = segment_list(dir, &firsts, &n, err);

	for (size_t i = 0; done == 0 && i < n; i++) {
		uint64_t end = i + 1 < n ? firsts[i + 1] : UINT64_MAX;

		if (end > from)
			done = save_segment(s, dir, firsts[i], end, from, err);
	}
	mem_free(firsts);
	return done;
}

void
queue_log_remove_rest(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

char *
queue_log_set_aside(const char *path)
{
	OWN_TEXT gone = mem_textf("%s" QUEUE_LOG_GONE, path);

	if (file_exists(gone))
		queue_log_remove_rest(gone); /* as a crash has left it */
	return rename(path, gone) == 0 ? GIVE(gone) : NULL;
}

void
queue_log_remove(const char *path)
{
	OWN_TEXT gone = queue_log_set_aside(path);

	if (gone)
		queue_log_remove_rest(gone);
}

static int
replace(const char *dir, const char *fresh, const char *aside, struct err *err)
{
	OWN_TEXT parent = file_join(dir, "..");

	if (rename(dir, aside) < 0 || rename(fresh, dir) < 0)
		return err_errno(err, "setting the queue %s aside", dir);
	return file_sync_dir(parent, err);
}

static int
salvage(const char *dir, const char *fresh, size_t segment_bytes, struct err *err)
{
	OWN_TEXT aside = mem_textf("%s.damaged-%lld", dir, (long long)clock_wall());
	struct saving s = { .owner.post = run_at_once, .dir = fresh, .segment_bytes = segment_bytes };
	struct err no_cursor = ERR_INIT;
	uint64_t from = 0;
	int done;

	queue_log_remove(fresh); /* what an earlier attempt left */
	if (event_cursor_load(dir, QUEUE_CURSOR, &from, &no_cursor) < 0)
		from = 0; /* rather twice than not at all */
	done = open_fresh(&s, err);
	if (done == 0)
		done = save_segments(&s, dir, from, err);
	close_fresh(&s);
	if (done == 0 && s.failed)
		done = err_set(err, ERR_UNAVAILABLE, "cannot write to %s", fresh);
	if (done < 0 || replace(dir, fresh, aside, err) < 0)
		return -1;
	log_error("the queue was damaged: %zu messages were saved from it; whatever else was in it is left in %s", s.n, aside);
	return 0;
}

/* -- Looking through it --------------------------------------------------------------------------------------------------------------------- */

/* What a reader will read: all from `front` on, but of the lines that were behind from their positions on. */
struct rest {
	uint64_t front;
	struct map *positions; /* of uint64_t, by the lines' names */
};

static void
note_line(void *arg, const char *name, uint64_t position)
{
	struct rest *rest = arg;

	if (!map_find_text(rest->positions, name))
		map_put_text(rest->positions, name, mem_dup(&position, sizeof(position)));
}

static void
rest_load(struct rest *rest, const char *dir, uint64_t cursor)
{
	*rest = (struct rest){ .front = cursor, .positions = map_new() };
	if (!queue_lines_load(dir, cursor, &rest->front, note_line, rest))
		rest->front = cursor;
}

static void
rest_clear(struct rest *rest)
{
	size_t at = 0;
	void *position;

	while (map_next(rest->positions, &at, NULL, NULL, &position))
		mem_free(position);
	map_free(rest->positions);
}

static bool
rest_has(const struct rest *rest, uint64_t offset, const struct message *m)
{
	char room[QUEUE_LINE_NAME_MAX];
	const uint64_t *position = NULL;

	if (map_count(rest->positions) > 0) {
		struct slice name = queue_line_name(false, m, room);

		position = map_find(rest->positions, name.text, name.len);
	}
	return offset >= (position ? *position : rest->front);
}

/* A message that can't be read is left out when its turn comes; one of a newer version is for a newer program. */
static int
check_message(const struct event_record *record, const struct rest *rest, struct queue_share *waiting, struct err *err)
{
	struct err why = ERR_INIT;
	struct message m;

	if (message_decode(&m, record->data, record->len, &why) < 0) {
		if (why.kind != ERR_INVALID)
			return 0;
		*err = why;
		return -1;
	}
	if (waiting && rest_has(rest, record->place.offset, &m))
		queue_share_add(waiting, queue_share_sender(waiting, m.device_id, m.module_id), queue_share_size(&m));
	return 0;
}

/* The log looks at the last segment when it is opened; here all is read that is still to be sent. */
static int
check(const char *dir, struct queue_share *waiting, struct err *err)
{
	struct event_reader *reader = NULL;
	struct event_start start = { .kind = EVENT_AT_OFFSET };
	struct event_record record;
	struct rest rest;
	int got = -1;

	if (event_cursor_load(dir, QUEUE_CURSOR, &start.value, err) < 0)
		return -1;
	rest_load(&rest, dir, start.value);
	reader = event_reader_open(dir, &start, err);
	while (reader && (got = event_reader_next(reader, &record, err)) == 1)
		if (check_message(&record, &rest, waiting, err) < 0) {
			got = err_wrap(err, "%s", dir);
			break;
		}
	event_reader_close(reader);
	rest_clear(&rest);
	return got;
}

static struct message_log *
open_whole(const char *dir, size_t segment_bytes, struct queue_share *waiting, struct err *err)
{
	struct message_log_config config = {
		.log = { .dir = dir, .segment_bytes = segment_bytes },
		.on_trouble = noted_storing,
	};
	struct message_log *log = message_log_open(&config, err);

	if (!log || check(dir, waiting, err) == 0)
		return log;
	message_log_free(log);
	return NULL;
}

struct message_log *
queue_log_open(const char *dir, size_t segment_bytes, struct queue_share *waiting, struct err *err)
{
	OWN_TEXT fresh = mem_textf("%s.saved", dir);
	struct message_log *log;

	if (!file_exists(dir) && file_exists(fresh) && rename(fresh, dir) < 0)
		return err_null(err, ERR_UNAVAILABLE, "%s: %s", fresh, strerror(errno));
	log = open_whole(dir, segment_bytes, waiting, err);
	if (log || err->kind != ERR_BROKEN)
		return log;
	log_error("%s", err->text);
	*err = (struct err)ERR_INIT;
	if (waiting)
		queue_share_clear(waiting);
	return salvage(dir, fresh, segment_bytes, err) == 0 ? open_whole(dir, segment_bytes, waiting, err) : NULL;
}
