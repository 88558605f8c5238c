/* SPDX-License-Identifier: Apache-2.0 */
/* Kept subscriptions (subscriptions.h).  An identity's list is one text, "QOS FILTER" a line: one string to compare, to keep and to store.  What
 * changed is written in one transaction at a time; meanwhile further changes collect. */
#include "heads/subscriptions.h"

#include <pthread.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define LIST_TEXT_MAX (64 << 10)
#define WRITE_MAX 1000 /* in one transaction */

struct entry {
	char *name, *text; /* text NULL: nothing is kept any more */
	struct entry *next_dirty;
	struct subscriptions_wait *waits; /* for the next write */
	bool dirty, in_write;
};

struct subscriptions {
	struct subscriptions_keeper keeper;
	pthread_mutex_t lock;
	struct map *map;
	struct entry *dirty;
	bool writing, failed;
	struct job job;
};

/* -- The text of a list ------------------------------------------------------------------------------------------------------------ */

static char *
list_text(const char *const *filters, const uint8_t *qos, size_t n)
{
	CLEAR(buf) text = BUF_INIT(LIST_TEXT_MAX);

	for (size_t i = 0; i < n && i < SUBSCRIPTIONS_MAX; i++)
		buf_putf(&text, "%c %s\n", '0' + qos[i], filters[i]);
	return text.len > 0 && !text.failed ? buf_take_text(&text) : NULL;
}

static void
list_parse(struct subscription_list *list, const char *text)
{
	char *line, *end;

	*list = (struct subscription_list){ .text = mem_text(text) };
	for (line = list->text; line && *line && list->n < SUBSCRIPTIONS_MAX; line = end + 1) {
		end = strchr(line, '\n');
		if (!end || end - line < 3 || (*line != '0' && *line != '1'))
			break;
		*end = '\0';
		list->qos[list->n] = (uint8_t)(*line - '0');
		list->filters[list->n++] = line + 2;
	}
}

void
subscription_list_clear(struct subscription_list *list)
{
	mem_free(list->text);
	*list = (struct subscription_list){ 0 };
}

/* -- Who waits --------------------------------------------------------------------------------------------------------------------------- */

static void
run_wait(struct post *post)
{
	struct subscriptions_wait *wait = CONTAINER_OF(post, struct subscriptions_wait, post);

	wait->done(wait, wait->ok);
}

static void
tell_waits(struct subscriptions_wait *wait, bool ok)
{
	struct subscriptions_wait *next;

	for (; wait; wait = next) {
		next = wait->next;
		wait->ok = ok;
		wait->post.run = run_wait;
		wait->owner->post(wait->owner, &wait->post);
	}
}

