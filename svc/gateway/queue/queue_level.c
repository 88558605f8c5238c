/* SPDX-License-Identifier: Apache-2.0 */
/* The queue's logs: one for each sink and priority that routes have named, and who reads it.  Those that a gateway before has left on the disk are opened again. */
#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/queue/queue_inside.h"
#include "gateway/queue/queue_log.h"

/* What is read ahead of what is done. */
#define UPSTREAM_MESSAGES 4096
#define UPSTREAM_BYTES (8u << 20)
#define INPUT_MESSAGES 256
#define INPUT_BYTES (1u << 20)

struct sink *
queue_sink_find(const struct queue *queue, const char *module_id, const char *input)
{
	struct sink *sink = queue->sinks;

	while (sink && !(text_is(sink->module_id, module_id) && text_is(sink->input, input)))
		sink = sink->next;
	return sink;
}

static struct sink *
sink_get(struct queue *queue, const char *module_id, const char *input)
{
	struct sink *sink = queue_sink_find(queue, module_id, input);

	if (sink)
		return sink;
	sink = NEW(sink);
	sink->module_id = mem_text(module_id);
	sink->input = mem_text(input);
	sink->window = module_id ? queue_window_new(true, INPUT_MESSAGES, INPUT_BYTES)
				 : queue_window_new(false, UPSTREAM_MESSAGES, UPSTREAM_BYTES);
	sink->next = queue->sinks;
	queue->sinks = sink;
	if (module_id && queue->on_input)
		queue->on_input(queue->arg, sink->module_id, sink->input, sink->window);
	return sink;
}

/* One that is being left is there until it is closed: routes that name it again take it back. */
static bool
is_there(const struct queue *queue, const struct level *level)
{
	return level->is_open || (queue->leaving == level && level->reader);
}

static struct level *
level_find(struct queue *queue, const struct queue_place *place)
{
	for (size_t i = 0; i < queue->n_levels; i++) {
		struct level *level = &queue->level[i];

		if (is_there(queue, level) && level->priority == place->priority &&
			text_is(level->sink->module_id, place->module_id) && text_is(level->sink->input, place->input))
			return level;
	}
	return NULL;
}

/* NULL: there are as many as there may be. */
static struct level *
free_level(struct queue *queue)
{
	for (size_t i = 0; i < QUEUE_LOGS_MAX; i++)
		if (!queue->level[i].log)
			return &queue->level[i];
	return NULL;
}

/* What waits in a log that is being opened, of whom; NULL: nobody's share is counted. */
static struct queue_share *
waiting_new(const struct queue *queue)
{
	return queue->share ? queue_share_new(queue->config.edge_id) : NULL;
}

/* Takes the log, also when it fails. */
static struct level *
level_new(struct queue *queue, const struct queue_place *place, const char *dir, struct message_log *log_take,
	const struct queue_share *waiting, struct err *err)
{
	struct level *level = free_level(queue);
	struct queue_reader_config config = { .dir = dir, .priority = place->priority, .one_line = place->module_id != NULL };

	level->sink = sink_get(queue, place->module_id, place->input);
	level->priority = place->priority;
	level->index = (size_t)(level - queue->level);
	level->log = log_take;
	level->records = message_log_records(level->log);
	config.log = level->records;
	config.share = queue->share;
	config.places = queue_window_places(level->sink->window);
	level->reader = queue_reader_open(&config, err);
	if (!level->reader) {
		message_log_free(level->log);
		level->log = NULL;
		return NULL;
	}
	if (waiting)
		queue_share_add_all(queue->share, waiting);
	for (struct queue_lane *lane = queue->lanes; lane; lane = lane->next)
		message_log_add_lane(level->log, lane->owner);
	queue_window_add(level->sink->window, level->reader, level->priority, level->records);
	level->is_open = true;
	if (level->index == queue->n_levels)
		queue->n_levels++;
	return level;
}

struct level *
queue_level_get(struct queue *queue, const struct queue_place *place, struct err *err)
{
	struct level *level = level_find(queue, place);
	OWN_TEXT dir = queue_place_path(place, queue->state_dir);
	OWN(queue_share) waiting = waiting_new(queue);
	struct message_log *log;

	if (level)
		return level;
	if (!free_level(queue))
		return err_null(err, ERR_LIMIT, "routes lead to more than %d inputs and priorities", QUEUE_LOGS_MAX);
	log = queue_log_open(dir, queue->segment_bytes, waiting, err);
	return log ? level_new(queue, place, dir, log, waiting, err) : NULL;
}

/* -- What was left on the disk ------------------------------------------------------------------------------------------------------------- */

static bool
is_done(const char *dir, struct message_log *log)
{
	struct err ignored = ERR_INIT;
	uint64_t cursor = 0;

	return event_cursor_load(dir, QUEUE_CURSOR, &cursor, &ignored) == 0 && cursor == event_log_next(message_log_records(log));
}

/* What routes once named and nothing is left of goes; if they name it still, it is made again. */
static int
reopen_place(struct queue *queue, const struct queue_place *place, struct err *err)
{
	OWN_TEXT dir = queue_place_path(place, queue->state_dir);
	OWN(queue_share) waiting = waiting_new(queue);
	struct message_log *log;

	if (level_find(queue, place))
		return 0;
	log = queue_log_open(dir, queue->segment_bytes, waiting, err);
	if (!log)
		return -1;
	if (is_done(dir, log)) {
		message_log_free(log);
		queue_log_remove(dir);
		return 0;
	}
	if (free_level(queue))
		return level_new(queue, place, dir, log, waiting, err) ? 0 : -1;
	message_log_free(log);
	log_error("%s is left for later: there are %d logs already", dir, QUEUE_LOGS_MAX);
	return 0;
}

/* A folder, or what a crash left of one while it was being saved (queue_log.c). */
static int
reopen(struct queue *queue, const char *entry, struct err *err)
{
	static const char saved[] = ".saved";
	size_t len = strlen(entry);
	OWN_TEXT name = mem_textn(entry, text_ends(entry, saved) ? len - strlen(saved) : len);
	struct queue_place place;
	int done;

	if (text_ends(entry, QUEUE_LOG_GONE)) {
		OWN_TEXT path = mem_textf("%s/queues/%s", queue->state_dir, entry);

		queue_log_remove_rest(path);
		return 0;
	}
	if (!queue_place_parse(name, &place))
		return 0;
	done = reopen_place(queue, &place, err);
	queue_place_clear(&place);
	return done;
}

int
queue_level_reopen_all(struct queue *queue, struct err *err)
{
	OWN_TEXT path = file_join(queue->state_dir, "queues");
	DIR *dir;
	struct dirent *entry;
	int done = 0;

	if (file_make_dir(path, 0700, err) < 0)
		return -1;
	dir = opendir(path);
	if (!dir)
		return err_errno(err, "cannot read %s", path);
	while (done == 0 && (entry = readdir(dir)))
		done = entry->d_name[0] == '.' ? 0 : reopen(queue, entry->d_name, err);
	closedir(dir);
	return done;
}

uint64_t
queue_level_dropped(const struct level *level)
{
	struct queue_counts counts;

	queue_reader_counts(level->reader, &counts);
	return counts.dropped;
}
