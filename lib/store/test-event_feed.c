/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds and consumer groups: what a consumer gets, from wherever it begins. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/event_feed.h"
#include "store/event_log.h"
#include "t.h"

static void
run_at_once(struct owner *owner, struct post *post)
{
	(void)owner;
	post->run(post);
}

static struct owner at_once = { .post = run_at_once };

static void
on_done(struct event_append *append, bool ok)
{
	CHECK(ok);
	append->owner = NULL;
}

/* 12 messages of devices "0", "1", "2" in turn, each in the partition of its name, in several segments; a minute between two. */
static const char *
story(void)
{
	static char dir[128];
	static int n;
	struct event_append appends[12] = { 0 };
	struct err err = ERR_INIT;
	struct event_log *log;

	snprintf(dir, sizeof(dir), "%s/feed-%d", T_TMPDIR, n++);
	clock_set_for_test(1772366400);
	for (unsigned i = 0; i < COUNT(appends); i++) {
		char device[2] = { (char)('0' + i % 3), '\0' };
		CLEAR(buf) record = BUF_INIT(4096);

		clock_set_for_test(1772366400 + 60 * i);
		message_encode(&record, &(struct message){ .source = i % 4 == 3 ? MESSAGE_LIFECYCLE : MESSAGE_TELEMETRY,
						.device_id = slice_of(device) });
		log = event_log_open(&(struct event_log_config){ .dir = dir, .segment_bytes = 1300, .n_partitions = 4 }, &err);
		if (!log)
			fail_msg("%s", err.text);
		appends[i] = (struct event_append){ .done = on_done, .owner = &at_once, .place.partition = i % 3 };
		CHECK_OK(event_log_append(log, &appends[i], record.data, record.len, &err), err);
		event_log_close(log);
	}
	clock_set_for_test(0);
	return dir;
}

/* The offsets that a feed gives, in one line. */
static char *
offsets(const struct event_feed_config *config)
{
	struct err err = ERR_INIT;
	struct event_feed *feed = event_feed_open(config, &err);
	struct buf text = BUF_INIT(1000);
	enum event_feed_got got = EVENT_FEED_OTHER;
	struct event_fed fed;

	if (!feed)
		fail_msg("%s", err.text);
	while (got != EVENT_FEED_END) {
		got = event_feed_next(feed, &fed, &err);
		if (got == EVENT_FEED_FAILED)
			fail_msg("%s", err.text);
		if (got == EVENT_FEED_MESSAGE)
			buf_putf(&text, "%llu ", (unsigned long long)fed.place.offset);
	}
	event_feed_close(feed);
	return buf_take_text(&text);
}

static void
gives(const struct event_feed_config *config, const char *want)
{
	OWN_TEXT got = offsets(config);

	CHECK_STR(got, want);
}

static struct event_feed_config
from(const char *dir, const char *text)
{
	struct event_feed_config config = { .dir = dir, .partition = -1 };
	struct err err = ERR_INIT;

	CHECK_OK(event_from_parse(&config.from, text, &err), err);
	return config;
}

TEST("a feed begins where it is told: with the earliest, the latest, an offset, a sequence number, a time")
{
	const char *dir = story();
	struct event_feed_config config = from(dir, "earliest");

	gives(&config, "0 1 2 3 4 5 6 7 8 9 10 11 ");
	config = from(dir, "latest");
	gives(&config, "");
	config = from(dir, "9");
	gives(&config, "9 10 11 ");
	config = from(dir, "offset:10");
	gives(&config, "10 11 ");
	config = from(dir, "sequence:3"); /* in each */
	gives(&config, "9 10 11 ");
	config = from(dir, "time:2026-03-01T12:10:00Z");
	gives(&config, "10 11 ");
}

TEST("a feed of one partition, one device or one source has nothing else")
{
	const char *dir = story();
	struct event_feed_config config = from(dir, "earliest");

	config.partition = 2;
	gives(&config, "2 5 8 11 ");
	config.from = (struct event_from){ .kind = EVENT_FROM_SEQUENCE, .value = 2 };
	gives(&config, "8 11 ");
	config = from(dir, "earliest");
	config.device_id = "1";
	gives(&config, "1 4 7 10 ");
	config.sources = 1u << MESSAGE_LIFECYCLE;
	gives(&config, "7 ");
}

TEST("behind the last event that was seen comes all that stands behind it, of all partitions")
{
	const char *dir = story();
	struct event_feed_config config = from(dir, "earliest");
	struct err err = ERR_INIT;

	CHECK_OK(event_from_parse_id(&config.from, "1:2", &err), err); /* offset 7 */
	gives(&config, "8 9 10 11 ");
	CHECK_OK(event_from_parse_id(&config.from, "2:3", &err), err); /* the last one */
	gives(&config, "");
}

