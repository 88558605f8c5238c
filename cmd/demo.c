/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge demo: the story of the two documents on one machine.  A hub, an edge device with its gateway, and a sensor are
 * started as real processes with certificates made for them; the five questions are answered by those who have to decide, and
 * then the same doors stay shut for those who are not who they say.  All of it lies in one folder; no process stays when it ends,
 * whatever ends it. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "demo.h"
#include "page.h"
#include "stage.h"

struct options {
	const char *state;
	bool keep;
};

static const struct option_row rows[] = {
	{ "keep", 'k', NULL, "leave it running until Ctrl-C, and print what to try", OPTION_FLAG, offsetof(struct options, keep), 0,
		0 },
	{ "state", 's', "DIR", "a new or empty folder for all of it, which stays; otherwise a temporary one", OPTION_TEXT,
		offsetof(struct options, state), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge demo",
	.arguments = "",
	.summary = "A hub, an edge gateway and a sensor on this machine, and the five questions by which they come to trust each "
		   "other.",
	.more = "Exit status: 0 all went as told, 1 something did not, 2 called wrongly.",
	.rows = rows,
};

/* -- The folder -------------------------------------------------------------------------------------------------------------- */

static bool
is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		n += !text_is(entry->d_name, ".") && !text_is(entry->d_name, "..");
	if (dir)
		closedir(dir);
	return dir && n == 0;
}

/* What somebody has in a folder is not ours to mix with. */
static char *
make_named_dir(const char *path, struct err *err)
{
	struct stat st;

	if (file_make_dir(path, 0711, err) < 0)
		return NULL;
	if (stat(path, &st) < 0 || st.st_uid != geteuid())
		return err_null(err, ERR_DENIED, "%s: a folder of one's own is needed", path);
	return is_empty(path) ? mem_text(path) : err_null(err, ERR_CONFLICT, "%s: a new or empty folder is needed", path);
}

/* The roles of an edge device may have users of their own, who pass through. */
static char *
make_dir(const char *state, struct err *err)
{
	OWN_TEXT given = state ? make_named_dir(state, err) : stage_make_dir("demo", false, err);
	char *dir;

	if (!given)
		return NULL;
	dir = realpath(given, NULL);
	return dir && chmod(dir, 0711) == 0 ? dir : err_errno_null(err, "%s", given);
}

/* -- All of it --------------------------------------------------------------------------------------------------------------- */

static bool
is_interrupted(const struct demo *d)
{
	return poll(&(struct pollfd){ .fd = d->cast.stop_fd, .events = POLLIN }, 1, 0) == 1;
}

static void
tell_missing(const struct demo *d, const struct options *o)
{
	for (const char *line = buf_text(&d->missing), *end; (end = strchr(line, '\n')); line = end + 1)
		fprintf(stderr, "rootedge demo: %.*s\n", (int)(end - line), line);
	if (o->state)
		fprintf(stderr, "rootedge demo: the logs are in %s/logs\n", d->dir);
	else
		fputs("rootedge demo: --state DIR keeps the logs\n", stderr);
}

/* What was missing, and what broke it off, after all has ended. */
static int
finish(struct demo *d, const struct options *o, int done, const struct err *err)
{
	const struct child *ended = cast_find_ended(&d->cast);
	bool interrupted = done < 0 && is_interrupted(d);

	if (done < 0)
		buf_putf(&d->missing, "%s\n", err->text);
	if (ended)
		buf_putf(&d->missing, "the %s ended before its time\n", ended->name);
	cast_clear(&d->cast);
	if (!o->state)
		stage_remove_dir(d->dir);
	if (d->missing.len == 0)
		return 0;
	if (interrupted)
		fputs("rootedge demo: interrupted\n", stderr);
	else
		tell_missing(d, o);
	return 1;
}

static int
run(struct demo *d, const struct options *o)
{
	struct err err = ERR_INIT;
	int done = demo_story(d, &err);

	if (done == 0 && o->keep) {
		done = demo_keep(d, &err);
	} else if (done == 0) {
		buf_puts(&d->out, "     rootedge demo --keep leaves it running and says what to try.\n");
		page_print(&d->out);
	}
	return finish(d, o, done, &err);
}

int
cmd_demo(int argc, char **argv)
{
	struct options o = { 0 };
	struct demo d = { .out = BUF_INIT(PAGE_MAX), .missing = BUF_INIT(65536) };
	struct err err = ERR_INIT;
	int status = page_options(&usage, &o, argc, argv);

	if (status != 0)
		return status;
	d.cast.stop_fd = stage_hold_signals();
	d.dir = make_dir(o.state, &err);
	if (!d.dir)
		return page_failure(usage.command, &err, 1);
	d.cast.dir = d.dir;
	d.page = (struct demo_page){ .out = &d.out, .colour = page_has_colour() };
	setenv("ROOTEDGE_LOG", "info,json", 1); /* the children's: their verdicts are read from it */
	unsetenv("ROOTEDGE_READY_FD");
	status = run(&d, &o);
	close(d.cast.stop_fd);
	buf_clear(&d.out);
	buf_clear(&d.missing);
	free(d.dir);
	return status;
}
