/* SPDX-License-Identifier: Apache-2.0 */
/* The file "marks": "1 OFFSET" and then "LOG LAST STORED NAME" each on a line, "." at the end, replaced as a whole.  OFFSET is a place before which all that is stored is counted in: messages on
 * their way to the disk are counted in two halves, and a half that was left is over when none of it is on its way any more; then the place that it was left at is such a one.
 *
 * All loops wait for the table while it is looked at, so it is in parts, and one after the other is written down.  What is counted in meanwhile may be in it or not: it is behind OFFSET. */
#include "hub/events/marks.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "auth/identity.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/events/mark_track.h"

#define FILE_NAME "marks"
#define FILE_MAX (256 << 20)
#define SAVE_EVERY_MS 60000
#define LOGS_MAX 4 /* that are remembered of one device: one a priority that its gateway's routes name */
#define PARTS 256
#define LOOK_BACK 1000000
#define NAME_MAX_LEN (2 * IDENTITY_ID_MAX + 1)

struct entry {
	char *name;
	struct mark_track tracks[LOGS_MAX]; /* the one that was used last is first */
};

struct marks {
	char *path, *events_dir;
	struct event_log *events; /* NULL: stopped */
	pthread_mutex_t lock;	  /* of all that follows */
	struct map *part[PARTS];  /* of the entries, by their names */
	uint64_t place[2];	  /* at which each half was begun */
	size_t n_on_the_way[2];
	int half;
	bool is_changed;
	atomic_ullong n_duplicates;
	struct loop *loop;
	struct pool *worker;
	struct timer timer;
	struct job job;
	bool is_saving;
};

/* -- Who and where --------------------------------------------------------------------------------------------------------------------------- */

static struct map *
part_of(struct marks *m, const char *name)
{
	return m->part[map_hash(name, strlen(name)) % PARTS];
}

static struct entry *
entry_get(struct marks *m, const char *name)
{
	struct map *part = part_of(m, name);
	struct entry *e = map_find_text(part, name);

	if (e)
		return e;
	e = NEW(entry);
	e->name = mem_text(name);
	map_put_text(part, e->name, e);
	return e;
}

static void
entry_free(struct entry *e)
{
	if (!e)
		return;
	mem_free(e->name);
	mem_free(e);
}

/* The log's; a new one takes the place of the one that was not used for longest. */
static struct mark_track *
track_of(struct entry *e, const char *log)
{
	struct mark_track found = { 0 };
	size_t i = 0;

	while (i < LOGS_MAX - 1 && !text_is(e->tracks[i].log, log))
		i++;
	if (i == 0 && text_is(e->tracks[0].log, log))
		return &e->tracks[0];
	found = e->tracks[i];
	if (!text_is(found.log, log)) {
		found = (struct mark_track){ 0 };
		snprintf(found.log, sizeof(found.log), "%s", log);
	}
	memmove(&e->tracks[1], &e->tracks[0], i * sizeof(e->tracks[0]));
	e->tracks[0] = found;
	return &e->tracks[0];
}

static char *
name_of(const struct message *message)
{
	return mem_textf(
		"%.*s%s%.*s", SLICE_FMT(message->device_id), message->module_id.len > 0 ? "/" : "", SLICE_FMT(message->module_id));
}

/* -- Storing ----------------------------------------------------------------------------------------------------------------------------------- */

struct storing {
	struct marks *marks;
	char *name;
	struct message_mark mark;
	int half;
	void (*done)(void *arg, bool ok);
	void *arg;
};

static enum mark_answer
take(struct marks *m, struct storing *s)
{
	enum mark_answer answer;

	pthread_mutex_lock(&m->lock);
	answer = mark_track_take(track_of(entry_get(m, s->name), s->mark.log), &s->mark);
	if (answer == MARK_NEW) {
		s->half = m->half;
		m->n_on_the_way[s->half]++;
		m->is_changed = true;
	}
	pthread_mutex_unlock(&m->lock);
	return answer;
}

static void
on_stored(void *arg, bool ok)
{
	struct storing *s = arg;
	struct marks *m = s->marks;

	pthread_mutex_lock(&m->lock);
	mark_track_stored(track_of(entry_get(m, s->name), s->mark.log), &s->mark, ok);
	m->n_on_the_way[s->half]--;
	pthread_mutex_unlock(&m->lock);
	s->done(s->arg, ok);
	mem_free(s->name);
	mem_free(s);
}

