/* SPDX-License-Identifier: Apache-2.0 */
/* One message of the queue in memory, in one piece: there are thousands of them. */
#include "gateway/queue/queue_reader_inside.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/property_bag.h"

#define MARKS_MAX 64
#define DUP_BAG_MAX 65000		  /* with the rest of a topic's 65535 */
#define DUP_MESSAGE_MAX (256 * 1024 - 16) /* the hub takes 256 KiB (hub 1.6) */

bool
queued_is_expired(const struct queued *q, int64_t now_ms)
{
	return q->expires_ms > 0 && q->expires_ms <= now_ms;
}

const char *
queued_log(const struct queued *q)
{
	return q->reader->id;
}

/* Offsets begin with 0. */
void
queued_mark(const struct queued *q, uint64_t previous, struct message_mark *out)
{
	*out = (struct message_mark){ .sequence = q->offset + 1, .previous = previous, .stored_ms = q->enqueued_ms };
	memcpy(out->log, q->reader->id, sizeof(out->log));
}

/* That a device sends something again is told where there is room: the message itself matters more. */
static bool
tells_dup(const struct message *m)
{
	return m->dup && m->bag.len <= DUP_BAG_MAX && m->bag.len + m->payload.len <= DUP_MESSAGE_MAX;
}

static size_t
put_text(char *at, struct slice s)
{
	if (s.len > 0)
		memcpy(at, s.text, s.len);
	at[s.len] = '\0';
	return s.len + 1;
}

/* What the hub marks itself when a device connects to it (hub 1.2), it does not see of a device behind a gateway; and what a gateway marks (gateway 5.4).  A slash at the end is
 * overlooked there alone. */
static size_t
put_bag(char *at, const struct message *m)
{
	CLEAR(buf) bag = BUF_INIT(PROPERTY_BAG_MAX + MARKS_MAX);
	size_t len = m->bag.len;

	if (!m->is_will && !tells_dup(m))
		return put_text(at, m->bag);
	if (len > 0 && m->bag.text[len - 1] == '/')
		len--;
	buf_put(&bag, m->bag.text, len);
	if (m->is_will)
		property_put(&bag, "iothub-MessageType", "Will");
	if (tells_dup(m))
		property_put(&bag, "mqtt-dup", "true");
	return put_text(at, (struct slice){ .text = buf_text(&bag), .len = bag.len });
}

static size_t
size_of(const struct message *m)
{
	return sizeof(struct queued) + m->device_id.len + m->module_id.len + m->generation_id.len + m->bag.len + m->payload.len +
	       4 + (m->is_will || m->dup ? MARKS_MAX : 0);
}

struct queued *
queued_new(struct queue_reader *r, uint64_t offset, const struct message *m)
{
	struct queued *q = mem_new(size_of(m));
	char *at = (char *)(q + 1);

	q->reader = r;
	q->offset = offset;
	q->priority = r->config.priority;
	q->enqueued_ms = m->enqueued_ms;
	q->read_ms = clock_boot_ms();
	q->expires_ms = m->expires_ms;
	q->retain = m->retain;
	q->device_id = at;
	at += put_text(at, m->device_id);
	q->module_id = m->module_id.len > 0 ? at : NULL;
	at += put_text(at, m->module_id);
	q->generation_id = at;
	at += put_text(at, m->generation_id);
	q->bag = at;
	at += put_bag(at, m);
	q->payload = (const uint8_t *)at;
	q->len = m->payload.len;
	if (q->len > 0)
		memcpy(at, m->payload.text, q->len);
	return q;
}

size_t
queued_size(const struct queued *q)
{
	return (size_t)(q->payload + q->len - (const uint8_t *)q);
}