TEST("when the last event that was seen has been removed, all that is left comes")
{
	const char *dir = story();
	struct event_log_config config = { .dir = dir };
	struct event_feed_config feed = from(dir, "earliest");
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);

	event_log_forget_below(log, 9);
	event_log_close(log);
	CHECK_OK(event_from_parse_id(&feed.from, "0:1", &err), err);
	OWN_TEXT got = offsets(&feed);
	CHECK(strlen(got) > 0 && got[0] != '0');
	CHECK_CONTAINS(got, "9 10 11 ");
}

TEST("also when it was the last one of its partition, and the others went on")
{
	const char *dir = story();
	struct event_feed_config feed = from(dir, "earliest");
	struct event_log_config config = { .dir = dir, .segment_bytes = 1300 };
	struct err err = ERR_INIT;
	struct event_log *log = event_log_open(&config, &err);
	CLEAR(buf) record = BUF_INIT(4096);

	message_encode(&record, &(struct message){ .source = MESSAGE_TELEMETRY, .device_id = slice_of("1") });
	for (int i = 0; i < 12; i++) {
		struct event_append append = { .done = on_done, .owner = &at_once, .place.partition = 1 };

		CHECK_OK(event_log_append(log, &append, record.data, record.len, &err), err);
		event_log_close(log);
		log = event_log_open(&config, &err);
	}
	event_log_forget_below(log, 20);
	event_log_close(log);
	CHECK_OK(event_from_parse_id(&feed.from, "0:3", &err), err); /* offset 9 */
	OWN_TEXT got = offsets(&feed);
	CHECK_CONTAINS(got, "20 21 22 23 ");
	CHECK(!strstr(got, " 9 "));
}

TEST("a consumer group goes on in each partition where it was, and where it never was with the latest or the earliest")
{
	const char *dir = story();
	struct event_feed_config config = from(dir, "checkpoint");

	gives(&config, "");
	config.else_earliest = true;
	gives(&config, "0 1 2 3 4 5 6 7 8 9 10 11 ");
	config.group = (struct event_group){ .has = { true, false, true }, .next = { 3, 0, 1 } };
	gives(&config, "1 4 5 7 8 9 10 11 ");
	config.else_earliest = false;
	gives(&config, "5 8 9 11 ");
	config.partition = 0;
	gives(&config, "9 ");
}

TEST("what is no beginning is refused in words")
{
	static const char *const bad[] = { "", "yesterday", "offset:", "offset:-1", "offset:1x", "sequence:99999999999999999999",
		"time:noon", "time:1960-01-01", "1.5", "earliest " };
	static const char *const bad_ids[] = { "", ":", "1", "1:", ":1", "32:1", "-1:2", "1:2:3", "1:-2", "a:b", "1: 2" };
	struct err err = ERR_INIT;
	struct event_from out;

	for (size_t i = 0; i < COUNT(bad); i++) {
		CHECK(event_from_parse(&out, bad[i], &err) < 0);
		CHECK_INT(err.kind, ERR_INVALID);
	}
	for (size_t i = 0; i < COUNT(bad_ids); i++)
		CHECK(event_from_parse_id(&out, bad_ids[i], &err) < 0);
}

TEST("a group's positions are kept, listed by name and removed; a file that is something else is left alone")
{
	const char *dir = story();
	struct event_group group = { .has = { [1] = true, [31] = true }, .next = { [1] = 77, [31] = 5 } }, got;
	OWN_TEXT path = mem_textf("%s/odd.group", dir);
	struct err err = ERR_INIT;
	char **names;
	size_t n;

	CHECK_OK(event_group_load(dir, "$Default", &got, &err), err);
	CHECK(!got.has[1]);
	CHECK_OK(event_group_save(dir, "$Default", &group, &err), err);
	CHECK_OK(event_group_save(dir, "alarms", &group, &err), err);
	CHECK_OK(event_group_load(dir, "$Default", &got, &err), err);
	CHECK(got.has[1] && got.next[1] == 77 && got.has[31] && got.next[31] == 5 && !got.has[0]);
	CHECK_OK(event_group_list(dir, &names, &n, &err), err);
	CHECK_INT(n, 2);
	CHECK_STR(names[0], "$Default");
	CHECK_STR(names[1], "alarms");
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	mem_free(names);
	CHECK_OK(event_group_remove(dir, "alarms", &err), err);
	CHECK(event_group_remove(dir, "alarms", &err) < 0);
	CHECK_INT(err.kind, ERR_MISSING);
	err = (struct err)ERR_INIT;
	CHECK_OK(file_save(path, "1 2\n44 3\n", 9, 0600, &err), err);
	CHECK(event_group_load(dir, "odd", &got, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, path);
	CHECK(event_group_name_is_valid("$Default") && !event_group_name_is_valid("") && !event_group_name_is_valid("../x") &&
		!event_group_name_is_valid(".hidden") && !event_group_name_is_valid("a/b"));
}
