/* SPDX-License-Identifier: Apache-2.0 */
/* The last segment of an event log, opened for writing (segment_tip.h).  After a failed write the file is cut back to what was durable before
 * the next one, so that a full disk costs the messages of that moment and nothing else. */
#include "store/segment_tip.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "store/segment.h"

#define DURABLE_LEN 21 /* 20 digits and a newline */

/* The switch of base/file.h for tests, at the places where a disk can fail. */
static bool
fault(void)
{
	if (file_fault_after == 0 || --file_fault_after > 0)
		return false;
	errno = EIO;
	return true;
}

int
segment_tip_lock_take(int dir_fd, const char *dir, struct err *err)
{
	int fd = file_lock(dir_fd, "lock", err);

	return fd < 0 ? err_wrap(err, "the event log %s", dir) : fd;
}

int
segment_tip_lock_open(const char *dir)
{
	OWN_TEXT path = file_join(dir, "lock");

	return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
}

bool
segment_tip_is_held(int lock_fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(lock_fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool
segment_tip_durable(int lock_fd, uint64_t *next)
{
	char text[DURABLE_LEN];
	int64_t value;

	if (pread(lock_fd, text, sizeof(text), 0) != (ssize_t)sizeof(text) || text[DURABLE_LEN - 1] != '\n')
		return false;
	text[DURABLE_LEN - 1] = '\0';
	if (!text_to_i64(text, 0, INT64_MAX, &value))
		return false;
	*next = (uint64_t)value;
	return true;
}

/* Not synced: after a power cut an older value stands there, which is true as well. */
static int
publish_durable(struct segment_tip *tip, struct err *err)
{
	char text[DURABLE_LEN + 1];

	snprintf(text, sizeof(text), "%020llu\n", (unsigned long long)tip->next);
	if (pwrite(tip->lock_fd, text, DURABLE_LEN, 0) != DURABLE_LEN)
		return err_errno(err, "cannot write %s/lock", tip->dir);
	return 0;
}

/* A whole file mapped for reading. */
struct view {
	const uint8_t *data;
	size_t len;
};

static int
view_open(struct view *view, int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_BROKEN, "%s is not a regular file", path);
	view->len = (size_t)st.st_size;
	view->data = NULL;
	if (view->len == 0)
		return 0;
	view->data = mmap(NULL, view->len, PROT_READ, MAP_SHARED, fd, 0);
	if (view->data == MAP_FAILED)
		return err_errno(err, "cannot read %s", path);
	return 0;
}

static void
view_close(struct view *view)
{
	if (view->data)
		munmap((void *)(uintptr_t)view->data, view->len);
}

/* Walk over the whole records, counting; what follows the last one must be the torn tail of a write that was never acknowledged. */
static int
scan_records(struct segment_tip *tip, const struct view *view, const char *path, struct err *err)
{
	struct segment_record record;
	size_t pos = segment_header_len(&tip->head);
	uint64_t next = tip->head.first;

	memcpy(tip->tally, tip->head.tally, sizeof(tip->tally));
	while (pos < view->len && segment_cut(&record, view->data + pos, view->len - pos, next, &tip->head) == SEGMENT_CUT_DONE) {
		struct segment_tally *tally = &tip->tally[record.place.partition];

		if (record.place.sequence != tally->next)
			return err_set(err, ERR_BROKEN, "%s: record %llu does not have the next number of its partition", path,
				(unsigned long long)next);
		*tally = (struct segment_tally){ record.place.sequence + 1, record.place.offset, record.place.time_ms };
		pos += record.size;
		next++;
	}
	if (pos < view->len && segment_has_later_group(view->data + pos, view->len - pos, next, &tip->head))
		return err_set(err, ERR_BROKEN,
			"%s is damaged at offset %zu (record %llu): acknowledged records follow; it is left untouched", path, pos,
			(unsigned long long)next);
	tip->next = next;
	tip->pos = pos;
	tip->torn = pos < view->len;
	return 0;
}

/* Records that were acknowledged cannot have gone by a crash. */
static int
check_durable(const struct segment_tip *tip, const char *path, struct err *err)
{
	uint64_t durable;

	if (!segment_tip_durable(tip->lock_fd, &durable) || durable <= tip->next)
		return 0;
	return err_set(err, ERR_BROKEN,
		"%s ends at offset %llu before record %llu, but the records below %llu had been acknowledged; it is left untouched "
		"(remove %s/lock to go on without them)",
		path, (unsigned long long)tip->pos, (unsigned long long)tip->next, (unsigned long long)durable, tip->dir);
}

int64_t
segment_tip_time(const struct segment_tip *tip)
{
	int64_t latest = clock_wall_ms();

	if (tip->head.begun_ms > latest)
		latest = tip->head.begun_ms;
	for (unsigned i = 0; i < tip->head.n_partitions; i++)
		if (tip->tally[i].last_ms > latest)
			latest = tip->tally[i].last_ms;
	return latest;
}

static int
write_header(struct segment_tip *tip, int fd, const char *path, struct err *err)
{
	uint8_t bytes[SEGMENT_HEADER_LEN];
	struct segment_head head = {
		.version = SEGMENT_VERSION,
		.n_partitions = tip->head.version == SEGMENT_VERSION ? tip->head.n_partitions : tip->new_partitions,
		.salt = (uint32_t)random_u64(),
		.first = tip->next,
		.begun_ms = segment_tip_time(tip),
	};

	memcpy(head.tally, tip->tally, sizeof(head.tally));
	segment_encode_header(bytes, &head);
	if (ftruncate(fd, 0) < 0 || fault() || pwrite(fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes) || fault() ||
		fsync(fd) < 0 || fault() || fsync(tip->dir_fd) < 0)
		return err_errno(err, "cannot begin the segment %s", path);
	tip->head = head;
	tip->pos = SEGMENT_HEADER_LEN;
	tip->torn = false;
	return 0;
}

/* Read a segment to its end: 1, or 0 when it has no header yet. */
static int
scan_segment(struct segment_tip *tip, int fd, uint64_t first, const char *path, struct err *err)
{
	struct view view = { 0 };
	int header;

	if (view_open(&view, fd, path, err) < 0)
		return -1;
	header = segment_check_header(&tip->head, view.data, view.len, first, path, err);
	if (header > 0 && scan_records(tip, &view, path, err) < 0)
		header = -1;
	view_close(&view);
	return header;
}

static int
open_to_write(struct segment_tip *tip, uint64_t first, const char *path, struct err *err)
{
	char name[SEGMENT_NAME_LEN];

	tip->fd = openat(tip->dir_fd, segment_name(first, name), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return tip->fd < 0 ? err_errno(err, "cannot open %s", path) : 0;
}

/* The last segment has no header: its creation was cut short, and its name says where the one before it ended.  That one has the counts. */
static int
begin_again(struct segment_tip *tip, uint64_t first, const uint64_t *before, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = mem_textf("%s/%s", tip->dir, segment_name(first, name));
	OWN_TEXT path_before = before ? mem_textf("%s/%s", tip->dir, segment_name(*before, name)) : NULL;
	int last = tip->fd;

	tip->next = first;
	if (!before && first > 0)
		return err_set(err, ERR_BROKEN, "%s: the header at offset 0 is damaged, and no segment is left before it", path);
	if (before) {
		if (open_to_write(tip, *before, path_before, err) < 0) {
			tip->fd = last;
			return -1;
		}
		if (scan_segment(tip, tip->fd, *before, path_before, err) < 0 || check_durable(tip, path_before, err) < 0) {
			close(last);
			return -1;
		}
		close(tip->fd);
		tip->fd = last;
		if (tip->next != first)
			return err_set(err, ERR_BROKEN, "%s ends before record %llu, where %s begins", path_before,
				(unsigned long long)tip->next, path);
	}
	return check_durable(tip, path, err) < 0 ? -1 : write_header(tip, tip->fd, path, err);
}

static int
open_last(struct segment_tip *tip, const uint64_t *firsts, size_t n, struct err *err)
{
	uint64_t first = firsts[n - 1];
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = mem_textf("%s/%s", tip->dir, segment_name(first, name));
	int header;

	if (open_to_write(tip, first, path, err) < 0)
		return -1;
	header = scan_segment(tip, tip->fd, first, path, err);
	if (header == 0)
		return begin_again(tip, first, n > 1 ? &firsts[n - 2] : NULL, err);
	return header < 0 ? -1 : check_durable(tip, path, err);
}

static int
cut_tail(struct segment_tip *tip, struct err *err)
{
	if (!tip->torn)
		return 0;
	if (fault() || ftruncate(tip->fd, (off_t)tip->pos) < 0 || fdatasync(tip->fd) < 0)
		return err_errno(err, "cannot cut the torn end off the event log %s", tip->dir);
	tip->torn = false;
	return 0;
}

/* The other segments were closed in good order: a wrong header in one of them is damage. */
static int
check_older(struct segment_tip *tip, const uint64_t *firsts, size_t n, struct err *err)
{
	uint8_t header[SEGMENT_HEADER_LEN + 1];
	char name[SEGMENT_NAME_LEN];
	struct segment_head head;
	ssize_t got;
	int fd;

	for (size_t i = 0; i < n; i++) {
		OWN_TEXT path = mem_textf("%s/%s", tip->dir, segment_name(firsts[i], name));

		fd = openat(tip->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return err_errno(err, "cannot open %s", path);
		got = pread(fd, header, sizeof(header), 0);
		close(fd);
		switch (segment_check_header(&head, header, got < 0 ? 0 : (size_t)got, firsts[i], path, err)) {
		case 1:
			break;
		case 0:
			return err_set(err, ERR_BROKEN, "%s: the header at offset 0 is damaged", path);
		default:
			return -1;
		}
	}
	return 0;
}

static int
find_tip(struct segment_tip *tip, struct err *err)
{
	uint64_t *firsts = NULL;
	size_t n = 0;
	int done;

	if (segment_list(tip->dir, &firsts, &n, err) < 0)
		return -1;
	if (n == 0)
		done = segment_tip_rotate(tip, err);
	else
		done = check_older(tip, firsts, n - 1, err) < 0 ? -1 : open_last(tip, firsts, n, err);
	mem_free(firsts);
	return done;
}

/* What version 1 wrote stays as it is. */
static int
leave_v1(struct segment_tip *tip, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = mem_textf("%s/%s", tip->dir, segment_name(tip->next, name));

	if (tip->head.version != 1)
		return 0;
	if (fdatasync(tip->fd) < 0)
		return err_errno(err, "cannot sync the event log %s", tip->dir);
	if (tip->next > tip->head.first)
		return segment_tip_rotate(tip, err);
	return write_header(tip, tip->fd, path, err); /* there is nothing in it */
}

int
segment_tip_open(struct segment_tip *tip, const char *dir, unsigned n_partitions, struct err *err)
{
	*tip = (struct segment_tip){ .dir = mem_text(dir), .dir_fd = -1, .lock_fd = -1, .fd = -1 };
	tip->new_partitions = n_partitions;
	if (file_make_dir(dir, 0700, err) < 0)
		return -1;
	tip->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tip->dir_fd < 0)
		return err_errno(err, "cannot open the event log %s", dir);
	tip->lock_fd = segment_tip_lock_take(tip->dir_fd, dir, err);
	if (tip->lock_fd < 0 || find_tip(tip, err) < 0 || cut_tail(tip, err) < 0 || leave_v1(tip, err) < 0)
		return -1;
	/* A tail that is whole was perhaps never synced: nobody may be told of it before it is. */
	if (fdatasync(tip->fd) < 0)
		return err_errno(err, "cannot sync the event log %s", dir);
	return publish_durable(tip, err);
}

void
segment_tip_close(struct segment_tip *tip)
{
	if (tip->fd >= 0)
		close(tip->fd);
	if (tip->lock_fd >= 0)
		close(tip->lock_fd);
	if (tip->dir_fd >= 0)
		close(tip->dir_fd);
	mem_free(tip->dir);
	*tip = (struct segment_tip){ .dir_fd = -1, .lock_fd = -1, .fd = -1 };
}

int
segment_tip_rotate(struct segment_tip *tip, struct err *err)
{
	char name[SEGMENT_NAME_LEN];
	OWN_TEXT path = mem_textf("%s/%s", tip->dir, segment_name(tip->next, name));
	int fd;

	/* The segment that is left behind must end where the new one begins. */
	if (tip->fd >= 0 && cut_tail(tip, err) < 0)
		return -1;
	fd = openat(tip->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "cannot create %s", path);
	if (write_header(tip, fd, path, err) < 0) {
		close(fd);
		unlinkat(tip->dir_fd, name, 0);
		return -1;
	}
	if (tip->fd >= 0)
		close(tip->fd);
	tip->fd = fd;
	return 0;
}

static int
write_all(int fd, const uint8_t *data, size_t len, uint64_t pos)
{
	ssize_t n;

	if (fault())
		return -1;
	while (len > 0) {
		n = pwrite(fd, data, len, (off_t)pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
		pos += (uint64_t)n;
	}
	return 0;
}

int
segment_tip_write(
	struct segment_tip *tip, const uint8_t *group, size_t len, size_t n, const struct segment_tally *tally, struct err *err)
{
	if (cut_tail(tip, err) < 0)
		return -1;
	if (write_all(tip->fd, group, len, tip->pos) < 0 || fault() || fdatasync(tip->fd) < 0) {
		(void)err_errno(err, "cannot write to the event log %s", tip->dir);
		tip->torn = true;
		(void)cut_tail(tip, &(struct err)ERR_INIT);
		return -1;
	}
	tip->pos += len;
	tip->next += n;
	memcpy(tip->tally, tally, sizeof(tip->tally));
	/* Readers of this process wait for it; should it fail, they see the records with the next group. */
	(void)publish_durable(tip, &(struct err)ERR_INIT);
	return 0;
}