void
marks_store(struct marks *m, struct message_lane *lane, const struct message *message, void (*done)(void *arg, bool ok), void *arg)
{
	struct storing *s;
	enum mark_answer answer;
	struct message_mark mark;

	if (message->mark.len == 0 || !message_mark_parse(&mark, message->mark)) {
		struct message unmarked = *message;

		unmarked.mark = (struct slice){ 0 };
		message_lane_store(lane, &unmarked, done, arg);
		return;
	}
	s = NEW(storing);
	*s = (struct storing){ .marks = m, .name = name_of(message), .mark = mark, .done = done, .arg = arg };
	answer = take(m, s);
	if (answer == MARK_NEW) {
		message_lane_store(lane, message, on_stored, s);
		return;
	}
	if (answer == MARK_DUPLICATE)
		m->n_duplicates++;
	mem_free(s->name);
	mem_free(s);
	done(arg, answer == MARK_DUPLICATE);
}

void
marks_forget(struct marks *m, const char *name)
{
	pthread_mutex_lock(&m->lock);
	entry_free(map_remove_text(part_of(m, name), name));
	m->is_changed = true;
	pthread_mutex_unlock(&m->lock);
}

uint64_t
marks_n_duplicates(const struct marks *m)
{
	return m->n_duplicates;
}

/* -- Saving -------------------------------------------------------------------------------------------------------------------------------------- */

static void
put_entry(struct buf *out, const struct entry *e)
{
	for (int i = LOGS_MAX - 1; i >= 0; i--)
		if (*e->tracks[i].log && e->tracks[i].last > 0)
			buf_putf(out, "%s %" PRIu64 " %" PRId64 " %s\n", e->tracks[i].log, e->tracks[i].last,
				e->tracks[i].stored_ms, e->name);
}

static void
put_part(struct buf *out, struct marks *m, const struct map *part)
{
	size_t at = 0;
	void *entry;

	pthread_mutex_lock(&m->lock);
	while (map_next(part, &at, NULL, NULL, &entry))
		put_entry(out, entry);
	pthread_mutex_unlock(&m->lock);
}

/* What is large is made larger while nobody waits. */
static void
put_all(struct buf *out, struct marks *m, uint64_t place)
{
	CLEAR(buf) lines = BUF_INIT(FILE_MAX);

	buf_putf(out, "1 %" PRIu64 "\n", place);
	for (size_t i = 0; i < PARTS; i++) {
		buf_reset(&lines);
		put_part(&lines, m, m->part[i]);
		buf_put(out, lines.data, lines.len);
		out->failed = out->failed || lines.failed;
	}
	buf_puts(out, ".\n");
}

/* The half that was left is over: all before the place that the present one was begun at is counted in.  It is left for the other one now. */
static void
turn(struct marks *m)
{
	m->half = 1 - m->half;
	m->place[m->half] = m->events ? event_log_next(m->events) : m->place[1 - m->half];
}

/* false: some of what is to be counted in is on its way, or there is nothing new. */
static bool
is_to_save(struct marks *m, uint64_t *place)
{
	bool is_over, is_changed;

	pthread_mutex_lock(&m->lock);
	is_over = m->n_on_the_way[1 - m->half] == 0;
	is_changed = is_over && m->is_changed;
	*place = m->place[m->half];
	if (is_changed)
		m->is_changed = m->n_on_the_way[m->half] > 0;
	if (is_over)
		turn(m);
	pthread_mutex_unlock(&m->lock);
	return is_changed;
}

static void
save(struct marks *m)
{
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	struct err err = ERR_INIT;
	uint64_t place;

	if (!is_to_save(m, &place))
		return;
	put_all(&text, m, place);
	if (text.failed)
		(void)err_set(&err, ERR_LIMIT, "%s would be larger than %d MiB", m->path, FILE_MAX >> 20);
	if (err.kind != ERR_NONE || file_save(m->path, text.data, text.len, 0600, &err) < 0)
		log_error("what is remembered of gateways' messages can't be saved, and is found again at the next start: %s",
			err.text);
}

static void
run(struct job *job)
{
	save(CONTAINER_OF(job, struct marks, job));
}

static void
on_saved(struct job *job)
{
	CONTAINER_OF(job, struct marks, job)->is_saving = false;
}

void
marks_save_soon(struct marks *m)
{
	if (m->is_saving)
		return;
	m->job = (struct job){ .run = run, .done = on_saved, .owner = loop_owner(m->loop) };
	m->is_saving = pool_try(m->worker, &m->job);
}

static void
on_timer(struct timer *timer)
{
	marks_save_soon(CONTAINER_OF(timer, struct marks, timer));
	timer_arm(timer, SAVE_EVERY_MS);
}

/* -- At the start -------------------------------------------------------------------------------------------------------------------------------- */

