/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge est: without a verb the server, with one a tool for its operator, who works on the same folder, whether the server runs or not. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "auth/password.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/random.h"
#include "base/text.h"
#include "cmd.h"
#include "est_request.h"
#include "est/est_store.h"
#include "page.h"
#include "password.h"
#include "verbs.h"
#include "wire/codec.h"
#include "wire/json.h"

#define EXITS "Exit status: 0 done, 1 not done, 2 called wrongly."
#define HOUR_S 3600
#define HOURS_MAX 87600

struct options {
	const char *state, *label;
	struct option_list may;
	int64_t hours;
	bool all, json;
};

#define ROW(name, letter, value, help, type, field, min, max)                                                                      \
	{                                                                                                                          \
		name, letter, value, help, type, offsetof(struct options, field), min, max                                         \
	}
#define ROW_STATE ROW("state", 's', "DIR", "the server's folder (" EST_STATE_DEFAULT ")", OPTION_TEXT, state, 0, 0)
#define ROW_JSON ROW("json", 0, NULL, "for programs: an object a line", OPTION_FLAG, json, 0, 0)

static const struct option_row state_rows[] = { ROW_STATE, { 0 } };
static const struct option_row list_rows[] = { ROW_STATE, ROW_JSON, { 0 } };
static const struct option_row pending_rows[] = { ROW_STATE,
	ROW("all", 0, NULL, "those that have been decided, too", OPTION_FLAG, all, 0, 0), ROW_JSON, { 0 } };
static const struct option_row one_time_rows[] = { ROW_STATE,
	ROW("label", 'l', "LABEL", "only under this label (* and ? are wildcards); any when it is not given", OPTION_TEXT, label, 0,
		0),
	ROW("hours", 0, "N", "how long it may be used (24)", OPTION_INT, hours, 1, HOURS_MAX), ROW_JSON, { 0 } };
static const struct option_row user_rows[] = { ROW_STATE,
	ROW("may", 0, "NAME", "a name that this user may ask certificates for (* and ? are wildcards); several times", OPTION_LIST,
		may, 0, 0),
	{ 0 } };

static int
put(const struct buf *page, int done)
{
	if (page->len > 0)
		fwrite(page->data, 1, page->len, stdout);
	return done;
}

static void
put_json_line(struct buf *page, json_t *json_take)
{
	OWN_LIB(json_t) json = json_take;
	OWN_TEXT line = json_line(json);

	buf_putf(page, "%s\n", line);
}

/* -- Users ------------------------------------------------------------------------------------------------------------------------ */

static int
fill_user(struct est_user *user, const struct options *o, const char *name, struct err *err)
{
	if (strchr(name, ':') || !*name || strlen(name) > EST_NAME_LEN_MAX || text_has_control(name, strlen(name)))
		return err_set(err, ERR_INVALID, "a user's name has 1 to %d characters and no colon", EST_NAME_LEN_MAX);
	if (o->may.n == 0)
		return err_set(err, ERR_INVALID, "--may is missing: the names that this user may ask certificates for");
	user->name = mem_text(name);
	for (size_t i = 0; i < o->may.n; i++)
		if (!est_names_add(&user->may, o->may.items[i]))
			return err_set(err, ERR_INVALID, "--may '%.80s' is empty or too long", o->may.items[i]);
	return 0;
}

static int
user(struct est_store *s, const struct options *o, const char *name, struct err *err)
{
	CLEAR(est_user) fresh = { 0 };
	char password[PASSWORD_SIZE];

	if (fill_user(&fresh, o, name, err) < 0 || password_read(password, NULL, err) < 0)
		return -1;
	fresh.hash = password_hash(password, err);
	mem_wipe(password, sizeof(password));
	return fresh.hash ? est_store_put_user(s, &fresh, err) : -1;
}

static int
user_remove(struct est_store *s, const struct options *o, const char *name, struct err *err)
{
	(void)o;
	return est_store_remove_user(s, name, err);
}

struct listing {
	const struct options *o;
	struct buf *page;
};

static void
put_user(void *arg, const struct est_user *u)
{
	struct listing *l = arg;
	json_t *may = json_array();

	for (size_t i = 0; i < u->may.n; i++)
		json_array_append_new(may, json_string(u->may.item[i]));
	if (l->o->json) {
		put_json_line(l->page, json_pack("{s:s, s:o}", "name", u->name, "may", may));
		return;
	}
	buf_putf(l->page, "%-24s ", u->name);
	for (size_t i = 0; i < u->may.n; i++)
		buf_putf(l->page, " %s", u->may.item[i]);
	buf_putc(l->page, '\n');
	json_decref(may);
}

