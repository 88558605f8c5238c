/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bytes of one segment file of the event log, version 1.  Numbers are big-endian.
 *
 *	header, 32 bytes:  "RTEDGLOG", u32 version, u32 zero, u64 offset of the first record, u32 salt, u32 CRC-32C of the 28 bytes before
 *	record:            u32 length of the payload, u32 CRC-32C (begun with the salt) of the length and of all that follows here,
 *	                   u64 offset, u32 back, payload
 *
 * `back` is how many records stand before this one in its group, the records that were made durable by one fdatasync.  A group is written
 * only after the one before it is durable: so a bad record with a record of a later group behind it had been acknowledged and is
 * damage, while one without is the torn tail of a write that was never acknowledged.  The salt is random: a payload that imitates a record of a later
 * group cannot turn a torn tail into damage.  Pure functions, but for segment_list. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEGMENT_VERSION 1
#define SEGMENT_HEADER_LEN 32
#define SEGMENT_RECORD_LEN 20
#define SEGMENT_RECORD_MAX (64u << 20)
#define SEGMENT_NAME_LEN 25 /* 20 digits, ".log", NUL */

const char *segment_name(uint64_t first, char out[static SEGMENT_NAME_LEN]);
bool segment_name_parse(const char *name, uint64_t *first);
/* The first offsets of the segments in dir, ascending; the caller frees *firsts. */
int segment_list(const char *dir, uint64_t **firsts, size_t *n, struct err *err);

void segment_encode_header(uint8_t out[static SEGMENT_HEADER_LEN], uint64_t first, uint32_t salt);
/* 1: a header of this version for `first`, *salt is set; 0: the file ends before its header was durable, so nothing can have been written behind it;
 * -1: damage or a newer version, err has the path. */
int segment_check_header(const uint8_t *data, size_t len, uint64_t first, const char *path, uint32_t *salt, struct err *err);

/* Fill the SEGMENT_RECORD_LEN bytes in front of a payload of `len` bytes. */
void segment_seal(uint8_t *record, size_t len, uint64_t offset, uint32_t back, uint32_t salt);

struct segment_record {
	uint64_t offset;
	const uint8_t *data; /* borrowed */
	size_t len, size;    /* of the payload, of the whole record */
};
enum segment_cut { SEGMENT_CUT_DONE, SEGMENT_CUT_MORE, SEGMENT_CUT_BAD };
/* Read the record `expect` at data.  MORE: it needs out->size bytes (SEGMENT_RECORD_LEN when even that is not there). */
enum segment_cut segment_cut(struct segment_record *out, const uint8_t *data, size_t len, uint64_t expect, uint32_t salt);
/* Does a whole record of a group later than record `expect` begin anywhere in these bytes? */
bool segment_has_later_group(const uint8_t *data, size_t len, uint64_t expect, uint32_t salt);
