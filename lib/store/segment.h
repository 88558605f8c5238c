/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bytes of one segment file of the event log.  Numbers are big-endian.
 *
 * Version 2:
 *	header, 1024 bytes: "RTEDGLOG", u32 version, u32 partitions, u64 offset of the first record, u32 salt, u64 when it was begun (ms), then for each of 32
 *	                    partitions: u64 the sequence number of its next record, u64 the offset of its last one before this segment, u64 the
 *	                    time of that; zeros; u32 CRC-32C of all before
 *	record:             u32 length of the payload, u32 CRC-32C (begun with the salt) of the length and of all that follows here,
 *	                    u64 offset, u32 back, u32 partition, u64 sequence, u64 time (ms), payload
 * Version 1, which is only read:
 *	header, 32 bytes:   "RTEDGLOG", u32 version, u32 zero, u64 offset of the first record, u32 salt, u32 CRC-32C of the 28 bytes before
 *	record:             as above without partition, sequence and time: it is of partition 0, its sequence number is its offset
 *
 * The header's counts let a reader find a sequence number or a time by looking at headers alone, and let the writer go on counting after it has scanned the
 * last segment.
 *
 * `back` is how many records stand before this one in its group, the records that were made durable by one fdatasync.  A group is written
 * only after the one before it is durable: so a bad record with a record of a later group behind it had been acknowledged and is
 * damage, while one without is the torn tail of a write that was never acknowledged.  The salt is random: a payload that imitates a record of a later
 * group cannot turn a torn tail into damage.  Pure functions, but for segment_list. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/event_place.h"

#define SEGMENT_VERSION 2
#define SEGMENT_HEADER_LEN 1024
#define SEGMENT_RECORD_LEN 40
#define SEGMENT_PARTITIONS_MAX 32
#define SEGMENT_RECORD_MAX (64u << 20)
#define SEGMENT_NAME_LEN 25 /* 20 digits, ".log", NUL */

const char *segment_name(uint64_t first, char out[static SEGMENT_NAME_LEN]);
bool segment_name_parse(const char *name, uint64_t *first);
/* The first offsets of the segments in dir, ascending; the caller frees *firsts. */
int segment_list(const char *dir, uint64_t **firsts, size_t *n, struct err *err);

/* What was in a partition before some moment. */
struct segment_tally {
	uint64_t next, last_offset; /* the sequence number of the next record; the last two mean something when that is not 0 */
	int64_t last_ms;
};

struct segment_head {
	unsigned version, n_partitions;
	uint32_t salt;
	uint64_t first;
	int64_t begun_ms;
	struct segment_tally tally[SEGMENT_PARTITIONS_MAX];
};
size_t segment_header_len(const struct segment_head *head); /* where the records begin */

void segment_encode_header(uint8_t out[static SEGMENT_HEADER_LEN], const struct segment_head *head); /* of this version */
/* 1: a header of a known version for `first`; 0: the file ends before its header was durable, so nothing can have been written behind it;
 * -1: damage or a newer version, err has the path.  Give it up to SEGMENT_HEADER_LEN + 1 bytes of the file. */
int segment_check_header(
	struct segment_head *out, const uint8_t *data, size_t len, uint64_t first, const char *path, struct err *err);

/* Fill the SEGMENT_RECORD_LEN bytes in front of a payload of `len` bytes. */
void segment_seal(uint8_t *record, size_t len, const struct event_place *place, uint32_t back, uint32_t salt);

struct segment_record {
	struct event_place place;
	const uint8_t *data; /* borrowed */
	size_t len, size;    /* of the payload, of the whole record */
};
enum segment_cut { SEGMENT_CUT_DONE, SEGMENT_CUT_MORE, SEGMENT_CUT_BAD };
/* Read the record `expect` at data.  MORE: it needs out->size bytes (those of a record's head when even that is not there). */
enum segment_cut segment_cut(
	struct segment_record *out, const uint8_t *data, size_t len, uint64_t expect, const struct segment_head *head);
/* Does a whole record of a group later than record `expect` begin anywhere in these bytes? */
bool segment_has_later_group(const uint8_t *data, size_t len, uint64_t expect, const struct segment_head *head);
