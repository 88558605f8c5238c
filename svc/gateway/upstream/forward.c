/* SPDX-License-Identifier: Apache-2.0 */
/* The forwarder deals the queue out to the lines (forward_line.h), as far as the window reaches, whenever there is something new or a place has become free. */
#include "gateway/upstream/forward.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/upstream/forward_line.h"

#define SAVE_EVERY_MS 1000

struct forward {
	struct forward_config config;
	struct forward_lines shared;
	struct queue_window *window;
	struct map *lines; /* by name */
	struct timer save;
	struct post notify; /* from the queue: there is more */
	bool is_unreadable; /* said so */
	bool is_hub_away;   /* a line could not reach it, and none has been acknowledged anything since */
};

static struct forward_line *
line_of(struct forward *f, const struct queued *q)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	struct forward_line *line = map_find_text(f->lines, name);

	if (line)
		return line;
	line = forward_line_new(&f->shared, q);
	map_put_text(f->lines, name, line);
	return line;
}

static void
deal(struct forward *f)
{
	struct err err = ERR_INIT;
	struct queued *q;

	while ((q = queue_window_next(f->window, &err)))
		forward_line_send(line_of(f, q), q);
	if (err.kind == ERR_NONE || f->is_unreadable) {
		f->is_unreadable = err.kind != ERR_NONE;
		return;
	}
	f->is_unreadable = true;
	log_error("the queue can't be read any further: %s", err.text);
	if (err.kind == ERR_BROKEN)
		f->config.on_damage(f->config.arg);
}

static void
on_done(struct forward_lines *lines)
{
	deal(CONTAINER_OF(lines, struct forward, shared));
}

static void
on_unreached(struct forward_lines *lines)
{
	CONTAINER_OF(lines, struct forward, shared)->is_hub_away = true;
}

/* The hub is back for one, so it is for all.  An acknowledgement proves it, not a connection: a hub in trouble may take those and drop them. */
static void
on_reached(struct forward_lines *lines)
{
	struct forward *f = CONTAINER_OF(lines, struct forward, shared);
	size_t at = 0;
	void *line;

	if (!f->is_hub_away)
		return;
	f->is_hub_away = false;
	while (map_next(f->lines, &at, NULL, NULL, &line))
		forward_line_hurry(line);
	f->config.on_hub_reached(f->config.arg);
}

static void
on_notify(struct post *post)
{
	deal(CONTAINER_OF(post, struct forward, notify));
}

/* Now and then is enough: what it is late by is sent twice after a crash, never lost. */
static void
on_save(struct timer *timer)
{
	struct forward *f = CONTAINER_OF(timer, struct forward, save);
	struct err err = ERR_INIT;

	if (queue_window_save(f->window, &err) < 0)
		log_error("%s", err.text);
	if (f->is_unreadable)
		deal(f);
	timer_arm(timer, SAVE_EVERY_MS);
}

struct forward *
forward_open(const struct forward_config *config, struct err *err)
{
	struct forward *f = NEW(forward);

	f->config = *config;
	f->window = queue_window_open(config->queue_dir, config->queue, err);
	if (!f->window) {
		mem_free(f);
		return NULL;
	}
	f->lines = map_new();
	f->shared = (struct forward_lines){
		.config = &f->config,
		.window = f->window,
		.on_done = on_done,
		.on_unreached = on_unreached,
		.on_reached = on_reached,
	};
	f->notify.run = on_notify;
	timer_init(&f->save, config->loop, on_save);
	timer_arm(&f->save, SAVE_EVERY_MS);
	event_log_subscribe(config->queue, loop_owner(config->loop), &f->notify);
	deal(f);
	return f;
}

void
forward_stop(struct forward *f)
{
	size_t at = 0;
	void *line;

	while (f && map_next(f->lines, &at, NULL, NULL, &line))
		forward_line_stop(line);
}

void
forward_close(struct forward *f)
{
	size_t at = 0;
	void *line;

	if (!f)
		return;
	timer_cancel(&f->save);
	while (map_next(f->lines, &at, NULL, NULL, &line))
		forward_line_free(line);
	map_free(f->lines);
	queue_window_close(f->window);
	mem_free(f);
}