/* Nobody writes now. */
static void
fail_waits(struct subscriptions *s)
{
	for (struct entry *e = s->dirty; e; e = e->next_dirty) {
		tell_waits(e->waits, false);
		e->waits = NULL;
	}
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------ */

struct written {
	char *name, *text;
	struct subscriptions_wait *waits;
};

/* Take up to WRITE_MAX changed entries: names and texts are copied, so that the lock is not held while the disk works. */
static size_t
take_dirty(struct subscriptions *s, struct written *out)
{
	struct entry *e;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	while (n < WRITE_MAX && (e = s->dirty) != NULL) {
		s->dirty = e->next_dirty;
		e->dirty = false;
		e->in_write = true;
		out[n++] = (struct written){ mem_text(e->name), mem_text(e->text), e->waits };
		e->waits = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

static int
write_all(const struct subscriptions_keeper *keeper, const struct written *list, size_t n, struct err *err)
{
	int done = 0;

	if (keeper->begin(keeper->arg, err) < 0)
		return -1;
	for (size_t i = 0; i < n && done == 0; i++)
		done = keeper->put(keeper->arg, list[i].name, list[i].text, err);
	return keeper->end(keeper->arg, done, err);
}

static void
mark_dirty(struct subscriptions *s, struct entry *e)
{
	if (e->dirty)
		return;
	e->dirty = true;
	e->next_dirty = s->dirty;
	s->dirty = e;
}

static void
entry_free(struct entry *e)
{
	mem_free(e->name);
	mem_free(e->text);
	mem_free(e);
}

/* What was written and is empty is forgotten; what could not be written stays changed until the next change brings it here again. */
static void
settle(struct subscriptions *s, const struct written *list, size_t n, bool ok)
{
	struct entry *e;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		e = map_find_text(s->map, list[i].name);
		tell_waits(list[i].waits, ok);
		if (!e)
			continue;
		e->in_write = false;
		if (!ok)
			mark_dirty(s, e);
		else if (!e->text && !e->dirty) {
			map_remove_text(s->map, list[i].name);
			entry_free(e);
		}
	}
	s->failed = !ok;
	pthread_mutex_unlock(&s->lock);
}

/* true: something was written and there may be more. */
static bool
write_some(struct subscriptions *s)
{
	struct written *list = mem_array(WRITE_MAX, sizeof(*list));
	size_t n = take_dirty(s, list);
	struct err err = ERR_INIT;
	bool ok = n == 0 || write_all(&s->keeper, list, n, &err) == 0;

	settle(s, list, n, ok);
	for (size_t i = 0; i < n; i++) {
		mem_free(list[i].name);
		mem_free(list[i].text);
	}
	mem_free(list);
	return ok && n > 0;
}

/* One transaction, then whoever else waits for the worker: on a slow disk there would always be more to write. */
static void
run_job(struct job *job)
{
	write_some(CONTAINER_OF(job, struct subscriptions, job));
}

static void
start_writing(struct subscriptions *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->dirty && !s->writing)
		s->writing = s->keeper.work(s->keeper.arg, &s->job);
	if (!s->writing)
		fail_waits(s);
	pthread_mutex_unlock(&s->lock);
}

static void
job_done(struct job *job)
{
	struct subscriptions *s = CONTAINER_OF(job, struct subscriptions, job);
	bool failed;

	pthread_mutex_lock(&s->lock);
	s->writing = false;
	failed = s->failed;
	if (failed)
		fail_waits(s);
	pthread_mutex_unlock(&s->lock);
	if (!failed)
		start_writing(s); /* what changed since the last look */
}

/* -- The interface -------------------------------------------------------------------------------------------------------------------- */

static struct entry *
put_entry(struct subscriptions *s, const char *name, char *text_take, bool dirty)
{
	struct entry *e = map_find_text(s->map, name);

	if (!e) {
		e = NEW(entry);
		e->name = mem_text(name);
		map_put_text(s->map, name, e);
	}
	mem_free(e->text);
	e->text = text_take;
	if (dirty)
		mark_dirty(s, e);
	return e;
}

static void
load_one(void *arg, const char *name, const char *filters)
{
	put_entry(arg, name, mem_text(filters), false);
}

struct subscriptions *
subscriptions_open(const struct subscriptions_keeper *keeper, struct owner *owner, struct err *err)
{
	struct subscriptions *s = NEW(subscriptions);

	s->keeper = *keeper;
	s->map = map_new();
	s->job = (struct job){ .run = run_job, .done = job_done, .owner = owner };
	pthread_mutex_init(&s->lock, NULL);
	if (keeper->load(keeper->arg, load_one, s, err) < 0) {
		subscriptions_close(s);
		return NULL;
	}
	return s;
}

void
subscriptions_close(struct subscriptions *s)
{
	size_t at = 0;
	void *value;

	if (!s)
		return;
	while (write_some(s))
		;
	while (map_next(s->map, &at, NULL, NULL, &value))
		entry_free(value);
	map_free(s->map);
	pthread_mutex_destroy(&s->lock);
	mem_free(s);
}

void
subscriptions_get(struct subscriptions *s, const char *name, struct subscription_list *out)
{
	struct entry *e;

	*out = (struct subscription_list){ 0 };
	pthread_mutex_lock(&s->lock);
	e = map_find_text(s->map, name);
	if (e && e->text)
		list_parse(out, e->text);
	pthread_mutex_unlock(&s->lock);
}

bool
subscriptions_set(struct subscriptions *s, const char *name, const char *const *filters, const uint8_t *qos, size_t n,
	struct subscriptions_wait *wait)
{
	char *text = list_text(filters, qos, n);
	struct entry *e;
	bool durable;

	pthread_mutex_lock(&s->lock);
	e = map_find_text(s->map, name);
	/* What is being written may be an older list, and may fail. */
	durable = text_is(e ? e->text : NULL, text) && !(e && (e->dirty || e->in_write));
	if (durable)
		mem_free(text);
	else
		e = put_entry(s, name, text, true);
	if (!durable && wait) {
		wait->next = e->waits;
		e->waits = wait;
	}
	pthread_mutex_unlock(&s->lock);
	if (!durable)
		start_writing(s);
	return durable;
}

struct keeping {
	struct subscriptions_wait wait;
	struct head_ack *ack;
};

static void
on_kept(struct subscriptions_wait *wait, bool ok)
{
	struct keeping *keeping = CONTAINER_OF(wait, struct keeping, wait);

	head_message_done(keeping->ack, ok ? OK : UNAVAILABLE);
	mem_free(keeping);
}

void
subscriptions_keep(struct subscriptions *s, const char *name, struct head_session *session, const char *const *filters,
	const uint8_t *qos, size_t n, struct head_ack *ack)
{
	struct keeping *keeping = NEW(keeping);

	keeping->ack = ack;
	keeping->wait = (struct subscriptions_wait){ .done = on_kept, .owner = loop_owner(conn_loop(head_session_conn(session))) };
	if (subscriptions_set(s, name, filters, qos, n, &keeping->wait))
		on_kept(&keeping->wait, true);
}
