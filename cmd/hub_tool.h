/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of `rootedge hub NOUN VERB` and `rootedge provisioning NOUN VERB`, each a row of a table: its options, what it asks the hub over REST, and how the answer is shown: a table or
 * lines for people, or JSON with --json.
 *
 * A noun has one struct for the options of all its verbs, which begins with a struct hub_tool_options; a verb's rows name those that it takes. */

#include "base/option.h"
#include "hub_session.h"

struct hub_tool_options {
	const char *hub, *ca, *connect_to;
	bool json;
};

/* Whom the verbs ask. */
struct hub_tool_service {
	const char *command, *option, *environment; /* "rootedge hub", "hub", "ROOTEDGE_HUB" */
	const char *it;				    /* "the hub" */
};
extern const struct hub_tool_service hub_tool_provisioning;

#define PROVISIONING_TOOL_ROWS                                                                                                     \
	{ "login", 'l', "STRING", "connection string of provisioning ($ROOTEDGE_PROVISIONING); HostName may have a port",          \
		OPTION_TEXT, offsetof(struct hub_tool_options, hub), 0, 0 },                                                       \
		HUB_TOOL_COMMON_ROWS
#define HUB_TOOL_ROWS                                                                                                              \
	{ "hub", 'H', "STRING", "connection string of the hub ($ROOTEDGE_HUB); HostName may have a port", OPTION_TEXT,             \
		offsetof(struct hub_tool_options, hub), 0, 0 },                                                                    \
		HUB_TOOL_COMMON_ROWS
#define HUB_TOOL_COMMON_ROWS                                                                                                       \
	{ "ca", 0, "FILE", "the root that its certificate is trusted by ($ROOTEDGE_CA)", OPTION_TEXT,                              \
		offsetof(struct hub_tool_options, ca), 0, 0 },                                                                     \
		{ "connect-to", 0, "ADDRESS", "TCP goes there; the name is still checked ($ROOTEDGE_CONNECT_TO)", OPTION_TEXT,     \
			offsetof(struct hub_tool_options, connect_to), 0, 0 },                                                     \
		{ "json", 0, NULL, "JSON, for programs", OPTION_FLAG, offsetof(struct hub_tool_options, json), 0, 0 },             \
	{                                                                                                                          \
		0                                                                                                                  \
	}

/* A row of a noun's `struct options`. */
#define HUB_TOOL_ROW(name, letter, value, help, type, field)                                                                       \
	{                                                                                                                          \
		name, letter, value, help, type, offsetof(struct options, field), 0, 0                                             \
	}

struct hub_column {
	const char *title, *path; /* "authentication.type" in each element of a list */
};

struct hub_verb {
	const char *name, *summary;
	const struct option_row *rows; /* end with HUB_TOOL_ROWS */
	/* *out is what to show, or NULL; the caller owns it. */
	int (*run)(struct hub_session *s, const void *options, json_t **out, struct err *err);
	const struct hub_column *columns; /* of a list; NULL: as lines */
};

struct hub_noun {
	const char *name, *summary;
	const struct hub_verb *verbs; /* ends with a row without a name */
	size_t options_size;
	const struct hub_tool_service *service; /* NULL: the hub */
	bool (*is_local)(const void *options);	/* with these nobody is asked, and there is no session; NULL: never */
};
/* `rootedge hub NAME` without a verb behind it. */
int hub_verb_run(const struct hub_verb *verb, size_t options_size, int argc, char **argv);
int hub_noun_run(const struct hub_noun *noun, int argc, char **argv);

/* -- For the verbs ------------------------------------------------------------------------------------------------------------- */
const char *hub_tool_or_environment(const char *given, const char *name);  /* NULL: neither, or empty */
int hub_tool_need(const char *value, const char *option, struct err *err); /* -1: it was not given */
/* "devices/ID", "twins/ID/modules/M": segments are percent-encoded; NULL ends them, so an absent module is left out with the word before it. */
char *hub_tool_path(const char *noun, const char *device_id, const char *module_id, const char *rest);
/* A value on the command line: JSON, or "@FILE" with JSON in it. */
json_t *hub_tool_json(const char *text, const char *option, struct err *err);
/* A certificate as it is sent: PEM as it is in the file, anything else as base64; what is made of it is the other side's affair. */
json_t *hub_tool_cert(const char *path, struct err *err);
/* --auth-method, --primary-thumbprint and --secondary-thumbprint as the "authentication" of a record; *out stays NULL when nothing was given. */
int hub_tool_auth(json_t **out, const char *method, const char *primary, const char *secondary, struct err *err);
/* The rows of all pages that the request brings, up to top (0: all); *out is the caller's. */
int hub_tool_pages(struct hub_session *s, const struct hub_request *request, int64_t top, json_t **out, struct err *err);
/* How it is shown (hub_show.c). */
void hub_show(FILE *out, const json_t *value);
void hub_show_table(FILE *out, const json_t *list, const struct hub_column *columns);
