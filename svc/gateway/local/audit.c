/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's file.  What a crash cut off is ended by a line end at the next start, so that every line after it is whole. */
#include "gateway/local/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/gauges/gateway_metrics.h"

#define WRITE_EVERY_MS 1000
#define WAITING_MAX (1 << 20)

struct audit {
	char *path, *older_path;
	uint64_t max_bytes;
	struct loop *loop;
	struct pool *workers;
	struct timer timer;
	struct job job;
	bool is_writing;
	pthread_mutex_t lock; /* of waiting */
	struct buf waiting;
	/* The worker's, or of who closes. */
	int fd;
	uint64_t size;
	bool has_failed; /* said so */
};

/* -- The file ------------------------------------------------------------------------------------------------------------------------------ */

static void
end_torn_line(const struct audit *a)
{
	char last = '\n';

	if (a->size > 0 && pread(a->fd, &last, 1, (off_t)a->size - 1) == 1 && last != '\n' && write(a->fd, "\n", 1) < 0)
		log_warn("%s: %s", a->path, strerror(errno));
}

static bool
open_file(struct audit *a)
{
	struct stat st = { 0 };

	a->fd = open(a->path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (a->fd < 0 || fstat(a->fd, &st) < 0)
		return false;
	a->size = (uint64_t)st.st_size;
	end_torn_line(a);
	return true;
}

static bool
turn_over(struct audit *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	if (rename(a->path, a->older_path) < 0 && errno != ENOENT)
		return false;
	return open_file(a);
}

/* As many whole lines as there is room for, at least one. */
static size_t
piece_of(const uint8_t *data, size_t len, uint64_t room)
{
	const uint8_t *end = len > room ? memrchr(data, '\n', (size_t)room) : data + len - 1;

	if (!end)
		end = memchr(data, '\n', len);
	return end ? (size_t)(end - data) + 1 : len;
}

/* All of it, or a torn end that the next line begins after. */
static bool
write_piece(struct audit *a, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(a->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		a->size += (uint64_t)n;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

/* A slow disk may make more wait than one file takes. */
static bool
write_all(struct audit *a, const uint8_t *data, size_t len)
{
	const uint64_t most = a->max_bytes / 2;

	if (a->fd < 0 && !open_file(a))
		return false;
	while (len > 0) {
		size_t n = piece_of(data, len, most > a->size ? most - a->size : 0);

		if (a->size > 0 && a->size + n > most) {
			if (!turn_over(a))
				return false;
			continue;
		}
		if (!write_piece(a, data, n))
			return false;
		data += n;
		len -= n;
	}
	return true;
}

static size_t
n_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == '\n';
	return n;
}

static void
give_up(struct audit *a, const struct buf *lines)
{
	int why = errno;

	metric_add(gateway_metric(METRIC_AUDIT_LEFT_OUT), (int64_t)n_lines(lines));
	if (!a->has_failed)
		log_error("the audit log can't be written: %s: %s", a->path, strerror(why));
	a->has_failed = true;
	if (a->fd >= 0)
		close(a->fd); /* opened anew, its torn line is ended */
	a->fd = -1;
}

static void
write_waiting(struct audit *a)
{
	struct buf lines;

	pthread_mutex_lock(&a->lock);
	lines = a->waiting;
	a->waiting = (struct buf)BUF_INIT(WAITING_MAX);
	pthread_mutex_unlock(&a->lock);
	if (lines.len > 0 && !write_all(a, lines.data, lines.len)) {
		give_up(a, &lines);
	} else if (lines.len > 0 && a->has_failed) {
		a->has_failed = false;
		log_info("the audit log is written again");
	}
	buf_clear(&lines);
}

/* -- Now and then -------------------------------------------------------------------------------------------------------------------------- */

static void
run(struct job *job)
{
	write_waiting(CONTAINER_OF(job, struct audit, job));
}

static void
on_written(struct job *job)
{
	CONTAINER_OF(job, struct audit, job)->is_writing = false;
}

static bool
has_waiting(struct audit *a)
{
	bool has;

	pthread_mutex_lock(&a->lock);
	has = a->waiting.len > 0;
	pthread_mutex_unlock(&a->lock);
	return has;
}

static void
on_timer(struct timer *timer)
{
	struct audit *a = CONTAINER_OF(timer, struct audit, timer);

	if (!a->is_writing && has_waiting(a)) {
		a->job = (struct job){ .run = run, .done = on_written, .owner = loop_owner(a->loop) };
		a->is_writing = pool_try(a->workers, &a->job);
	}
	timer_arm(timer, WRITE_EVERY_MS);
}

void
audit_put(struct audit *a, const char *json)
{
	size_t len = strlen(json);
	bool fits;

	if (!audit_is_on(a))
		return;
	pthread_mutex_lock(&a->lock);
	fits = a->waiting.len + len + 1 <= WAITING_MAX;
	if (fits) {
		buf_put(&a->waiting, json, len);
		buf_putc(&a->waiting, '\n');
	}
	pthread_mutex_unlock(&a->lock);
	if (!fits)
		metric_add(gateway_metric(METRIC_AUDIT_LEFT_OUT), 1);
}

bool
audit_is_on(const struct audit *a)
{
	return a->max_bytes > 0;
}

struct audit *
audit_open(const char *dir, uint64_t max_bytes, struct loop *loop, struct pool *workers)
{
	struct audit *a = NEW(audit);

	a->path = file_join(dir, "audit.log");
	a->older_path = file_join(dir, "audit.log.1");
	a->max_bytes = max_bytes;
	a->loop = loop;
	a->workers = workers;
	a->fd = -1;
	a->waiting = (struct buf)BUF_INIT(WAITING_MAX);
	pthread_mutex_init(&a->lock, NULL);
	timer_init(&a->timer, loop, on_timer);
	if (audit_is_on(a))
		timer_arm(&a->timer, WRITE_EVERY_MS);
	return a;
}

void
audit_close(struct audit *a)
{
	if (!a)
		return;
	timer_cancel(&a->timer);
	write_waiting(a);
	if (a->fd >= 0)
		close(a->fd);
	buf_clear(&a->waiting);
	pthread_mutex_destroy(&a->lock);
	mem_free(a->path);
	mem_free(a->older_path);
	mem_free(a);
}
