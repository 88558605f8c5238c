/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge gateway twin: what a device below the gateway goes by, and what is desired of it here. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway_tool.h"
#include "page.h"
#include "wire/json.h"

#define COMMAND "rootedge gateway twin"
#define PATCH_MAX (256 << 10) /* what the gateway takes */

static const struct option_row rows[] = { GATEWAY_ROWS, { 0 } };

/* -- What is read ------------------------------------------------------------------------------------------------------------------------------- */

static int
read_all(struct buf *text, int fd, struct err *err)
{
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0 && !text->failed)
		buf_put(text, piece, (size_t)n);
	return n == 0 && !text->failed
		       ? 0
		       : err_set(err, ERR_INVALID, "standard input can't be read, or has more than %d bytes", PATCH_MAX);
}

static json_t *
read_patch(const char *word, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(PATCH_MAX);
	json_t *patch;

	if (text_is(word, "-") ? read_all(&text, STDIN_FILENO, err) < 0 : *word == '@' && file_load(&text, word + 1, err) < 0)
		return NULL;
	patch = text_is(word, "-") || *word == '@' ? json_parse(text.data, text.len, err) : json_parse(word, strlen(word), err);
	if (json_is_object(patch))
		return patch;
	json_decref(patch);
	return err->kind == ERR_NONE ? err_null(err, ERR_INVALID, "desired properties are a JSON object")
				     : err_wrap_null(err, "PATCH");
}

/* -- What is shown ------------------------------------------------------------------------------------------------------------------------------- */

static void
put_json(const char *name, const json_t *value)
{
	OWN_TEXT text = json_line(value);

	printf("%-14s %s\n", name, text);
}

static void
print_twin(const char *name, const json_t *twin)
{
	const json_t *properties = json_object_get(twin, "properties"), *hub = json_object_get(twin, "hub");
	const json_t *local = json_object_get(twin, "local");

	printf("%-14s %s\n", "name", name);
	put_json("desired", json_object_get(properties, "desired"));
	if (json_object_size(local) > 0)
		put_json("set here", local);
	if (json_is_object(hub))
		printf("%-14s version %lld of what it desires is known\n", "the hub",
			(long long)json_integer_value(json_object_get(json_object_get(hub, "desired"), "$version")));
	else
		printf("%-14s its twin was never read\n", "the hub");
	put_json("reported", json_object_get(properties, "reported"));
	if (json_is_true(json_object_get(twin, "due")))
		printf("%-14s what was reported is not at the hub yet\n", "");
}

/* -- The verbs ------------------------------------------------------------------------------------------------------------------------------------ */

struct verb {
	const char *name, *method, *path;
	int n; /* words, with its own */
};
static const struct verb verbs[] = {
	{ "show", "GET", "twin", 2 },
	{ "set", "PATCH", "twin/desired", 3 },
	{ "reset", "DELETE", "twin/desired", 2 },
};

static int
run(const struct verb *verb, const struct gateway_options *o, char *const *words, struct err *err)
{
	OWN_LIB(json_t) patch = verb->n > 2 ? read_patch(words[2], err) : NULL;
	OWN_TEXT device = err->kind == ERR_NONE ? gateway_device_path(words[1], err) : NULL;
	OWN_TEXT path = device ? mem_textf("%s/%s", device, verb->path) : NULL;
	OWN_LIB(json_t) twin = path ? gateway_ask(o, verb->method, path, patch, 0, err) : NULL;

	if (!twin)
		return -1;
	if (o->json)
		gateway_print_json(twin);
	else
		print_twin(words[1], twin);
	return 0;
}

int
gateway_twin(int argc, char **argv)
{
	static const struct option_usage usage = {
		.command = COMMAND,
		.arguments = "show DEVICE[/MODULE] | set DEVICE[/MODULE] PATCH|@FILE|- | reset DEVICE[/MODULE]",
		.summary = "Show the twin of a device below the gateway as it is kept there; merge desired properties into it that "
			   "hold here, "
			   "with and without the hub, until the hub writes the same ones; or take all of those back.",
		.more = "A null in PATCH removes a property. What was set here does not go to the hub.\nExit status: 0 done, 1 "
			"refused, or no "
			"gateway, 2 called wrongly.",
		.rows = rows,
	};
	struct gateway_options o = { .state = GATEWAY_STATE_DEFAULT };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err);

	for (size_t i = 0; i < COUNT(verbs) && n > 0; i++)
		if (n == verbs[i].n && text_is(argv[0], verbs[i].name))
			return run(&verbs[i], &o, argv, &err) < 0 ? page_failure(COMMAND, &err, 1) : 0;
	return page_failure(
		COMMAND, n < 0 ? &err : &(struct err){ .text = "show, set or reset a DEVICE[/MODULE]; --help tells more" }, 2);
}
