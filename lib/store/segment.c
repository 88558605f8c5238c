/* SPDX-License-Identifier: Apache-2.0 */
/* The segment format (segment.h): names, headers, records, and the question that decides what happens after a crash: is a record that cannot
 * be read the torn end of the last write, or damage to something that was acknowledged? */
#include "store/segment.h"

#include <dirent.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

static const char magic[8] = { 'R', 'T', 'E', 'D', 'G', 'L', 'O', 'G' };

const char *
segment_name(uint64_t first, char out[static SEGMENT_NAME_LEN])
{
	snprintf(out, SEGMENT_NAME_LEN, "%020llu.log", (unsigned long long)first);
	return out;
}

bool
segment_name_parse(const char *name, uint64_t *first)
{
	char digits[21];
	int64_t value;

	if (strlen(name) != SEGMENT_NAME_LEN - 1 || !text_is(name + 20, ".log"))
		return false;
	memcpy(digits, name, 20);
	digits[20] = '\0';
	if (strspn(digits, "0123456789") != 20 || !text_to_i64(digits, 0, INT64_MAX, &value))
		return false;
	*first = (uint64_t)value;
	return true;
}

static int
compare_firsts(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
segment_list(const char *dir, uint64_t **firsts, size_t *n, struct err *err)
{
	DIR *listing = opendir(dir);
	uint64_t *found = NULL;
	size_t n_found = 0, room = 0;
	struct dirent *entry;
	uint64_t first;

	if (!listing)
		return err_errno(err, "cannot list the event log %s", dir);
	while ((entry = readdir(listing)) != NULL) {
		if (!segment_name_parse(entry->d_name, &first))
			continue;
		if (n_found == room) {
			room = room ? room * 2 : 16;
			found = mem_resize(found, room * sizeof(*found));
		}
		found[n_found++] = first;
	}
	closedir(listing);
	if (n_found > 1)
		qsort(found, n_found, sizeof(*found), compare_firsts);
	*firsts = found;
	*n = n_found;
	return 0;
}

/* -- Headers ------------------------------------------------------------------------------------------------------------------ */

#define V1_HEADER_LEN 32
#define V1_RECORD_LEN 20
#define CRC_LEN 4

static void
put_u32(uint8_t *at, uint32_t v)
{
	v = htobe32(v);
	memcpy(at, &v, sizeof(v));
}

static void
put_u64(uint8_t *at, uint64_t v)
{
	v = htobe64(v);
	memcpy(at, &v, sizeof(v));
}

size_t
segment_header_len(const struct segment_head *head)
{
	return head->version == 1 ? V1_HEADER_LEN : SEGMENT_HEADER_LEN;
}

static size_t
record_head_len(const struct segment_head *head)
{
	return head->version == 1 ? V1_RECORD_LEN : SEGMENT_RECORD_LEN;
}

void
segment_encode_header(uint8_t out[static SEGMENT_HEADER_LEN], const struct segment_head *head)
{
	uint8_t *at = out + 36;

	memset(out, 0, SEGMENT_HEADER_LEN);
	memcpy(out, magic, sizeof(magic));
	put_u32(out + 8, SEGMENT_VERSION);
	put_u32(out + 12, head->n_partitions);
	put_u64(out + 16, head->first);
	put_u32(out + 24, head->salt);
	put_u64(out + 28, (uint64_t)head->begun_ms);
	for (unsigned i = 0; i < head->n_partitions; i++, at += 24) {
		put_u64(at, head->tally[i].next);
		put_u64(at + 8, head->tally[i].last_offset);
		put_u64(at + 16, (uint64_t)head->tally[i].last_ms);
	}
	put_u32(out + SEGMENT_HEADER_LEN - CRC_LEN, digest_crc32c(0, out, SEGMENT_HEADER_LEN - CRC_LEN));
}

static bool
crc_fits(const uint8_t *data, size_t len, size_t header_len)
{
	struct rd rd;

	if (len < header_len)
		return false;
	rd = rd_over(data + header_len - CRC_LEN, CRC_LEN);
	return rd_u32(&rd) == digest_crc32c(0, data, header_len - CRC_LEN);
}

/* Everything of it was one partition: what stands before this segment is as many records as their offsets say. */
static void
decode_v1(struct segment_head *out, struct rd *rd)
{
	rd_u32(rd);
	out->first = rd_u64(rd);
	out->salt = rd_u32(rd);
	out->n_partitions = 1;
	out->tally[0] = (struct segment_tally){ .next = out->first, .last_offset = out->first > 0 ? out->first - 1 : 0 };
}

static void
decode_v2(struct segment_head *out, struct rd *rd)
{
	out->n_partitions = rd_u32(rd);
	out->first = rd_u64(rd);
	out->salt = rd_u32(rd);
	out->begun_ms = (int64_t)rd_u64(rd);
	for (unsigned i = 0; i < SEGMENT_PARTITIONS_MAX; i++) {
		out->tally[i].next = rd_u64(rd);
		out->tally[i].last_offset = rd_u64(rd);
		out->tally[i].last_ms = (int64_t)rd_u64(rd);
	}
}

static bool
is_possible(const struct segment_head *head, uint64_t first)
{
	return head->first == first && head->n_partitions > 0 && head->n_partitions <= SEGMENT_PARTITIONS_MAX;
}

int
segment_check_header(struct segment_head *out, const uint8_t *data, size_t len, uint64_t first, const char *path, struct err *err)
{
	struct rd rd = rd_over(data, len);
	const uint8_t *mark = rd_bytes(&rd, sizeof(magic));
	struct segment_head head = { .version = rd_u32(&rd) };
	bool is_ours = !rd.bad && memcmp(mark, magic, sizeof(magic)) == 0;

	if (is_ours && head.version > SEGMENT_VERSION)
		return err_set(err, ERR_INVALID, "%s is of version %u, this program knows %u: it is left untouched", path,
			head.version, SEGMENT_VERSION);
	/* Records follow a header only after its fsync: a file that is no longer was being created when the power went. */
	if (!crc_fits(data, len, segment_header_len(&head))) {
		if (len <= segment_header_len(&head))
			return 0;
		return err_set(err, ERR_BROKEN, "%s: the header at offset 0 is damaged", path);
	}
	(head.version == 1 ? decode_v1 : decode_v2)(&head, &rd);
	if (!is_ours || head.version == 0 || !is_possible(&head, first))
		return err_set(err, ERR_BROKEN, "%s: the header at offset 0 is not that of this segment of an event log", path);
	*out = head;
	return 1;
}

/* -- Records ------------------------------------------------------------------------------------------------------------------ */

/* What the CRC covers stands in one piece but for the length in front of it. */
static uint32_t
record_crc(const uint8_t *record, size_t size, uint32_t salt)
{
	uint32_t crc = digest_crc32c(salt, record, 4);

	return digest_crc32c(crc, record + 8, size - 8);
}

void
segment_seal(uint8_t *record, size_t len, const struct event_place *place, uint32_t back, uint32_t salt)
{
	put_u32(record, (uint32_t)len);
	put_u64(record + 8, place->offset);
	put_u32(record + 16, back);
	put_u32(record + 20, place->partition);
	put_u64(record + 24, place->sequence);
	put_u64(record + 32, (uint64_t)place->time_ms);
	put_u32(record + 4, record_crc(record, SEGMENT_RECORD_LEN + len, salt));
}

struct record_head {
	uint32_t len, crc, back;
	struct event_place place;
};

static struct record_head
record_head(const uint8_t *data, const struct segment_head *segment)
{
	struct rd rd = rd_over(data, record_head_len(segment));
	struct record_head head = { .len = rd_u32(&rd), .crc = rd_u32(&rd) };

	head.place.offset = rd_u64(&rd);
	head.back = rd_u32(&rd);
	if (segment->version == 1) {
		head.place.sequence = head.place.offset;
		return head;
	}
	head.place.partition = rd_u32(&rd);
	head.place.sequence = rd_u64(&rd);
	head.place.time_ms = (int64_t)rd_u64(&rd);
	return head;
}

static bool
head_is_possible(const struct record_head *head, const struct segment_head *segment)
{
	return head->len > 0 && head->len <= SEGMENT_RECORD_MAX && head->back <= head->place.offset &&
	       head->place.partition < segment->n_partitions;
}

enum segment_cut
segment_cut(struct segment_record *out, const uint8_t *data, size_t len, uint64_t expect, const struct segment_head *segment)
{
	size_t head_len = record_head_len(segment);
	struct record_head head;

	out->size = head_len;
	if (len < head_len)
		return SEGMENT_CUT_MORE;
	head = record_head(data, segment);
	if (head.place.offset != expect || !head_is_possible(&head, segment))
		return SEGMENT_CUT_BAD;
	out->size = head_len + head.len;
	if (len < out->size)
		return SEGMENT_CUT_MORE;
	if (record_crc(data, out->size, segment->salt) != head.crc)
		return SEGMENT_CUT_BAD;
	out->place = head.place;
	out->data = data + head_len;
	out->len = head.len;
	return SEGMENT_CUT_DONE;
}

bool
segment_has_later_group(const uint8_t *data, size_t len, uint64_t expect, const struct segment_head *segment)
{
	size_t head_len = record_head_len(segment);
	struct record_head head;
	uint64_t offset;

	for (size_t at = 0; len - at >= head_len; at++) {
		head = record_head(data + at, segment);
		offset = head.place.offset;
		if (offset <= expect || offset - expect > len / head_len + 1)
			continue;
		if (!head_is_possible(&head, segment) || head.len > len - at - head_len)
			continue;
		if (offset - head.back > expect && record_crc(data + at, head_len + head.len, segment->salt) == head.crc)
			return true;
	}
	return false;
}
