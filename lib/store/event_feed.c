/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds (event_feed.h): one reader, which goes through the whole log from the first place on that any partition wants, and what is left out on the way. */
#include "store/event_feed.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

struct event_feed {
	struct event_feed_config config;
	struct event_reader *reader;
	uint64_t from_sequence[EVENT_PARTITIONS_MAX], from_offset[EVENT_PARTITIONS_MAX]; /* what is before is not wanted */
	bool in_group[EVENT_PARTITIONS_MAX];						 /* wanted from a sequence number on */
};

/* -- Where to begin -------------------------------------------------------------------------------------------------------------------- */

static int
parse_number(struct event_from *out, int kind, const char *text, struct err *err)
{
	int64_t value;

	if (!text_to_i64(text, 0, INT64_MAX, &value))
		return err_set(err, ERR_INVALID, "'%s' is not a number of events", text);
	*out = (struct event_from){ .kind = kind, .value = (uint64_t)value };
	return 0;
}

static int
parse_time(struct event_from *out, const char *text, struct err *err)
{
	int64_t wall;

	if (!clock_parse(text, &wall) || wall < 0)
		return err_set(err, ERR_INVALID, "'%s' is not a time like 2026-03-01T12:00:00Z", text);
	*out = (struct event_from){ .kind = EVENT_FROM_TIME, .value = (uint64_t)wall * 1000 };
	return 0;
}

int
event_from_parse(struct event_from *out, const char *text, struct err *err)
{
	static const char *const words[] = {
		[EVENT_FROM_CHECKPOINT] = "checkpoint", [EVENT_FROM_EARLIEST] = "earliest", [EVENT_FROM_LATEST] = "latest"
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (text_is_nocase(words[i], text)) {
			*out = (struct event_from){ .kind = (int)i };
			return 0;
		}
	if (text_starts(text, "offset:"))
		return parse_number(out, EVENT_FROM_OFFSET, text + strlen("offset:"), err);
	if (text_starts(text, "sequence:"))
		return parse_number(out, EVENT_FROM_SEQUENCE, text + strlen("sequence:"), err);
	if (text_starts(text, "time:"))
		return parse_time(out, text + strlen("time:"), err);
	if (*text >= '0' && *text <= '9')
		return parse_number(out, EVENT_FROM_OFFSET, text, err);
	return err_set(err, ERR_INVALID, "'%s' is none of checkpoint, earliest, latest, offset:N, sequence:N and time:T", text);
}

int
event_from_parse_id(struct event_from *out, const char *id, struct err *err)
{
	const char *colon = strchr(id, ':');
	OWN_TEXT first = colon ? mem_textf("%.*s", (int)(colon - id), id) : NULL;
	int64_t partition, sequence;

	if (!colon || !text_to_i64(first, 0, EVENT_PARTITIONS_MAX - 1, &partition) ||
		!text_to_i64(colon + 1, 0, INT64_MAX, &sequence))
		return err_set(err, ERR_INVALID, "'%.40s' is not the id of an event, PARTITION:SEQUENCE", id);
	*out = (struct event_from){ .kind = EVENT_FROM_BEHIND, .value = (uint64_t)sequence, .partition = (unsigned)partition };
	return 0;
}

/* -- Opening --------------------------------------------------------------------------------------------------------------------------- */

static int
open_at(struct event_feed *feed, const struct event_start *start, struct err *err)
{
	event_reader_close(feed->reader);
	feed->reader = event_reader_open(feed->config.dir, start, err);
	return feed->reader ? 0 : -1;
}

static int
open_at_end(struct event_feed *feed, struct err *err)
{
	uint64_t latest = feed->config.has_latest ? feed->config.latest : UINT64_MAX;

	return open_at(feed, &(struct event_start){ .kind = EVENT_AT_OFFSET, .value = latest }, err);
}

/* From here on in all partitions. */
static void
all_from(struct event_feed *feed, uint64_t offset)
{
	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++)
		feed->from_offset[i] = offset;
}

static bool
is_wanted_partition(const struct event_feed *feed, unsigned partition)
{
	return feed->config.partition < 0 || partition == (unsigned)feed->config.partition;
}

static int
open_at_group(struct event_feed *feed, struct err *err)
{
	struct event_start start = { .kind = EVENT_AT_GROUP, .group = feed->from_sequence, .in_group = feed->in_group };

	return open_at(feed, &start, err);
}

static int
open_at_sequence(struct event_feed *feed, uint64_t sequence, struct err *err)
{
	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++) {
		feed->from_sequence[i] = sequence;
		feed->in_group[i] = is_wanted_partition(feed, i);
	}
	return open_at_group(feed, err);
}

