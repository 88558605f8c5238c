/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge hub seed: many devices at once into the registry of a hub that doesn't run.  Straight into its state folder: that takes a fifth of the time that
 * requests of a hundred take, no certificate and no key. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "hub.h"
#include "hub/client.h"
#include "seed_file.h"

#define REFUSED_SHOWN 20
#define LOOK_MASK 0x3ff /* look at the clock once in so many devices */
#define REDRAW_MS 100
#define BAR_WIDTH 30

struct options {
	const char *state;
	bool update, json;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the hub's state folder (" HUB_STATE_DEFAULT ")", OPTION_TEXT, offsetof(struct options, state), 0,
		0 },
	{ "update", 'u', NULL, "change devices that are there already; without it they are left as they are", OPTION_FLAG,
		offsetof(struct options, update), 0, 0 },
	{ "json", 'j', NULL, "the summary as JSON", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge hub seed",
	.arguments = "FILE",
	.summary = "Put many devices and modules into the registry of a hub that is stopped; FILE is - for standard input.",
	.more = "The file is a JSON array or an object a line, each as the REST API takes it, or CSV whose first line names the "
		"columns: deviceId, "
		"moduleId, auth (sas, selfSigned, certificateAuthority, none), primaryKey, secondaryKey, primaryThumbprint, "
		"secondaryThumbprint, "
		"status, statusReason, edge (true, false), scope or parent (the id of a gateway), tags.NAME, desired.NAME.  Keys "
		"that are not "
		"given are made.  A gateway stands before its children, a device before its modules; sorted by deviceId it is "
		"fastest.  What was "
		"interrupted is run again: devices that are there already are left as they are.  Ends with 1 when a device was "
		"refused.",
	.rows = rows,
};

/* -- Progress on a terminal ----------------------------------------------------------------------------------------------------------- */

struct run {
	struct seed_file file;
	struct hub_seed *seed;
	uint64_t size, n; /* of the file, 0 unknown; devices read */
	int64_t begun_ms, drawn_ms;
	uint64_t shown; /* refused */
	bool bar;
};

static void
wipe_bar(struct run *run)
{
	if (run->bar && run->drawn_ms > 0)
		fputs("\r\033[K", stderr);
}

static void
draw_bar(struct run *run)
{
	int64_t now = clock_boot_ms();
	int full;

	if (!run->bar || (run->n & LOOK_MASK) != 0 || now - run->drawn_ms < REDRAW_MS)
		return;
	run->drawn_ms = now;
	if (run->size == 0) {
		fprintf(stderr, "\r%llu devices", (unsigned long long)run->n);
		return;
	}
	full = (int)(run->file.n_bytes * BAR_WIDTH / run->size);
	fprintf(stderr, "\r[%.*s%*s] %3d %%  %llu devices", full, "##############################", BAR_WIDTH - full, "",
		(int)(run->file.n_bytes * 100 / run->size), (unsigned long long)run->n);
}

static void
on_refused(void *arg, uint64_t line, const char *why)
{
	struct run *run = arg;

	if (run->shown++ >= REFUSED_SHOWN)
		return;
	wipe_bar(run);
	fprintf(stderr, "line %llu: %s\n", (unsigned long long)line, why);
}

/* -- The work ---------------------------------------------------------------------------------------------------------------------------- */

static int
put_all(struct run *run, struct err *err)
{
	json_t *device = NULL;
	int got, done = 0;

	while (done == 0 && (got = seed_file_next(&run->file, &device, err)) != 0) {
		if (got < 0) {
			/* What stands before is good, and the summary says how much of it there was. */
			struct err other = ERR_INIT;

			return hub_seed_flush(run->seed, &other) < 0 ? -1 : got;
		}
		done = hub_seed_put(run->seed, device, run->file.line, err);
		json_decref(device);
		run->n++;
		draw_bar(run);
	}
	return done < 0 ? -1 : hub_seed_flush(run->seed, err);
}

static void
print_summary(struct run *run, bool json)
{
	struct hub_seed_counts n = hub_seed_counts(run->seed);
	double seconds = (double)(clock_boot_ms() - run->begun_ms) / 1000;

	wipe_bar(run);
	if (run->shown > REFUSED_SHOWN)
		fprintf(stderr, "and %llu more that were refused\n", (unsigned long long)(run->shown - REFUSED_SHOWN));
	if (json)
		printf("{\"created\":%llu,\"updated\":%llu,\"existing\":%llu,\"refused\":%llu,\"seconds\":%."
		       "3f}\n",
			(unsigned long long)n.created, (unsigned long long)n.updated, (unsigned long long)n.existing,
			(unsigned long long)n.refused, seconds);
	else
		printf("%llu created, %llu updated, %llu were there already, %llu refused, in %.1f s\n",
			(unsigned long long)n.created, (unsigned long long)n.updated, (unsigned long long)n.existing,
			(unsigned long long)n.refused, seconds);
}

static int
run_file(struct run *run, FILE *in, const struct options *o, struct err *err)
{
	struct stat st;
	int done;

	if (fstat(fileno(in), &st) == 0 && S_ISREG(st.st_mode))
		run->size = (uint64_t)st.st_size;
	if (seed_file_open(&run->file, in, err) < 0)
		return -1;
	run->seed = hub_seed_open(o->state, o->update, on_refused, run, err);
	if (!run->seed)
		return -1;
	done = put_all(run, err);
	print_summary(run, o->json);
	return done < 0 ? -1 : hub_seed_counts(run->seed).refused > 0;
}

int
hub_seed(int argc, char **argv)
{
	struct options o = { .state = HUB_STATE_DEFAULT };
	struct run run = { .begun_ms = clock_boot_ms(), .bar = isatty(STDERR_FILENO) };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), done = -1;
	FILE *in;

	if (n != 1) {
		fprintf(stderr, "%s\n", n < 0 ? err.text : "rootedge hub seed: one FILE is needed (rootedge hub seed --help)");
		return 2;
	}
	in = text_is(argv[0], "-") ? stdin : fopen(argv[0], "re");
	if (!in)
		(void)err_errno(&err, "cannot open %s", argv[0]);
	else
		done = run_file(&run, in, &o, &err);
	if (done < 0)
		fprintf(stderr, "rootedge hub seed: %s\n", err.text);
	hub_seed_close(run.seed);
	seed_file_clear(&run.file);
	if (in && in != stdin)
		fclose(in);
	return done < 0 ? 1 : done;
}