static int
users(struct est_store *s, const struct options *o, const char *operand, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	struct listing l = { o, &page };

	(void)operand;
	return put(&page, est_store_list_users(s, put_user, &l, err));
}

/* -- One-time passwords ------------------------------------------------------------------------------------------------------------- */

/* For URLs, shells and labels on boxes: nothing in it that would have to be quoted. */
static void
make_password(struct buf *out)
{
	uint8_t bytes[EST_ONE_TIME_BYTES];

	random_bytes(bytes, sizeof(bytes));
	hex_encode(out, bytes, sizeof(bytes), false);
}

static int
one_time(struct est_store *s, const struct options *o, const char *id, struct err *err)
{
	CLEAR(buf) password = BUF_INIT(2 * EST_ONE_TIME_BYTES + 1);
	CLEAR(est_one_time) fresh = {
		.id = mem_text(id), .label = mem_text(o->label ? o->label : "*"), .until = clock_wall() + o->hours * HOUR_S
	};
	char digest[EST_DIGEST_LEN], until[CLOCK_TEXT_LEN];

	if (!*id || strlen(id) > EST_NAME_LEN_MAX || text_has_control(id, strlen(id)))
		return err_set(err, ERR_INVALID, "the name that it is for has 1 to %d characters", EST_NAME_LEN_MAX);
	make_password(&password);
	est_one_time_digest(digest, buf_text(&password));
	if (est_store_put_one_time(s, digest, &fresh, err) < 0)
		return -1;
	clock_text(fresh.until, until);
	if (o->json)
		printf("{\"password\":\"%s\",\"until\":\"%s\"}\n", buf_text(&password), until);
	else
		printf("%s\n", buf_text(&password));
	buf_wipe(&password);
	return 0;
}

/* -- Requests that wait --------------------------------------------------------------------------------------------------------------- */

static void
put_waiting(void *arg, const struct est_waiting *w)
{
	struct listing *l = arg;
	char asked[CLOCK_TEXT_LEN];

	clock_text(w->asked, asked);
	if (l->o->json) {
		put_json_line(l->page, json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s}", "number", (json_int_t)w->number, "asked",
					       asked, "label", w->label, "for", w->requester, "request", w->request, "by", w->who,
					       "state", est_waiting_name(w->state)));
		return;
	}
	if (l->page->len == 0)
		buf_putf(l->page, "%6s  %-16s  %-8s  %-16s  %-24s  %-16s  %s\n", "number", "asked (UTC)", "state", "label", "for",
			"request", "by");
	buf_putf(l->page, "%6lld  %.16s  %-8s  %-16s  %-24s  %.16s  %s\n", (long long)w->number, asked, est_waiting_name(w->state),
		*w->label ? w->label : "-", w->requester, w->request, w->who);
}

static int
pending(struct est_store *s, const struct options *o, const char *operand, struct err *err)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	struct listing l = { o, &page };

	(void)operand;
	return put(&page, est_store_list_waiting(s, o->all, put_waiting, &l, err));
}

static int
decide(struct est_store *s, const char *number, bool approve, struct err *err)
{
	int64_t n;

	if (!text_to_i64(number, 1, INT64_MAX, &n))
		return err_set(err, ERR_INVALID, "'%.40s' is no number of a request; rootedge est pending lists them", number);
	return est_store_decide(s, n, approve, err);
}

static int
approve(struct est_store *s, const struct options *o, const char *number, struct err *err)
{
	(void)o;
	return decide(s, number, true, err);
}

static int
deny(struct est_store *s, const struct options *o, const char *number, struct err *err)
{
	(void)o;
	return decide(s, number, false, err);
}

/* -- Calling them --------------------------------------------------------------------------------------------------------------------- */

