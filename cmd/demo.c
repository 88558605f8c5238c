/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge demo: the story of the two documents on one machine.  A hub, an edge device with its gateway, and a sensor are started as real processes with certificates made for them; the five
 * questions are answered by those who have to decide, and then the same doors stay shut for those who are not who they say.  All of it lies in one folder; nothing
 * stays when it ends, whatever ends it. */
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "demo_cast.h"
#include "demo_page.h"
#include "demo_papers.h"
#include "demo_testimony.h"
#include "page.h"

#define READINGS 5

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

struct demo {
	char *dir;
	struct cast cast;
	struct buf out;
	struct demo_page page;
	struct buf missing; /* a line for each thing that did not go as told */
};

__attribute__((format(printf, 2, 3))) static void
miss(struct demo *d, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	buf_vputf(&d->missing, fmt, args);
	buf_putc(&d->missing, '\n');
	va_end(args);
}

/* -- The five questions ----------------------------------------------------------------------------------------------------------------- */

struct question {
	const char *log, *who, *text;
};

static const struct question questions[] = {
	{ "edge", "edge", "Am I really talking to " CAST_HUB_HOST "?" },
	{ "hub", "hub", "Is this really " CAST_EDGE "?" },
	{ CAST_SENSOR, "device", "Am I really talking to " CAST_EDGE_HOST "?" },
	{ "edge", "gateway", "Is this really " CAST_SENSOR "?" },
	{ "edge", "edge", "Who may sign module certificates?" },
};

static struct verdict *
hear(struct demo *d, const struct question *q, size_t from, struct err *err)
{
	OWN_TEXT log = cast_log_path(&d->cast, q->log);

	return testimony_find(log, from, q->who, q->text, d->cast.stop_fd, err);
}

static int
answer(struct demo *d, size_t first, size_t n, struct err *err)
{
	for (size_t i = first; i < first + n; i++) {
		OWN(verdict) v = hear(d, &questions[i], 0, err);

		if (!v)
			return -1;
		demo_page_question(&d->page, (int)i + 1, v);
		page_print(&d->out);
		if (!verdict_accepted(v))
			miss(d, "the answer is no: %s", questions[i].text);
	}
	return 0;
}

/* -- Readings --------------------------------------------------------------------------------------------------------------------------- */

static int
count_at_hub(struct demo *d, struct buf *last, struct err *err)
{
	OWN_TEXT state = file_join(d->dir, "hub");

	return testimony_count_events(state, CAST_SENSOR, READINGS, last, d->cast.stop_fd, err);
}

static int
count_readings(struct demo *d, struct err *err)
{
	CLEAR(buf) last = BUF_INIT(1 << 20);
	int n = count_at_hub(d, &last, err);

	if (n < 0)
		return -1;
	demo_page_heading(&d->page, "Telemetry");
	demo_page_outcome(
		&d->page, n == READINGS, "%d of %d readings of TempSensor came through EdgeGateway to ContosoIotHub", n, READINGS);
	demo_page_row(&d->page, "the last", "%s", buf_text(&last));
	page_print(&d->out);
	if (n != READINGS)
		miss(d, "%d of %d readings came to the hub", n, READINGS);
	return 0;
}

/* -- Those who are not who they say ----------------------------------------------------------------------------------------------------- */

struct refusal {
	const char *title;
	struct cast_device device;
	struct question question;
	enum reason reason;
};

static const struct refusal refusals[] = {
	{ "An impostor: TempSensor's name, the same issuer, another certificate",
		{ "impostor", PAPER_IMPOSTOR, PAPER_ROOT, CAST_EDGE_HOST, 1 },
		{ "edge", "gateway", "Is this really " CAST_SENSOR "?" }, THUMBPRINT_MISMATCH },
	{ "A wrong name: TempSensor looks for its gateway as edgegateway.lan",
		{ "wrong-name", PAPER_SENSOR, PAPER_ROOT, "edgegateway.lan", 1 },
		{ "wrong-name", "device", "Am I really talking to edgegateway.lan?" }, NAME_MISMATCH },
	{ "An unknown root: TempSensor was given another one than the gateway's",
		{ "unknown-root", PAPER_SENSOR, PAPER_OTHER_ROOT, CAST_EDGE_HOST, 1 },
		{ "unknown-root", "device", "Am I really talking to " CAST_EDGE_HOST "?" }, TRUST_UNKNOWN_ISSUER },
};

