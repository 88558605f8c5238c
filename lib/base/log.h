/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The log of a service: one line an event on standard error, for people or as JSON (one object a line).  Only services and
 * commands log; libraries return their failures.  Text that came from outside is escaped here, so no caller has to think of it.
 * A line is written with one write(2).  Never pass a secret. */

#include <stdarg.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON, LOG_JOURNAL };

/* `role` names the process in every line.  Level and format come from ROOTEDGE_LOG ("debug,json"), else the level from AZIOT_LOG as the original has it: the most talkative that is
 * named, whatever module it is for.  Where standard error is the journal, and no format was named, lines are those of the original (edge-services 11.3):
 * "<6>2026-03-01T00:00:00Z [INFO] - sentence". */
void log_init(const char *role);
void log_copy(int fd); /* every line goes there too; borrowed, -1: no longer */
void log_set(enum log_level level, enum log_format format);
enum log_level log_level(void);
enum log_format log_format(void);

void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                                                             \
	do {                                                                                                                       \
		if (log_level() >= LOG_DEBUG)                                                                                      \
			log_at(LOG_DEBUG, __VA_ARGS__);                                                                            \
	} while (0)

/* An event with structure: `json` is a complete JSON object that a JSON log embeds under the key "event_name"; a text log shows
 * `sentence` only.  Verdicts travel this way. */
void log_event(enum log_level level, const char *event_name, const char *json, const char *sentence);