static const struct verb {
	const char *name, *help;
	struct option_usage usage;
	int n_operands;
	int (*run)(struct est_store *store, const struct options *o, const char *operand, struct err *err);
} verbs[] = {
	{ "user", "set a user's password and what it may ask for",
		{ "rootedge est user", "NAME",
			"Set a user of HTTP basic authentication.  The password is read from standard input.", EXITS, user_rows },
		1, user },
	{ "user-remove", "remove a user", { "rootedge est user-remove", "NAME", "Remove a user.", EXITS, state_rows }, 1,
		user_remove },
	{ "users", "list users", { "rootedge est users", "", "List users and the names that they may ask for.", EXITS, list_rows },
		0, users },
	{ "one-time", "make a password that is good for one certificate",
		{ "rootedge est one-time", "NAME",
			"Print a password for one certificate with this common name.  The server does not keep it: it is shown "
			"once.",
			EXITS, one_time_rows },
		1, one_time },
	{ "pending", "list requests that wait for approval",
		{ "rootedge est pending", "", "List requests that wait for approval.", EXITS, pending_rows }, 0, pending },
	{ "approve", "let a request have its certificate",
		{ "rootedge est approve", "NUMBER", "Let a request have its certificate, when its client asks again.", EXITS,
			state_rows },
		1, approve },
	{ "deny", "refuse a request", { "rootedge est deny", "NUMBER", "Refuse a request that waits.", EXITS, state_rows }, 1,
		deny },
};

/* Those that ask a server, wherever it is. */
static const struct client_verb {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} client_verbs[] = {
	{ "ping", "ask a server who it is and what it wishes", est_verb_ping },
	{ "cacerts", "print what a server issues under", est_verb_cacerts },
	{ "enroll", "get a certificate from a server", est_verb_enroll },
	{ "reenroll", "renew one there", est_verb_reenroll },
};

static struct est_store *
open_store(const char *state, struct err *err)
{
	OWN_TEXT path = est_store_path(state);

	if (file_make_dir(state, 0700, err) < 0)
		return NULL;
	return est_store_open(path, err);
}

static int
run(const struct verb *verb, int argc, char **argv)
{
	struct options o = { .state = EST_STATE_DEFAULT, .hours = 24 };
	struct err err = ERR_INIT;
	int n = option_parse(&verb->usage, &o, argc, argv, &err), done;
	struct est_store *store;

	if (n >= 0 && n != verb->n_operands)
		n = err_set(&err, ERR_INVALID, verb->n_operands ? "give one %s" : "there is nothing to give but options%.0s",
			verb->usage.arguments);
	if (n < 0)
		return page_failure(verb->usage.command, &err, 2);
	store = open_store(o.state, &err);
	done = store ? verb->run(store, &o, argv[0], &err) : -1;
	est_store_close(store);
	return done < 0 ? page_failure(verb->usage.command, &err, 1) : 0;
}

static const struct verb_table own_table = VERB_TABLE("rootedge est", "", NULL, verbs);
static const struct verb_table client_table = VERB_TABLE("rootedge est", "", NULL, client_verbs);

static int
unknown(const char *word)
{
	struct verb_head all[COUNT(verbs) + COUNT(client_verbs)];
	const struct verb_table table = VERB_TABLE("rootedge est", "", NULL, all);

	for (size_t i = 0; i < COUNT(all); i++)
		all[i] = i < COUNT(verbs)
				 ? (struct verb_head){ verbs[i].name, verbs[i].help }
				 : (struct verb_head){ client_verbs[i - COUNT(verbs)].name, client_verbs[i - COUNT(verbs)].help };
	verb_say_unknown(&table, word);
	return 2;
}

static int
help(int argc, char **argv)
{
	puts("Verbs for the operator of an EST server, whether it runs or not:\n\nusage: rootedge est VERB [OPTIONS]\n");
	verb_list(stdout, &own_table);
	puts("\nfor clients of any server:");
	verb_list(stdout, &client_table);
	puts("\nWithout a verb it is the server itself:\n");
	fflush(stdout);
	return cmd_exec_service("est", argc, argv);
}

int
cmd_est(int argc, char **argv)
{
	const struct client_verb *client;
	const struct verb *verb;

	if (argc > 1 && (text_is(argv[1], "--help") || text_is(argv[1], "-h")))
		return help(argc, argv);
	if (argc < 2 || argv[1][0] == '-')
		return cmd_exec_service("est", argc, argv);
	verb = verb_of_name(&own_table, argv[1]);
	if (verb)
		return run(verb, argc - 1, argv + 1);
	client = verb_of_name(&client_table, argv[1]);
	return client ? client->run(argc - 1, argv + 1) : unknown(argv[1]);
}
