/* SPDX-License-Identifier: Apache-2.0 */
/* A walk along the log, which looks at each message until it is passed. */
#include "gateway/queue/queue_reader_inside.h"

#include "base/log.h"

/* 1: m is the next message, 0: there is none, -1: damage.  A whole record that is no message is left out. */
int
queue_reading_read(struct event_reader *reader, struct message *m, uint64_t *offset, bool say, struct err *err)
{
	struct event_record record;
	int got;

	while ((got = event_reader_next(reader, &record, err)) == 1) {
		struct err why = ERR_INIT;

		*offset = record.place.offset;
		if (message_decode(m, record.data, record.len, &why) == 0)
			return 1;
		if (say)
			log_error("message %llu of the queue is left out: %s", (unsigned long long)*offset, why.text);
	}
	return got;
}

/* 1: it looks at a message.  Until it is passed it is looked at again. */
int
queue_reading_look(struct queue_reading *reading, bool say, struct err *err)
{
	uint64_t offset = 0;
	int got = reading->has_message ? 1 : queue_reading_read(reading->reader, &reading->message, &offset, say, err);

	if (got != 1 || reading->has_message)
		return got;
	reading->has_message = true;
	reading->next = offset;
	return 1;
}

void
queue_reading_pass(struct queue_reading *reading)
{
	reading->has_message = false;
	reading->next++;
}

void
queue_reading_close(struct queue_reading *reading)
{
	event_reader_close(reading->reader);
	*reading = (struct queue_reading){ .next = reading->next };
}

int
queue_reading_open(struct queue_reader *r, struct queue_reading *reading, uint64_t from, struct err *err)
{
	struct event_reader *reader = event_reader_open(r->dir, &(struct event_start){ .value = from }, err);

	if (!reader)
		return -1; /* the one that is there is as good as before */
	queue_reading_close(reading);
	reading->next = from;
	reading->reader = reader;
	return 0;
}
