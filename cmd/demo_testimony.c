/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict stands in a log as one line of JSON, in the member "verdict"; lines of other kinds and lines that are still being
 * written are passed over. */
#include "demo_testimony.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/client.h"
#include "notice.h"
#include "store/event_log.h"
#include "store/message.h"
#include "wire/json.h"

#define LOG_MAX (64 << 20)
#define PATIENCE_MS 5000
#define LOOK_AGAIN_MS 250

/* -- Verdicts ---------------------------------------------------------------------------------------------------------------- */

size_t
testimony_length(const char *log_path)
{
	CLEAR(buf) log = BUF_INIT(LOG_MAX);
	struct err none = ERR_INIT;

	return file_load(&log, log_path, &none) < 0 ? 0 : log.len;
}

static struct verdict *
verdict_of(const char *line)
{
	OWN_LIB(json_t) record = json_loads(line, 0, NULL);
	json_t *verdict = json_object_get(record, "verdict");
	OWN_TEXT text = verdict ? json_line(verdict) : NULL;
	struct err none = ERR_INIT;

	return text ? verdict_from_json(text, &none) : NULL;
}

static struct verdict *
last_in(char *log, const char *who, const char *question)
{
	struct verdict *found = NULL;
	char *end;

	for (char *line = log; (end = strchr(line, '\n')); line = end + 1) {
		struct verdict *v;

		*end = '\0';
		v = verdict_of(line);
		if (v && text_is(v->who, who) && text_is(v->question, question)) {
			verdict_free(found);
			found = GIVE(v);
		}
		verdict_free(v);
	}
	return found;
}

static struct verdict *
look(const char *log_path, size_t from, const char *who, const char *question)
{
	CLEAR(buf) log = BUF_INIT(LOG_MAX);
	struct err none = ERR_INIT;

	if (file_load(&log, log_path, &none) < 0 || log.len < from)
		return NULL;
	return last_in((char *)log.data + from, who, question);
}

struct verdict *
testimony_find(const char *log_path, size_t from, const char *who, const char *question, int stop_fd, struct err *err)
{
	int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
	int notice = notice_open(log_path);
	struct verdict *found;

	while (!(found = look(log_path, from, who, question)) && clock_boot_ms() < until_ms)
		if (!notice_wait(notice, stop_fd, LOOK_AGAIN_MS))
			break;
	close(notice);
	return found ? found : err_null(err, ERR_MISSING, "no verdict of the %s on \"%s\"", who, question);
}

/* -- Events ------------------------------------------------------------------------------------------------------------------ */

static int
count(struct event_reader *reader, const char *device_id, int *n, struct buf *last, struct err *err)
{
	struct message message;
	struct event_record record;
	int got;

	while ((got = event_reader_next(reader, &record, err)) == 1) {
		if (message_decode(&message, record.data, record.len, err) < 0)
			return -1;
		if (message.source != MESSAGE_TELEMETRY || !slice_is(message.device_id, device_id))
			continue;
		++*n;
		if (last) {
			buf_reset(last);
			buf_put(last, message.payload.text, message.payload.len);
		}
	}
	return got;
}

int
testimony_count_events(const char *hub_state, const char *device_id, int wanted, struct buf *last, int stop_fd, struct err *err)
{
	OWN_TEXT dir = hub_client_events_path(hub_state);
	OWN_TEXT lock = file_join(dir, "lock");
	struct event_reader *reader = event_reader_open(dir, &(struct event_start){ .value = 0 }, err);
	int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
	int notice = notice_open(lock);
	int n = 0, done = reader ? 0 : -1;

	while (done == 0 && (done = count(reader, device_id, &n, last, err)) == 0 && n < wanted && clock_boot_ms() < until_ms)
		if (!notice_wait(notice, stop_fd, LOOK_AGAIN_MS))
			break;
	close(notice);
	event_reader_close(reader);
	return done < 0 ? -1 : n;
}
