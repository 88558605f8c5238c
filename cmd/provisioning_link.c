/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge provisioning linked-hub: the hubs that devices are assigned to, in the words of `az iot dps linked-hub`. */
#include "base/mem.h"
#include "base/text.h"
#include "hub_tool.h"
#include "provisioning.h"
#include "wire/connstr.h"

#define WEIGHT_MAX 1000
#define STRING_MAX 4096

struct options {
	struct hub_tool_options tool;
	const char *host, *connection_string, *weight;
};

#define HOST_ROW HUB_TOOL_ROW("linked-hub", 0, "HOST", "its host name, with its port if that is not 443", OPTION_TEXT, host)
#define WISH_ROWS                                                                                                                  \
	HUB_TOOL_ROW("connection-string", 0, "STRING",                                                                             \
		"of a policy of that hub with RegistryRead, RegistryWrite and, for initial twins, ServiceConnect", OPTION_TEXT,    \
		connection_string),                                                                                                \
		HUB_TOOL_ROW(                                                                                                      \
			"allocation-weight", 0, "N", "its share of new devices, up to 1000 (1); 0 gets none", OPTION_TEXT, weight)

static const struct option_row list_rows[] = { PROVISIONING_TOOL_ROWS };
static const struct option_row host_rows[] = { HOST_ROW, PROVISIONING_TOOL_ROWS };
static const struct option_row create_rows[] = {
	WISH_ROWS,
	HUB_TOOL_ROW(
		"linked-hub", 0, "HOST", "its name with its port, when the string has none and it is not 443", OPTION_TEXT, host),
	PROVISIONING_TOOL_ROWS,
};
static const struct option_row update_rows[] = { HOST_ROW, WISH_ROWS, PROVISIONING_TOOL_ROWS };

static char *
link_path(const char *host, struct err *err)
{
	return hub_tool_need(host, "linked-hub", err) < 0 ? NULL : hub_tool_path("linkedHubs", host, NULL, NULL);
}

static int
put(struct hub_session *s, const struct options *o, const char *host, const char *string, bool replace, json_t **out,
	struct err *err)
{
	OWN_TEXT path = link_path(host, err);
	OWN_LIB(json_t) body = json_object();
	int64_t weight;

	if (!path)
		return -1;
	if (o->weight && !text_to_i64(o->weight, 0, WEIGHT_MAX, &weight))
		return err_set(err, ERR_INVALID, "--allocation-weight is a number from 0 to %d", WEIGHT_MAX);
	if (o->weight)
		json_object_set_new(body, "allocationWeight", json_integer(weight));
	if (string)
		json_object_set_new(body, "connectionString", json_string(string));
	return hub_session_request(s, "PUT", path, body, replace, out, err);
}

/* The name is that of the connection string, unless another one is given: a hub does not say at which port it is. */
static int
create(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;
	CLEAR(buf) text = BUF_INIT(STRING_MAX);
	OWN(connstr) string = NULL;
	int done;

	if (hub_tool_need(o->connection_string, "connection-string", err) < 0)
		return -1;
	string = connstr_parse(o->connection_string, err);
	if (!string)
		return err_wrap(err, "--connection-string");
	if (o->host) {
		mem_free(string->host);
		string->host = mem_text(o->host);
	}
	connstr_format(&text, string);
	done = put(s, o, string->host, buf_text(&text), false, out, err);
	buf_wipe(&text);
	return done;
}

static int
update(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	const struct options *o = options;

	return put(s, o, o->host, o->connection_string, true, out, err);
}

static int
list(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	(void)options;
	return hub_session_request(s, "GET", "linkedHubs", NULL, false, out, err);
}

static int
show(struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = link_path(((const struct options *)options)->host, err);

	return path ? hub_session_request(s, "GET", path, NULL, false, out, err) : -1;
}

static int delete (struct hub_session *s, const void *options, json_t **out, struct err *err)
{
	OWN_TEXT path = link_path(((const struct options *)options)->host, err);

	return path ? hub_session_request(s, "DELETE", path, NULL, true, out, err) : -1;
}

static const struct hub_column columns[] = {
	{ "HUB", "name" },
	{ "WEIGHT", "allocationWeight" },
	{ "POLICY", "sharedAccessKeyName" },
	{ 0 },
};

static const struct hub_verb verbs[] = {
	{ "create", "Link a hub: devices can be assigned to it from then on.", create_rows, create, NULL },
	{ "show", "Show a link; its key is never told.", host_rows, show, NULL },
	{ "list", "List the linked hubs.", list_rows, list, columns },
	{ "update", "Change a link; what is not given stays.", update_rows, update, NULL },
	{ "delete", "Take a link away; devices that are there stay.", host_rows, delete, NULL },
	{ 0 },
};

int
provisioning_linked_hub(int argc, char **argv)
{
	static const struct hub_noun noun = {
		.name = "linked-hub",
		.summary = "The hubs that devices are assigned to.",
		.verbs = verbs,
		.options_size = sizeof(struct options),
		.service = &hub_tool_provisioning,
	};

	return hub_noun_run(&noun, argc, argv);
}