static int
refuse(struct demo *d, const struct refusal *r, struct err *err)
{
	OWN_TEXT log = cast_log_path(&d->cast, r->question.log);
	size_t from = testimony_length(log);
	int status = cast_run_device(&d->cast, &r->device, err);
	OWN(verdict) v = status < 0 ? NULL : hear(d, &r->question, from, err);

	if (!v)
		return -1;
	demo_page_refusal(&d->page, r->title, v);
	buf_putc(&d->out, '\n');
	page_print(&d->out);
	if (status == 0 || verdict_cause(v) != r->reason)
		miss(d, "not refused with %s: %s", reason_row(r->reason)->code, r->title);
	return 0;
}

static int
refuse_all(struct demo *d, struct err *err)
{
	int n;

	demo_page_heading(&d->page, "Refused, each for its reason");
	for (size_t i = 0; i < COUNT(refusals); i++)
		if (refuse(d, &refusals[i], err) < 0)
			return -1;
	n = count_at_hub(d, NULL, err);
	if (n >= 0 && n != READINGS)
		miss(d, "somebody who was refused has sent a reading: the hub has %d", n);
	return n < 0 ? -1 : 0;
}

/* -- What to try ------------------------------------------------------------------------------------------------------------------------ */

static int
write_env(const struct demo *d, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(8192);
	OWN_TEXT path = file_join(d->dir, "env");
	OWN_TEXT own = file_own_dir();
	OWN_TEXT hub = cast_service_string(&d->cast, err);

	if (!hub)
		return -1;
	buf_putf(&text, "# . ./env\nexport PATH='%s':\"$PATH\"\nexport ROOTEDGE_HUB='%s'\n", own, hub);
	return file_save(path, text.data, text.len, 0600, err);
}

static void
put_commands(struct demo *d)
{
	int port = cast_gateway_port(&d->cast);

	demo_page_heading(&d->page, "It goes on until Ctrl-C.  In another shell:");
	buf_putf(d->page.out,
		"\n"
		"cd '%s' && . ./env\n"
		"\n"
		"# question 3, asked by openssl: depth 3 to 0, as TempSensor sees it\n"
		"openssl s_client -connect 127.0.0.1:%d -CAfile " PAPER_ROOT ".cert.pem -showcerts -servername " CAST_EDGE_HOST
		" -verify_hostname " CAST_EDGE_HOST " </dev/null\n"
		"\n"
		"# questions 2 and 4: the certificate's fingerprint, and what the hub has on record\n"
		"openssl x509 -noout -fingerprint -sha256 -in " PAPER_SENSOR ".cert.pem\n"
		"rootedge hub device show --device-id " CAST_SENSOR " --ca " PAPER_ROOT ".cert.pem --connect-to 127.0.0.1\n"
		"\n"
		"# a reading of your own, and all that arrives at the hub\n"
		"mosquitto_pub -h 127.0.0.1 -p %d --cafile " PAPER_ROOT ".cert.pem --cert " PAPER_SENSOR
		".cert.pem --key " PAPER_SENSOR ".key.pem -i " CAST_SENSOR " -u '" CAST_HUB_HOST "/" CAST_SENSOR
		"/?api-version=2021-04-12' -t devices/" CAST_SENSOR "/messages/events/ -q 1 -m '{\"temperature\":19.5}'\n"
		"rootedge hub events --state hub --follow\n",
		d->dir, port, port);
}

static int
put_connection_strings(struct demo *d, struct err *err)
{
	OWN_TEXT service = cast_service_string(&d->cast, err);

	if (!service)
		return -1;
	demo_page_heading(&d->page, "Connection strings");
	demo_page_row(&d->page, "service", "%s", service);
	demo_page_row(&d->page, "device",
		"HostName=" CAST_HUB_HOST ";DeviceId=" CAST_SENSOR ";x509=true;GatewayHostName=" CAST_EDGE_HOST);
	return 0;
}

static int
keep(struct demo *d, struct err *err)
{
	struct pollfd p[] = { { .fd = d->cast.stop_fd, .events = POLLIN }, { .fd = d->cast.hub->pid_fd, .events = POLLIN },
		{ .fd = d->cast.edge->pid_fd, .events = POLLIN } };

	if (write_env(d, err) < 0)
		return -1;
	put_commands(d);
	if (put_connection_strings(d, err) < 0)
		return -1;
	page_print(&d->out);
	while (poll(p, COUNT(p), -1) < 0 && errno == EINTR)
		;
	return 0;
}

/* -- The story -------------------------------------------------------------------------------------------------------------------------- */

