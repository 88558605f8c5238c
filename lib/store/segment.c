/* SPDX-License-Identifier: Apache-2.0 */
/* The segment format (segment.h): names, headers, records, and the question that decides what happens after a crash: is a record that cannot
 * be read the torn end of the last write, or damage to something that was acknowledged? */
#include "store/segment.h"

#include <dirent.h>
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

static void
put_u32(uint8_t *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void
put_u64(uint8_t *at, uint64_t v)
{
	put_u32(at, (uint32_t)(v >> 32));
	put_u32(at + 4, (uint32_t)v);
}

void
segment_encode_header(uint8_t out[static SEGMENT_HEADER_LEN], uint64_t first, uint32_t salt)
{
	memset(out, 0, SEGMENT_HEADER_LEN);
	memcpy(out, magic, sizeof(magic));
	put_u32(out + 8, SEGMENT_VERSION);
	put_u64(out + 16, first);
	put_u32(out + 24, salt);
	put_u32(out + 28, digest_crc32c(0, out, 28));
}

int
segment_check_header(const uint8_t *data, size_t len, uint64_t first, const char *path, uint32_t *salt, struct err *err)
{
	struct rd rd = rd_over(data, len);
	const uint8_t *mark = rd_bytes(&rd, sizeof(magic));
	uint32_t version = rd_u32(&rd);
	uint32_t spice;
	uint64_t named;

	if (!rd.bad && memcmp(mark, magic, sizeof(magic)) == 0 && version > SEGMENT_VERSION)
		return err_set(err, ERR_INVALID, "%s is of version %u, this program knows %u: it is left untouched", path, version,
			SEGMENT_VERSION);
	rd_u32(&rd);
	named = rd_u64(&rd);
	spice = rd_u32(&rd);
	if (rd_u32(&rd) == digest_crc32c(0, data, len < 28 ? len : 28) && !rd.bad) {
		if (memcmp(mark, magic, sizeof(magic)) == 0 && version == SEGMENT_VERSION && named == first) {
			*salt = spice;
			return 1;
		}
		return err_set(err, ERR_BROKEN, "%s: the header at offset 0 is not that of this segment of an event log", path);
	}
	/* Records follow a header only after its fsync: a file that is no longer was being created when the power went. */
	if (len <= SEGMENT_HEADER_LEN)
		return 0;
	return err_set(err, ERR_BROKEN, "%s: the header at offset 0 is damaged", path);
}

/* What the CRC covers stands in one piece but for the length in front of it. */
static uint32_t
record_crc(const uint8_t *record, size_t len, uint32_t salt)
{
	uint32_t crc = digest_crc32c(salt, record, 4);

	return digest_crc32c(crc, record + 8, SEGMENT_RECORD_LEN - 8 + len);
}

void
segment_seal(uint8_t *record, size_t len, uint64_t offset, uint32_t back, uint32_t salt)
{
	put_u32(record, (uint32_t)len);
	put_u64(record + 8, offset);
	put_u32(record + 16, back);
	put_u32(record + 4, record_crc(record, len, salt));
}

struct record_head {
	uint32_t len, crc, back;
	uint64_t offset;
};

static struct record_head
record_head(const uint8_t *data)
{
	struct rd rd = rd_over(data, SEGMENT_RECORD_LEN);
	struct record_head head;

	head.len = rd_u32(&rd);
	head.crc = rd_u32(&rd);
	head.offset = rd_u64(&rd);
	head.back = rd_u32(&rd);
	return head;
}

enum segment_cut
segment_cut(struct segment_record *out, const uint8_t *data, size_t len, uint64_t expect, uint32_t salt)
{
	struct record_head head;

	out->size = SEGMENT_RECORD_LEN;
	if (len < SEGMENT_RECORD_LEN)
		return SEGMENT_CUT_MORE;
	head = record_head(data);
	if (head.offset != expect || head.len == 0 || head.len > SEGMENT_RECORD_MAX || head.back > head.offset)
		return SEGMENT_CUT_BAD;
	out->size = SEGMENT_RECORD_LEN + (size_t)head.len;
	if (len < out->size)
		return SEGMENT_CUT_MORE;
	if (record_crc(data, head.len, salt) != head.crc)
		return SEGMENT_CUT_BAD;
	out->offset = head.offset;
	out->data = data + SEGMENT_RECORD_LEN;
	out->len = head.len;
	return SEGMENT_CUT_DONE;
}

bool
segment_has_later_group(const uint8_t *data, size_t len, uint64_t expect, uint32_t salt)
{
	struct record_head head;

	for (size_t at = 0; len - at >= SEGMENT_RECORD_LEN; at++) {
		head = record_head(data + at);
		if (head.offset <= expect || head.offset - expect > len / SEGMENT_RECORD_LEN + 1)
			continue;
		if (head.len == 0 || head.len > len - at - SEGMENT_RECORD_LEN || head.back > head.offset)
			continue;
		if (head.offset - head.back > expect && record_crc(data + at, head.len, salt) == head.crc)
			return true;
	}
	return false;
}