/* Where the group was; and where it never was, from the end on, or from the beginning. */
static int
open_at_checkpoint(struct event_feed *feed, struct err *err)
{
	const struct event_group *group = &feed->config.group;
	bool has_any = false;

	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++) {
		feed->from_sequence[i] = group->has[i] ? group->next[i] : 0;
		feed->in_group[i] = group->has[i] && is_wanted_partition(feed, i);
		has_any = has_any || feed->in_group[i];
	}
	if (feed->config.else_earliest)
		return open_at(feed, &(struct event_start){ .kind = EVENT_AT_OFFSET }, err);
	if (open_at_end(feed, err) < 0 || !has_any)
		return feed->reader ? 0 : -1;
	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++)
		if (!group->has[i])
			feed->from_offset[i] = event_reader_offset(feed->reader);
	return open_at_group(feed, err);
}

/* Behind the record that was seen last; when that is gone, all that there is comes behind it. */
static int
open_behind(struct event_feed *feed, struct err *err)
{
	const struct event_from *from = &feed->config.from;
	struct event_record record;
	int got;

	if (open_at(feed, &(struct event_start){ .kind = EVENT_AT_SEQUENCE, .value = from->value, .partition = from->partition },
		    err) < 0)
		return -1;
	got = event_reader_next(feed->reader, &record, err);
	if (got < 0 || (got == 1 && record.place.sequence == from->value))
		return got < 0 ? -1 : 0;
	return open_at(feed, &(struct event_start){ .kind = EVENT_AT_OFFSET }, err);
}

static int
open_reader(struct event_feed *feed, struct err *err)
{
	const struct event_from *from = &feed->config.from;

	switch (from->kind) {
	case EVENT_FROM_CHECKPOINT:
		return open_at_checkpoint(feed, err);
	case EVENT_FROM_LATEST:
		return open_at_end(feed, err);
	case EVENT_FROM_OFFSET:
		all_from(feed, from->value);
		return open_at(feed, &(struct event_start){ .kind = EVENT_AT_OFFSET, .value = from->value }, err);
	case EVENT_FROM_SEQUENCE:
		return open_at_sequence(feed, from->value, err);
	case EVENT_FROM_TIME:
		return open_at(feed, &(struct event_start){ .kind = EVENT_AT_TIME, .value = from->value }, err);
	case EVENT_FROM_BEHIND:
		return open_behind(feed, err);
	default:
		return open_at(feed, &(struct event_start){ .kind = EVENT_AT_OFFSET }, err);
	}
}

struct event_feed *
event_feed_open(const struct event_feed_config *config, struct err *err)
{
	struct event_feed *feed = NEW(event_feed);

	feed->config = *config;
	if (open_reader(feed, err) == 0)
		return feed;
	event_feed_close(feed);
	return NULL;
}

void
event_feed_close(struct event_feed *feed)
{
	if (!feed)
		return;
	event_reader_close(feed->reader);
	mem_free(feed);
}

/* -- Reading --------------------------------------------------------------------------------------------------------------------------- */

static bool
is_wanted_place(const struct event_feed *feed, const struct event_place *place)
{
	return is_wanted_partition(feed, place->partition) && place->sequence >= feed->from_sequence[place->partition] &&
	       place->offset >= feed->from_offset[place->partition];
}

static bool
is_wanted_message(const struct event_feed *feed, const struct message *message)
{
	const struct event_feed_config *config = &feed->config;

	if (config->sources != 0 && !(config->sources & 1u << message->source))
		return false;
	return !config->device_id || slice_is(message->device_id, config->device_id);
}

enum event_feed_got
event_feed_next(struct event_feed *feed, struct event_fed *out, struct err *err)
{
	struct event_record record;
	int got = event_reader_next(feed->reader, &record, err);

	if (got <= 0)
		return got < 0 ? EVENT_FEED_FAILED : EVENT_FEED_END;
	out->place = record.place;
	out->size = record.len;
	if (!is_wanted_place(feed, &record.place))
		return EVENT_FEED_OTHER;
	if (message_decode(&out->message, record.data, record.len, err) < 0) {
		err_wrap(err, "record %llu", (unsigned long long)record.place.offset);
		return EVENT_FEED_FAILED;
	}
	return is_wanted_message(feed, &out->message) ? EVENT_FEED_MESSAGE : EVENT_FEED_OTHER;
}

uint64_t
event_feed_offset(const struct event_feed *feed)
{
	return event_reader_offset(feed->reader);
}

void
event_feed_rest(struct event_feed *feed)
{
	event_reader_rest(feed->reader);
}
