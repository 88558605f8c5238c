/* SPDX-License-Identifier: Apache-2.0 */
/* Where routes come from, and which hold. */
#include "gateway/routes/route_source.h"

#include "base/file.h"
#include "base/mem.h"
#include "gateway/routes/routes.h"
#include "t.h"
#include "wire/json.h"

#define DOCUMENT(name) "{\"schemaVersion\":\"1.1\",\"routes\":{\"" name "\":\"FROM /* INTO $upstream\"}}"

struct fixture {
	struct route_source_config config;
	struct route_source *source;
	char *dir, *file;
	char holds[64]; /* the name of the first route that holds */
	int n_applied;
	bool is_refused; /* by whom they are applied to */
};

static int
on_apply(void *arg, struct routes *routes, struct err *err)
{
	struct fixture *f = arg;

	if (f->is_refused)
		return err_set(err, ERR_LIMIT, "too many inputs");
	snprintf(f->holds, sizeof(f->holds), "%s", routes->n > 0 ? routes->row[0].name : "none");
	f->n_applied++;
	return 0;
}

static void
open_source(struct fixture *f)
{
	f->holds[0] = '\0';
	f->source = route_source_open(&f->config);
}

static void
write_file(const struct fixture *f, const char *text)
{
	struct err err = ERR_INIT;

	CHECK_OK(file_save(f->file, text, strlen(text), 0600, &err), err);
}

static void
start(struct fixture *f, const char *name, const char *file)
{
	struct err err = ERR_INIT;

	*f = (struct fixture){ .dir = mem_textf("%s/%s", T_TMPDIR, name) };
	f->file = file_join(f->dir, "operator.json");
	CHECK_OK(file_make_dir(f->dir, 0700, &err), err);
	f->config = (struct route_source_config){
		.state_dir = f->dir, .file = f->file, .loop = loop_new("t"), .apply = on_apply, .arg = f
	};
	if (file)
		write_file(f, file);
	open_source(f);
}

static void
restart(struct fixture *f)
{
	route_source_free(f->source);
	open_source(f);
}

static void
stop(struct fixture *f)
{
	route_source_free(f->source);
	loop_free(f->config.loop);
	mem_free(f->dir);
	mem_free(f->file);
}

/* What the hub is told: "" where it is fine. */
static const char *
desire(struct fixture *f, const char *text)
{
	static struct err err;
	OWN_LIB(json_t) desired = json_parse(text, strlen(text), &err);

	CHECK(desired);
	err = (struct err)ERR_INIT;
	return route_source_desired(f->source, desired, &err) == 0 ? "" : err.text;
}

TEST("the operator's file holds until the hub has routes, and again when it has none any more")
{
	struct fixture f;

	start(&f, "order", DOCUMENT("operator"));
	CHECK_STR(f.holds, "operator");
	CHECK_STR(desire(&f, "{\"other\":1}"), "");
	CHECK_STR(f.holds, "operator");
	CHECK_STR(desire(&f, DOCUMENT("hub")), "");
	CHECK_STR(f.holds, "hub");
	CHECK_STR(desire(&f, "{\"other\":1}"), "");
	CHECK_STR(f.holds, "operator");
	restart(&f);
	CHECK_STR(f.holds, "operator");
	stop(&f);
}

TEST("without a file it is the default that comes back when the hub has no routes any more")
{
	struct fixture f;

	start(&f, "default", NULL);
	route_source_free(f.source);
	f.config.file = NULL;
	open_source(&f);
	CHECK_STR(f.holds, "");
	CHECK_STR(desire(&f, DOCUMENT("hub")), "");
	CHECK_STR(desire(&f, "{}"), "");
	CHECK_STR(f.holds, "upstream");
	stop(&f);
}

TEST("routes of the hub of which something does nothing hold, and that is said each time, to the hub as well")
{
	struct fixture f;
	const char *text = "{\"schemaVersion\":\"1.1\",\"routes\":{\"x\":{\"route\":\"FROM /* INTO $upstream\",\"prority\":5}}}";

	start(&f, "remarks", NULL);
	for (int i = 0; i < 2; i++) {
		OWN_LIB(json_t) desired = json_loads(text, 0, NULL);
		struct err err = ERR_INIT;

		CHECK_INT(route_source_desired(f.source, desired, &err), 0);
		CHECK_CONTAINS(err.text, "\"prority\"");
		CHECK_STR(f.holds, "x");
	}
	CHECK_STR(desire(&f, DOCUMENT("good")), "");
	stop(&f);
}

TEST("wrong routes of the hub are reported with why, and the last good ones hold, through a restart without the hub as well")
{
	struct fixture f;

	start(&f, "wrong", DOCUMENT("operator"));
	CHECK_STR(desire(&f, DOCUMENT("good")), "");
	CHECK_CONTAINS(desire(&f, "{\"schemaVersion\":\"1.1\",\"routes\":{\"x\":\"FROM /* WHERE INTO $upstream\"}}"),
		"route x: at character 15");
	CHECK_STR(f.holds, "good");
	f.is_refused = true;
	CHECK_CONTAINS(desire(&f, DOCUMENT("many")), "too many inputs");
	f.is_refused = false;
	restart(&f);
	CHECK_STR(f.holds, "good");
	stop(&f);
}

TEST("a kept document that is damaged is passed over, and the file holds")
{
	struct fixture f;
	struct err err = ERR_INIT;
	OWN_TEXT kept = NULL;

	start(&f, "damaged", DOCUMENT("operator"));
	CHECK_STR(desire(&f, DOCUMENT("hub")), "");
	kept = file_join(f.dir, "routes.json");
	CHECK_OK(file_save(kept, "{\"schemaVersion\":\"1.", 20, 0600, &err), err);
	restart(&f);
	CHECK_STR(f.holds, "operator");
	stop(&f);
}

static void
run_until(struct fixture *f, int n_applied)
{
	while (f->n_applied < n_applied)
		loop_run_once(f->config.loop);
}

TEST("a file that changes is taken when it is right, and changes nothing while it is wrong")
{
	struct fixture f;

	start(&f, "changes", "{\"schemaVersion\":\"9\"}");
	CHECK_STR(f.holds, "");
	write_file(&f, DOCUMENT("second"));
	run_until(&f, 1);
	CHECK_STR(f.holds, "second");
	stop(&f);
}