static bool
take_line(struct marks *m, const char *line, uint64_t *place)
{
	char log[MESSAGE_MARK_LOG_LEN + 1], name[NAME_MAX_LEN + 1];
	uint64_t last;
	int64_t stored_ms;
	struct mark_track *track;

	if (text_starts(line, "1 "))
		return sscanf(line + 2, "%" SCNu64, place) == 1;
	if (sscanf(line, "%16[0-9a-f] %" SCNu64 " %" SCNd64 " %257s", log, &last, &stored_ms, name) != 4)
		return false;
	track = track_of(entry_get(m, name), log);
	track->last = track->taken = last;
	track->stored_ms = stored_ms;
	return true;
}

/* 1: loaded, 0: there is no file. */
static int
load(struct marks *m, uint64_t *place, struct err *err)
{
	CLEAR(buf) file = BUF_INIT(FILE_MAX);
	struct slice text, line;

	if (!file_exists(m->path))
		return 0;
	if (file_load(&file, m->path, err) < 0)
		return -1;
	if (!text_ends(buf_text(&file), "\n.\n"))
		return err_set(err, ERR_BROKEN,
			"%s is cut off; without it messages of gateways may be stored twice once: remove it", m->path);
	text = (struct slice){ .text = buf_text(&file), .len = file.len };
	while (slice_cut(&text, '\n', &line) && !slice_is(line, ".")) {
		OWN_TEXT owned = slice_text(line);

		if (!take_line(m, owned, place))
			return err_set(err, ERR_BROKEN, "%s: '%s' is not understood", m->path, owned);
	}
	return 1;
}

static int
look_through(struct marks *m, uint64_t place, struct err *err)
{
	struct event_reader *reader = event_reader_open(m->events_dir, &(struct event_start){ .value = place }, err);
	struct event_record record;
	struct message message;
	int got = -1;

	while (reader && (got = event_reader_next(reader, &record, err)) == 1) {
		struct err ignored = ERR_INIT;
		struct message_mark mark;
		OWN_TEXT name = NULL;

		if (message_decode(&message, record.data, record.len, &ignored) < 0 || !message_mark_parse(&mark, message.mark))
			continue;
		name = name_of(&message);
		mark_track_found(track_of(entry_get(m, name), mark.log), &mark);
		m->is_changed = true;
	}
	event_reader_close(reader);
	return got;
}

/* It is a help, not a duty: who starts without a file is not kept from starting by what is damaged. */
static bool
look_back(struct marks *m, uint64_t place)
{
	struct err err = ERR_INIT;

	if (look_through(m, place, &err) < 0)
		log_error("%s", err.text);
	return true;
}

static uint64_t
place_back(const struct marks_config *config)
{
	uint64_t next = event_log_next(config->events), n = config->look_back ? config->look_back : LOOK_BACK;

	return next > n ? next - n : 0;
}

struct marks *
marks_open(const struct marks_config *config, struct err *err)
{
	struct marks *m = NEW(marks);
	uint64_t place = 0;
	int loaded;

	m->path = file_join(config->state_dir, FILE_NAME);
	m->events_dir = mem_text(config->events_dir);
	m->events = config->events;
	for (size_t i = 0; i < PARTS; i++)
		m->part[i] = map_new();
	pthread_mutex_init(&m->lock, NULL);
	loaded = load(m, &place, err);
	m->place[0] = m->place[1] = event_log_next(m->events);
	if (loaded == 0 || place > m->place[0]) /* or the events that were saved about are gone, and others have begun */
		place = place_back(config);
	m->is_changed = loaded == 0;
	if (loaded == 0 ? look_back(m, place) : loaded == 1 && look_through(m, place, err) == 0) {
		save(m); /* without one, the first crash would find too little to begin with */
		return m;
	}
	marks_close(m);
	return NULL;
}

void
marks_watch(struct marks *m, struct loop *loop, struct pool *worker)
{
	m->loop = loop;
	m->worker = worker;
	timer_init(&m->timer, loop, on_timer);
	timer_arm(&m->timer, SAVE_EVERY_MS);
}

void
marks_stop(struct marks *m)
{
	if (!m)
		return;
	if (m->loop)
		timer_cancel(&m->timer);
	pthread_mutex_lock(&m->lock);
	m->events = NULL;
	pthread_mutex_unlock(&m->lock);
}

static void
part_free(struct map *part)
{
	size_t at = 0;
	void *entry;

	while (map_next(part, &at, NULL, NULL, &entry))
		entry_free(entry);
	map_free(part);
}

void
marks_close(struct marks *m)
{
	if (!m)
		return;
	if (m->loop)
		save(m);
	for (size_t i = 0; i < PARTS; i++)
		part_free(m->part[i]);
	pthread_mutex_destroy(&m->lock);
	mem_free(m->path);
	mem_free(m->events_dir);
	mem_free(m);
}
