/* SPDX-License-Identifier: Apache-2.0 */
/* From a table of verbs to a command line, a request and an answer on the screen (hub_tool.h). */
#include "hub_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "page.h"
#include "verbs.h"
#include "wire/codec.h"

#define PATH_MAX_BYTES 8192
#define CERT_FILE_MAX (64 << 10)
#define JSON_FILE_MAX (4 << 20)
#define PAGE 1000

static const struct hub_tool_service hub = {
	.command = "rootedge hub", .option = "hub", .environment = "ROOTEDGE_HUB", .it = "the hub"
};
const struct hub_tool_service hub_tool_provisioning = {
	.command = "rootedge provisioning", .option = "login", .environment = "ROOTEDGE_PROVISIONING", .it = "provisioning"
};

static const struct hub_tool_service *
service_of(const struct hub_noun *noun)
{
	return noun->service ? noun->service : &hub;
}

/* -- For the verbs ------------------------------------------------------------------------------------------------------------- */

const char *
hub_tool_or_environment(const char *given, const char *name)
{
	const char *set = given ? given : getenv(name);

	return set && *set ? set : NULL;
}

int
hub_tool_need(const char *value, const char *option, struct err *err)
{
	return value ? 0 : err_set(err, ERR_INVALID, "--%s is missing", option);
}

char *
hub_tool_path(const char *noun, const char *device_id, const char *module_id, const char *rest)
{
	CLEAR(buf) path = BUF_INIT(PATH_MAX_BYTES);

	buf_puts(&path, noun);
	if (device_id) {
		buf_putc(&path, '/');
		percent_encode(&path, device_id, strlen(device_id));
	}
	if (module_id) {
		buf_puts(&path, "/modules/");
		percent_encode(&path, module_id, strlen(module_id));
	}
	if (rest)
		buf_putf(&path, "/%s", rest);
	return buf_take_text(&path);
}

json_t *
hub_tool_json(const char *text, const char *option, struct err *err)
{
	CLEAR(buf) file = BUF_INIT(JSON_FILE_MAX);
	json_t *value;

	if (*text == '@' && file_load(&file, text + 1, err) < 0)
		return NULL;
	value = *text == '@' ? json_parse(file.data, file.len, err) : json_parse(text, strlen(text), err);
	if (!value)
		(void)err_wrap(err, "--%s", option);
	return value;
}

json_t *
hub_tool_cert(const char *path, struct err *err)
{
	CLEAR(buf) bytes = BUF_INIT(CERT_FILE_MAX);
	CLEAR(buf) text = BUF_INIT(2 * CERT_FILE_MAX);

	if (file_load(&bytes, path, err) < 0)
		return NULL;
	if (text_is_utf8((const char *)bytes.data, bytes.len) && strstr(buf_text(&bytes), "-----BEGIN"))
		return json_string(buf_text(&bytes));
	base64_encode(&text, bytes.data, bytes.len);
	return json_string(buf_text(&text));
}

int
hub_tool_auth(json_t **out, const char *method, const char *primary, const char *secondary, struct err *err)
{
	if (!method)
		method = primary || secondary ? "x509_thumbprint" : "";
	if (text_is(method, "shared_private_key"))
		*out = json_pack("{s:s, s:{s:s, s:s}}", "type", "sas", "symmetricKey", "primaryKey", "", "secondaryKey", "");
	else if (text_is(method, "x509_ca"))
		*out = json_pack("{s:s}", "type", "certificateAuthority");
	else if (text_is(method, "x509_thumbprint"))
		*out = json_pack("{s:s, s:{s:s?, s:s?}}", "type", "selfSigned", "x509Thumbprint", "primaryThumbprint", primary,
			"secondaryThumbprint", secondary);
	else if (*method)
		return err_set(err, ERR_INVALID, "--auth-method is shared_private_key, x509_thumbprint or x509_ca");
	return 0;
}

static int
next_page(struct hub_session *s, const struct hub_request *first, int64_t left, json_t *all, char **continuation, struct err *err)
{
	OWN_TEXT count = mem_textf("x-ms-max-item-count: %lld", (long long)(left < PAGE ? left : PAGE));
	OWN_TEXT behind = *continuation ? mem_textf("x-ms-continuation: %s", *continuation) : NULL;
	const char *headers[] = { count, behind, NULL };
	struct hub_request request = *first;
	OWN_LIB(json_t) page = NULL;

	request.headers = headers;
	mem_free(*continuation);
	*continuation = NULL;
	if (hub_session_ask(s, &request, &page, continuation, err) < 0)
		return -1;
	if (!json_is_array(page))
		return err_set(err, ERR_BROKEN, "the answer is no list");
	return json_array_extend(all, page);
}

