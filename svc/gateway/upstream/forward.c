/* SPDX-License-Identifier: Apache-2.0 */
/* The forwarder deals the queue out to the outboxes of the lines (outbox.h), as far as the window reaches, whenever there is something new or a place has become free. */
#include "gateway/upstream/forward.h"

#include "base/log.h"
#include "base/mem.h"
#include "gateway/upstream/outbox.h"
#include "wire/message_mark.h"
#include "wire/property_bag.h"

#define SAVE_EVERY_MS 1000

struct forward {
	struct forward_config config;
	struct outboxes shared;
	struct queue_window *window;
	struct timer save;
	bool is_unreadable; /* said so */
};

static struct outbox *
outbox_for(struct forward *f, const struct queued *q)
{
	return outbox_of(&f->shared, lines_get(f->config.lines, q->device_id, q->module_id));
}

static void
deal(struct forward *f)
{
	struct err err = ERR_INIT;
	struct queued *q;

	queue_window_set_away(f->window, lines_is_hub_away(f->config.lines));
	while ((q = queue_window_next(f->window, &err)))
		outbox_send(outbox_for(f, q), q);
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
on_done(struct outboxes *outboxes)
{
	deal(CONTAINER_OF(outboxes, struct forward, shared));
}

/* From the queue. */
static void
on_more(void *arg)
{
	deal(arg);
}

/* Now and then is enough: what it is late by is sent twice after a crash, never lost. */
static void
on_save(struct timer *timer)
{
	struct forward *f = CONTAINER_OF(timer, struct forward, save);

	outboxes_expire(&f->shared);
	queue_save(f->config.queue);
	deal(f); /* a reading that waited, or failed, may go on */
	timer_arm(timer, SAVE_EVERY_MS);
}

struct forward *
forward_open(const struct forward_config *config)
{
	struct loop *loop = lines_config(config->lines)->loop;
	struct forward *f = NEW(forward);

	f->config = *config;
	f->window = queue_upstream(config->queue);
	f->shared =
		(struct outboxes){ .window = f->window, .bag = BUF_INIT(PROPERTY_BAG_MAX + MESSAGE_MARK_MAX), .on_done = on_done };
	timer_init(&f->save, loop, on_save);
	timer_arm(&f->save, SAVE_EVERY_MS);
	queue_window_listen(f->window, loop, on_more, f);
	deal(f);
	return f;
}

void
forward_close(struct forward *f)
{
	if (!f)
		return;
	timer_cancel(&f->save);
	queue_window_deafen(f->window);
	buf_clear(&f->shared.bag);
	mem_free(f);
}
