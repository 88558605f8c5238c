/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Every use of time goes through here (tools/check-banned refuses the others).  Validity is judged by the wall clock in seconds
 * UTC, deadlines by the boot clock in milliseconds.  Tests shift the wall clock of all processes of a story with ROOTEDGE_CLOCK_FILE, a
 * file that holds an offset in seconds (test builds only). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t clock_wall(void); /* seconds since 1970, UTC */
int64_t clock_wall_ms(void);
int64_t clock_boot_ms(void); /* never goes back, counts sleep */
/* How long who waits for a time of the wall clock may be without looking at it: so late a clock that was set is noticed at the most.  A minute; in a story that moves the clock, at once. */
int clock_look_ms(void);
int64_t clock_thread_us(void); /* what this thread has computed, microseconds */
struct timespec;
void clock_until(int64_t after_ms, struct timespec *out); /* for a condition variable on CLOCK_MONOTONIC */
void clock_shift(int64_t seconds);     /* this process's wall clock is wrong by so much from now on: faults on purpose */
void clock_set_for_test(int64_t wall); /* unit tests: freezes clock_wall at this value; 0 thaws */

#define CLOCK_TEXT_LEN 32
/* RFC 3339 in UTC, "2026-03-01T00:00:00Z"; returns out. */
const char *clock_text(int64_t wall, char out[static CLOCK_TEXT_LEN]);
const char *clock_text_ms(int64_t wall_ms, char out[static CLOCK_TEXT_LEN]); /* with milliseconds */
/* RFC 1123, as HTTP and certificate objects have it: "Thu, 12 Oct 2017 19:23:50 GMT". */
const char *clock_text_http(int64_t wall, char out[static CLOCK_TEXT_LEN]);
bool clock_parse_http(const char *text, int64_t *wall); /* as clock_text_http writes it, nothing else */
bool clock_parse(const char *text, int64_t *wall); /* RFC 3339, or a date alone; any offset */