int
hub_tool_pages(struct hub_session *s, const struct hub_request *request, int64_t top, json_t **out, struct err *err)
{
	OWN_LIB(json_t) all = json_array();
	char *continuation = NULL;
	int64_t left = PAGE;
	int done;

	do {
		if (top)
			left = top - (int64_t)json_array_size(all);
		done = next_page(s, request, left, all, &continuation, err);
	} while (done == 0 && continuation && (!top || (int64_t)json_array_size(all) < top));
	mem_free(continuation);
	if (done < 0)
		return -1;
	*out = json_incref(all);
	return 0;
}

/* -- A verb -------------------------------------------------------------------------------------------------------------------- */

static int
open_session(struct hub_session *s, const struct hub_tool_service *service, const struct hub_tool_options *o, struct err *err)
{
	const char *text = hub_tool_or_environment(o->hub, service->environment),
		   *ca = hub_tool_or_environment(o->ca, "ROOTEDGE_CA");

	if (!text)
		return err_set(
			err, ERR_INVALID, "--%s is missing (%s connection-string prints it)", service->option, service->command);
	if (!ca)
		return err_set(err, ERR_INVALID, "--ca is missing: the root that the certificate of %s is trusted by", service->it);
	return hub_session_open(s, text, ca, hub_tool_or_environment(o->connect_to, "ROOTEDGE_CONNECT_TO"), err);
}

static void
show(const struct hub_verb *verb, const struct hub_tool_options *o, const json_t *answer)
{
	if (o->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (verb->columns && json_is_array(answer)) {
		hub_show_table(stdout, answer, verb->columns);
	} else {
		hub_show(stdout, answer);
	}
}

static int
run_verb(const struct hub_verb *verb, const struct hub_noun *noun, const void *options, struct err *err)
{
	const struct hub_tool_options *o = options;
	bool is_local = noun->is_local && noun->is_local(options);
	OWN_LIB(json_t) answer = NULL;
	CLEAR(hub_session) session = { 0 };

	if ((!is_local && open_session(&session, service_of(noun), o, err) < 0) || verb->run(&session, options, &answer, err) < 0)
		return -1;
	if (answer)
		show(verb, o, answer);
	return fflush(stdout) == 0 ? 0 : err_errno(err, "standard output");
}

/* -- A noun -------------------------------------------------------------------------------------------------------------------- */

static struct verb_table
table_of(const struct hub_noun *noun, const char *command)
{
	struct verb_table table = { command, noun->summary, NULL, noun->verbs, 0, sizeof(*noun->verbs) };

	while (noun->verbs[table.n].name)
		table.n++;
	return table;
}

/* `command` is what stands before the options in usage and errors. */
static int
parse_and_run(
	const struct hub_verb *verb, const struct hub_noun *noun, const char *command, size_t options_size, int argc, char **argv)
{
	struct option_usage usage = { .command = command, .arguments = "", .summary = verb->summary, .rows = verb->rows };
	void *options = mem_new(options_size);
	struct err err = ERR_INIT;
	int status = page_options(&usage, options, argc, argv);

	if (status == 0 && run_verb(verb, noun, options, &err) < 0)
		status = page_failure(command, &err, 1);
	mem_free(options);
	return status;
}

int
hub_verb_run(const struct hub_verb *verb, size_t options_size, int argc, char **argv)
{
	static const struct hub_noun none = { 0 };
	OWN_TEXT command = mem_textf("rootedge hub %s", verb->name);

	return parse_and_run(verb, &none, command, options_size, argc, argv);
}

int
hub_noun_run(const struct hub_noun *noun, int argc, char **argv)
{
	OWN_TEXT command = mem_textf("%s %s", service_of(noun)->command, noun->name);
	struct verb_table table = table_of(noun, command);
	int status;
	const struct hub_verb *verb = verb_find(&table, argc, argv, &status);
	OWN_TEXT whole = verb ? mem_textf("%s %s", command, verb->name) : NULL;

	return verb ? parse_and_run(verb, noun, whole, noun->options_size, argc - 1, argv + 1) : status;
}
