/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that are complete (old_segments.h). */
#include "store/old_segments.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

void
old_segments_clear(struct old_segments *old)
{
	mem_free(old->item);
	*old = (struct old_segments){ 0 };
}

void
old_segments_add(struct old_segments *old, uint64_t first, uint64_t bytes, int64_t end_ms)
{
	if (old->n == old->room) {
		old->room = old->room ? old->room * 2 : 16;
		old->item = mem_resize(old->item, old->room * sizeof(*old->item));
	}
	old->item[old->n++] = (struct old_segment){ first, bytes, end_ms };
	old->bytes += bytes;
}

static int
read_head(const struct segment_tip *tip, uint64_t first, struct segment_head *head, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = file_join(tip->dir, segment_name(first, name));
	uint8_t bytes[SEGMENT_HEADER_LEN + 1];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got;

	if (fd < 0)
		return err_errno(err, "cannot open %s", path);
	got = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	if (segment_check_header(head, bytes, got < 0 ? 0 : (size_t)got, first, path, err) == 1)
		return 0;
	return err_set(err, ERR_BROKEN, "%s: the header at offset 0 cannot be read", path);
}

int
old_segments_find(struct old_segments *old, const struct segment_tip *tip, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	struct segment_head head;
	uint64_t *firsts = NULL;
	struct stat st;
	size_t n = 0;
	int done;

	done = segment_list(tip->dir, &firsts, &n, err);
	for (size_t i = 0; done == 0 && i + 1 < n; i++) {
		done = read_head(tip, firsts[i + 1], &head, err);
		old_segments_add(old, firsts[i],
			fstatat(tip->dir_fd, segment_name(firsts[i], name), &st, 0) == 0 ? (uint64_t)st.st_size : 0, head.begun_ms);
	}
	mem_free(firsts);
	return done;
}

int
old_segments_head(const struct old_segments *old, const struct segment_tip *tip, struct segment_head *head, struct err *err)
{
	if (old->n > 0)
		return read_head(tip, old->item[0].first, head, err);
	*head = tip->head;
	return 0;
}

/* May the oldest segment go, of a log that has so many bytes in all? */
static bool
is_over(const struct old_segment *oldest, uint64_t end, uint64_t bytes, const struct old_segments_limit *limit)
{
	if (end <= limit->forget_below)
		return true;
	if (limit->max_age_ms > 0 && oldest->end_ms < clock_wall_ms() - limit->max_age_ms)
		return true;
	return limit->max_bytes > 0 && bytes > limit->max_bytes;
}

bool
old_segments_remove(struct old_segments *old, const struct segment_tip *tip, const struct old_segments_limit *limit)
{
	uint64_t end;
	char name[SEGMENT_NAME_LEN];
	size_t n = 0;

	for (; n < old->n; n++) {
		end = n + 1 < old->n ? old->item[n + 1].first : tip->head.first;
		if (!is_over(&old->item[n], end, old->bytes + tip->pos, limit))
			break;
		if (unlinkat(tip->dir_fd, segment_name(old->item[n].first, name), 0) < 0 && errno != ENOENT)
			break;
		old->bytes -= old->item[n].bytes;
	}
	if (n == 0)
		return false;
	old->n -= n;
	memmove(old->item, old->item + n, old->n * sizeof(*old->item));
	return true;
}

uint64_t
old_segments_first(const struct old_segments *old, const struct segment_tip *tip)
{
	return old->n > 0 ? old->item[0].first : tip->head.first;
}

uint64_t
old_segments_end_of_oldest(const struct old_segments *old, const struct segment_tip *tip)
{
	if (old->n == 0)
		return 0;
	return old->n > 1 ? old->item[1].first : tip->head.first;
}