static void
introduce(struct demo *d)
{
	const struct cast *c = &d->cast;

	demo_page_heading(&d->page, "A hub, an edge gateway and a sensor on this machine, each a process of its own");
	buf_puts(&d->out, "\n   TempSensor ───3 4───▶ EdgeGateway ───1 2───▶ ContosoIotHub\n\n");
	demo_page_row(&d->page, "hub", CAST_HUB_HOST " on 127.0.0.1: MQTT port %d, HTTPS port %d", cast_hub_mqtt_port(c),
		cast_hub_https_port(c));
	demo_page_row(&d->page, "gateway", CAST_EDGE_HOST " on 127.0.0.1: MQTT port %d", cast_gateway_port(c));
	page_print(&d->out);
}

static int
play(struct demo *d, struct err *err)
{
	static const struct cast_device sensor = { CAST_SENSOR, PAPER_SENSOR, PAPER_ROOT, CAST_EDGE_HOST, READINGS };

	if (papers_make(d->dir, err) < 0 || cast_start_hub(&d->cast, err) < 0 || cast_register(&d->cast, err) < 0 ||
		cast_start_edge(&d->cast, err) < 0)
		return -1;
	introduce(d);
	if (answer(d, 0, 2, err) < 0)
		return -1;
	if (cast_gateway_port(&d->cast) == 0)
		return err_set(err, ERR_MISSING, CAST_EDGE " has no gateway: rootedge-gateway is not installed");
	if (cast_run_device(&d->cast, &sensor, err) < 0 || answer(d, 2, 3, err) < 0 || count_readings(d, err) < 0)
		return -1;
	return refuse_all(d, err);
}

static void
conclude(struct demo *d, const struct options *o, int64_t took_ms)
{
	if (d->missing.len > 0)
		demo_page_outcome(&d->page, false, "Not all went as it should");
	else
		demo_page_outcome(&d->page, true, "Five questions answered, %d readings delivered, three refused, in %d.%d s",
			READINGS, (int)(took_ms / 1000), (int)(took_ms % 1000 / 100));
	if (!o->keep)
		buf_puts(&d->out, "     rootedge demo --keep leaves it running and says what to try.\n");
	page_print(&d->out);
}

/* -- The folder ------------------------------------------------------------------------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static char *
make_temporary_dir(struct err *err)
{
	const char *parent = getenv("TMPDIR");
	OWN_TEXT dir = mem_textf("%s/rootedge-demo-XXXXXX", parent && *parent ? parent : "/tmp");

	return mkdtemp(dir) ? GIVE(dir) : err_errno_null(err, "%s", dir);
}

static char *
make_named_dir(const char *path, struct err *err)
{
	if (file_make_dir(path, 0711, err) < 0)
		return NULL;
	/* Removes an empty folder only: what somebody has in there is not ours to mix with. */
	if (rmdir(path) < 0)
		return err_errno_null(err, "%s: a new or empty folder is needed", path);
	return file_make_dir(path, 0711, err) < 0 ? NULL : mem_text(path);
}

/* The roles of an edge device may have users of their own, who pass through. */
static char *
make_dir(const char *state, struct err *err)
{
	OWN_TEXT given = state ? make_named_dir(state, err) : make_temporary_dir(err);
	char *dir = given ? realpath(given, NULL) : NULL;

	if (given && (!dir || chmod(dir, 0711) < 0))
		(void)err_errno(err, "%s", given);
	return dir;
}

/* -- All of it -------------------------------------------------------------------------------------------------------------------------- */

/* Signals wait in a descriptor that every wait looks at, so that none comes between. */
static int
hold_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT(ends); i++)
		sigaddset(&set, ends[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

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

/* Ending them all comes first; what there is to say does not change any more. */
static int
finish(struct demo *d, const struct options *o, int done, const struct err *err)
{
	const struct child *ended = cast_find_ended(&d->cast);
	bool interrupted = is_interrupted(d);

	if (done < 0)
		miss(d, "%s", err->text);
	if (ended)
		miss(d, "the %s ended before its time", ended->name);
	cast_clear(&d->cast);
	if (!o->state)
		nftw(d->dir, remove_one, 16, FTW_PHYS | FTW_DEPTH);
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
	int64_t started = clock_boot_ms();
	struct err err = ERR_INIT;
	int done = play(d, &err);

	if (done == 0) {
		conclude(d, o, clock_boot_ms() - started);
		done = o->keep ? keep(d, &err) : 0;
	}
	return finish(d, o, done, &err);
}

int
cmd_demo(int argc, char **argv)
{
	struct options o = { 0 };
	struct demo d = { .out = BUF_INIT(PAGE_MAX), .missing = BUF_INIT(65536) };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), status;

	if (n > 0)
		err_set(&err, ERR_INVALID, "takes options only");
	if (n != 0)
		return page_failure(usage.command, &err, 2);
	d.cast.stop_fd = hold_signals();
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
