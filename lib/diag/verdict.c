/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts: filled check by check, told as a sentence, as JSON, and as a page for people (verdict_print.c). */
#include "base/mem.h"
#include "base/rd.h"
#include "diag/verdict.h"
#include "wire/json.h"

struct verdict *
verdict_new(const char *who, const char *question, const char *peer)
{
	struct verdict *v = NEW(verdict);

	v->who = mem_text(who ? who : "");
	v->question = mem_text(question ? question : "");
	v->peer = mem_text(peer ? peer : "");
	return v;
}

static void
free_check(struct check *c)
{
	mem_free(c->what);
	mem_free(c->subject);
	mem_free(c->wanted);
	mem_free(c->found);
	mem_free(c->rule);
}

void
verdict_free(struct verdict *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n_checks; i++)
		free_check(&v->checks[i]);
	for (size_t i = 0; i < v->n_chain; i++)
		mem_free(v->chain[i]);
	mem_free(v->checks);
	mem_free(v->chain);
	mem_free(v->who);
	mem_free(v->question);
	mem_free(v->peer);
	mem_free(v);
}

static void
add(struct verdict *v, struct check check)
{
	if (v->n_checks >= VERDICT_CHECKS_MAX && check.passed) {
		free_check(&check);
		return;
	}
	v->checks = mem_resize(v->checks, (v->n_checks + 1) * sizeof(*v->checks));
	v->checks[v->n_checks++] = check;
}

static void
add_copy(struct verdict *v, enum reason reason, bool passed, const char *what, const char *subject, const char *wanted,
	const char *found)
{
	add(v, (struct check){ .reason = reason,
		       .passed = passed,
		       .what = mem_text(what ? what : ""),
		       .subject = mem_text(subject ? subject : ""),
		       .wanted = mem_text(wanted ? wanted : ""),
		       .found = mem_text(found ? found : ""),
		       .rule = mem_text(reason_row(reason)->rule) });
}

void
verdict_pass(struct verdict *v, const char *what, const char *subject, const char *wanted, const char *found)
{
	add_copy(v, OK, true, what, subject, wanted, found);
}

void
verdict_note(struct verdict *v, enum reason reason, const char *what, const char *subject, const char *wanted, const char *found)
{
	add_copy(v, reason, true, what, subject, wanted, found);
}

void
verdict_fail(struct verdict *v, enum reason reason, const char *what, const char *subject, const char *wanted, const char *found)
{
	add_copy(v, reason, false, what, subject, wanted, found);
}

void
verdict_add_chain(struct verdict *v, const char *line)
{
	v->chain = mem_resize(v->chain, (v->n_chain + 1) * sizeof(*v->chain));
	v->chain[v->n_chain++] = mem_text(line);
}

void
verdict_absorb(struct verdict *into, struct verdict *from)
{
	for (size_t i = 0; i < from->n_checks; i++)
		add(into, from->checks[i]);
	for (size_t i = 0; i < from->n_chain; i++)
		verdict_add_chain(into, from->chain[i]);
	from->n_checks = 0;
	verdict_free(from);
}

const struct check *
verdict_first_failure(const struct verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++)
		if (!v->checks[i].passed)
			return &v->checks[i];
	return NULL;
}

bool
verdict_accepted(const struct verdict *v)
{
	return !verdict_first_failure(v);
}

enum reason
verdict_cause(const struct verdict *v)
{
	const struct check *failed = verdict_first_failure(v);

	return failed ? failed->reason : OK;
}

char *
verdict_sentence(const struct verdict *v)
{
	const struct check *c = verdict_first_failure(v);
	const struct reason_row *row;

	if (!c)
		return mem_textf("%s: %s yes: %s", v->who, v->question, v->peer);
	row = reason_row(c->reason);
	return mem_textf("%s: %s no: %s: %s: %s%s%s%s%s%s%s", v->who, v->question, v->peer, row->code, row->sentence,
		*c->subject ? " At: " : "", c->subject, *c->wanted ? "; wanted " : "", c->wanted, *c->found ? "; found " : "",
		c->found);
}

static json_t *
text_json(const char *text)
{
	json_t *json = json_string(text);

	return json ? json : json_string("(not UTF-8)");
}

char *
verdict_json(const struct verdict *v)
{
	OWN_LIB(json_t) root = json_object();
	json_t *checks = json_array(), *chain = json_array();

	for (size_t i = 0; i < v->n_checks; i++) {
		const struct check *c = &v->checks[i];
		json_t *o = json_object();

		json_object_set_new(o, "reason", text_json(reason_row(c->reason)->code));
		json_object_set_new(o, "passed", json_boolean(c->passed));
		json_object_set_new(o, "what", text_json(c->what));
		json_object_set_new(o, "subject", text_json(c->subject));
		json_object_set_new(o, "wanted", text_json(c->wanted));
		json_object_set_new(o, "found", text_json(c->found));
		json_object_set_new(o, "rule", text_json(c->rule));
		json_array_append_new(checks, o);
	}
	for (size_t i = 0; i < v->n_chain; i++)
		json_array_append_new(chain, text_json(v->chain[i]));
	json_object_set_new(root, "who", text_json(v->who));
	json_object_set_new(root, "question", text_json(v->question));
	json_object_set_new(root, "peer", text_json(v->peer));
	json_object_set_new(root, "accepted", json_boolean(verdict_accepted(v)));
	json_object_set_new(root, "cause", text_json(reason_row(verdict_cause(v))->code));
	json_object_set_new(root, "checks", checks);
	json_object_set_new(root, "chain", chain);
	return json_line(root);
}

/* A newer program may know codes that we do not: its answer still stands. */
static enum reason
reason_of(const char *code, bool passed)
{
	const struct reason_row *row = reason_find(code);

	if (!row)
		return passed ? OK : UNAVAILABLE;
	return (enum reason)(row - reason_row(OK));
}

static int
take_check(struct verdict *v, const json_t *json, struct err *err)
{
	const char *code, *what, *subject, *wanted, *found;
	bool passed = false;

	if (json_get_text(json, "reason", &code, err) < 0 || json_find_text(json, "what", &what, err) < 0 ||
		json_find_text(json, "subject", &subject, err) < 0 || json_find_text(json, "wanted", &wanted, err) < 0 ||
		json_find_text(json, "found", &found, err) < 0 || json_find_bool(json, "passed", &passed, err) < 0)
		return -1;
	add_copy(v, reason_of(code, passed), passed, what, subject, wanted, found);
	return 0;
}

struct verdict *
verdict_from_json(const char *text, struct err *err)
{
	struct slice s = slice_of(text);
	OWN_LIB(json_t) root = json_parse(s.text, s.len, err);
	OWN(verdict) v = NULL;
	json_t *checks, *chain;
	const char *who, *question, *peer;

	if (!root || json_find_text(root, "who", &who, err) < 0 || json_find_text(root, "question", &question, err) < 0 ||
		json_find_text(root, "peer", &peer, err) < 0 || json_find_array(root, "checks", &checks, err) < 0 ||
		json_find_array(root, "chain", &chain, err) < 0)
		return NULL;
	v = verdict_new(who, question, peer);
	for (size_t i = 0; i < json_array_size(checks); i++)
		if (take_check(v, json_array_get(checks, i), err) < 0)
			return NULL;
	for (size_t i = 0; i < json_array_size(chain); i++)
		if (json_is_string(json_array_get(chain, i)))
			verdict_add_chain(v, json_string_value(json_array_get(chain, i)));
	return GIVE(v);
}
