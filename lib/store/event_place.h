/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where and when a record stands in an event log: its offset in the whole, and in its partition a sequence number that grows by one.  The time is
 * the writer's when it made the record durable, in milliseconds of the wall clock; it never goes back from one record to the next.  Records of
 * version 1 have none (0). */

#include <stdint.h>

struct event_place {
	uint64_t offset, sequence;
	int64_t time_ms;
	unsigned partition;
};
