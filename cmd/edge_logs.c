/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge logs: from the journal, or from the files that the supervisor keeps. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "edge.h"
#include "edge_box.h"
#include "log_tail.h"
#include "page.h"
#include "since.h"

#define COMMAND "rootedge logs"
#define LOGS_MAX 8
#define READ_LEN 65536

struct options {
	const char *state, *since;
	int64_t tail;
	bool follow;
};

static const struct option_row rows[] = {
	EDGE_STATE_ROW(struct options),
	{ "follow", 'f', NULL, "go on with what is said from now on", OPTION_FLAG, offsetof(struct options, follow), 0, 0 },
	{ "since", 0, "WHEN", "from then on: 30min, 2h, 1d, or 2026-03-01T00:00:00Z", OPTION_TEXT, offsetof(struct options, since),
		0, 0 },
	{ "tail", 'n', "N", "the last N lines", OPTION_INT, offsetof(struct options, tail), 0, 10000000 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = COMMAND,
	.arguments = "[ROLE...]",
	.summary = "Print what the daemons of the edge device said: keyd, certd, identityd, edged, gateway; and edge, which keeps "
		   "them running.",
	.more = "Under systemd it is the journal's, otherwise that of STATE/logs, where each log has a ceiling.\n"
		"Exit status: 0 printed, 1 there is no edge device or no log, 2 called wrongly.",
	.rows = rows,
};

/* -- The journal ---------------------------------------------------------------------------------------------------------------------- */

static int
exec_journal(const struct options *o, char *const *roles, size_t n, struct err *err)
{
	const char *args[40] = { "journalctl", "--no-pager", "--output=short-iso" };
	size_t at = 3;
	char when[CLOCK_TEXT_LEN];
	int64_t since = 0;

	if (o->since && since_parse(o->since, clock_wall(), &since, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		args[at++] = "--unit";
		args[at++] = edge_unit_name(roles[i], "service");
	}
	if (o->since)
		args[at++] = mem_textf("--since=%.10s %.8s UTC", clock_text(since, when), when + 11);
	if (o->tail > 0)
		args[at++] = mem_textf("--lines=%lld", (long long)o->tail);
	if (o->follow)
		args[at++] = "--follow";
	execvp(args[0], (char *const *)(uintptr_t)args);
	return err_errno(err, "journalctl");
}

/* -- Files ---------------------------------------------------------------------------------------------------------------------------- */

/* A log that is followed: what was printed of it ends here. */
struct followed {
	char *path;
	int fd;
	struct buf partial;
};

static void
print_lines(struct log_lines *lines, const struct options *o, int64_t since)
{
	char from[CLOCK_TEXT_LEN];
	size_t first = 0;

	log_lines_sort(lines);
	clock_text_ms(since * 1000, from);
	while (o->since && first < lines->n && strcmp(lines->item[first].time, from) < 0)
		first++;
	if (o->tail > 0 && lines->n - first > (size_t)o->tail)
		first = lines->n - (size_t)o->tail;
	for (size_t i = first; i < lines->n; i++)
		printf("%.*s\n", (int)lines->item[i].len, lines->item[i].text);
	fflush(stdout);
}

static void
print_new(struct followed *f)
{
	char piece[READ_LEN];
	const uint8_t *end;
	ssize_t got;

	while (f->fd >= 0 && (got = read(f->fd, piece, sizeof(piece))) > 0)
		buf_put(&f->partial, piece, (size_t)got);
	while ((end = memchr(buf_text(&f->partial), '\n', f->partial.len))) {
		size_t len = (size_t)(end - f->partial.data) + 1;

		fwrite(f->partial.data, 1, len, stdout);
		buf_drop(&f->partial, len);
	}
	if (f->partial.failed)
		buf_clear(&f->partial);
	fflush(stdout);
}

/* The supervisor has begun a new file: what is left of the one before is printed first. */
static void
follow_new_file(struct followed *f)
{
	struct stat open_one, there;

	if (stat(f->path, &there) < 0 || (f->fd >= 0 && fstat(f->fd, &open_one) == 0 && open_one.st_ino == there.st_ino))
		return;
	print_new(f);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
}

static int
follow(struct followed *logs, size_t n, const char *dir, struct err *err)
{
	int watch = inotify_init1(IN_CLOEXEC);
	char events[4096];

	if (watch < 0 || inotify_add_watch(watch, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return err_errno(err, "watching %s", dir);
	do
		for (size_t i = 0; i < n; i++) {
			follow_new_file(&logs[i]);
			print_new(&logs[i]);
		}
	while (!ferror(stdout) && (read(watch, events, sizeof(events)) > 0 || errno == EINTR));
	return ferror(stdout) ? 0 : err_errno(err, "watching %s", dir);
}

static int
print_files(const struct options *o, char *const *names, size_t n, struct err *err)
{
	OWN_TEXT dir = mem_textf("%s/logs", o->state);
	struct followed logs[LOGS_MAX] = { 0 };
	struct log_lines lines = { 0 };
	int64_t since = 0;
	int status = 0;

	if (o->since && since_parse(o->since, clock_wall(), &since, err) < 0)
		return -1;
	if (access(dir, R_OK) < 0)
		return err_errno(err, "%s", dir);
	for (size_t i = 0; i < n; i++) {
		logs[i] = (struct followed){ .path = mem_textf("%s/%s.log", dir, names[i]), .partial = BUF_INIT(1 << 20) };
		/* Opened and at its end before it is loaded: a line of that moment rather twice than not at all. */
		logs[i].fd = open(logs[i].path, O_RDONLY | O_CLOEXEC);
		if (logs[i].fd >= 0)
			lseek(logs[i].fd, 0, SEEK_END);
		log_lines_load(&lines, logs[i].path);
	}
	print_lines(&lines, o, since);
	log_lines_clear(&lines);
	if (o->follow)
		status = follow(logs, n, dir, err);
	for (size_t i = 0; i < n; i++) {
		if (logs[i].fd >= 0)
			close(logs[i].fd);
		buf_clear(&logs[i].partial);
		mem_free(logs[i].path);
	}
	return status;
}

/* -- The verb --------------------------------------------------------------------------------------------------------------------------- */

static int
check_names(char *const *names, size_t n, struct err *err)
{
	if (n > LOGS_MAX)
		return err_set(err, ERR_INVALID, "more than %d roles", LOGS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!text_is(names[i], "edge") && edge_check_role(names[i], err) < 0)
			return -1;
	return 0;
}

int
edge_logs(int argc, char **argv)
{
	static const char *const all[] = { "edge", "keyd", "certd", "identityd", "edged", "gateway" };
	struct options o = { .state = EDGE_STATE_DEFAULT };
	struct err err = ERR_INIT;
	struct edge_box box = { 0 };
	int n = option_parse(&usage, &o, argc, argv, &err), status;
	char *const *names = n > 0 ? argv : (char *const *)(uintptr_t)all;
	OWN_TEXT files = mem_textf("%s/logs", o.state);

	if (n < 0 || check_names(names, n > 0 ? (size_t)n : COUNT(all), &err) < 0)
		return page_failure(COMMAND, &err, 2);
	/* Of a device that has ended too: that is when one wants to know. */
	if (edge_box_find(&box, o.state, &err) < 0 && !file_exists(files))
		return page_failure(COMMAND, &err, 1);
	err = (struct err)ERR_INIT;
	if (box.by_systemd)
		status = exec_journal(&o, n > 0 ? names : names + 1, n > 0 ? (size_t)n : COUNT(all) - 1, &err);
	else
		status = print_files(&o, names, n > 0 ? (size_t)n : COUNT(all), &err);
	return status < 0 ? page_failure(COMMAND, &err, 1) : 0;
}
