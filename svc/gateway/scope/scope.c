/* SPDX-License-Identifier: Apache-2.0 */
/* Its life, and what of it is kept. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/scope/scope_file.h"
#include "gateway/scope/scope_inside.h"

#define SAVE_EVERY_MS 1000 /* at most: a whole scope is encrypted each time */

void
scope_record_free(struct scope_record *r)
{
	if (!r)
		return;
	identity_free(r->identity);
	mem_free(r);
}

static void
free_records(struct map *records)
{
	size_t at = 0;
	void *record;

	while (map_next(records, &at, NULL, NULL, &record))
		scope_record_free(record);
	map_free(records);
}

struct confirmation
scope_record_confirmation(const struct scope_record *r)
{
	return r->list && r->list->at.wall != 0 && confirmation_is_later(&r->list->at, &r->at) ? r->list->at : r->at;
}

/* -- What is kept -------------------------------------------------------------------------------------------------------------------------- */

/* Only questions change the records, and there is one at a time: so they may be read here without the lock.  What could not be kept is tried again. */
void
scope_save_now(struct scope *s)
{
	struct scope_kept kept = { .records = s->records, .lists = s->lists, .cas = s->cas, .takes_marks = s->takes_marks };
	struct err err = ERR_INIT;

	s->saved_ms = clock_boot_ms();
	atomic_store(&s->unsaved, false);
	if (scope_file_save(&(struct scope_file){ s->path, &upstream_config(s->upstream)->workload, s->freshness }, &kept, &err) ==
		0) {
		s->is_failing = false;
		return;
	}
	if (!s->is_failing)
		log_error("the devices can't be kept for the time when the hub is away: %s", err.text);
	s->is_failing = true;
	atomic_store(&s->unsaved, true);
}

void
scope_keep(struct scope *s, enum news news)
{
	if (news == NO_NEWS)
		return;
	if (news == CHANGED || s->saved_ms == 0 || clock_boot_ms() - s->saved_ms >= SAVE_EVERY_MS)
		scope_save_now(s);
	else
		atomic_store(&s->unsaved, true);
}

bool
scope_is_unsaved(const struct scope *s)
{
	return atomic_load(&s->unsaved);
}

void
scope_note_ages(struct scope *s)
{
	if (clock_boot_ms() - s->saved_ms >= SCOPE_AGES_EVERY_MS)
		atomic_store(&s->unsaved, true);
}

void
scope_save(struct scope *s)
{
	turn_take(&s->asking);
	if (atomic_load(&s->unsaved))
		scope_save_now(s);
	turn_end(&s->asking);
}

void
scope_note_question(struct scope *s, bool answered)
{
	atomic_store(&s->failed_ms, answered ? 0 : clock_boot_ms());
}

void
scope_note_marks(struct scope *s, bool takes_marks)
{
	if (atomic_exchange(&s->takes_marks, takes_marks) != takes_marks)
		atomic_store(&s->unsaved, true);
}

void
scope_note_answer(struct scope *s)
{
	scope_note_question(s, true);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

/* Another identity's, or a damaged one: kept for whoever wants to look. */
static void
set_aside(struct scope *s, const struct err *why)
{
	bool is_older = why->kind == ERR_CONFLICT;
	OWN_TEXT aside = mem_textf("%s.%s", s->path, is_older ? "rolled-back" : "unreadable");

	if (is_older)
		log_error("STATE_ROLLED_BACK: the devices kept for the time when the hub is away are set aside as %s, and "
			  "nobody is let in until the hub has told of him anew: %s",
			aside, why->text);
	else
		log_warn("the devices kept for the time when the hub is away can't be read, and are set aside as %s: %s", aside,
			why->text);
	if (rename(s->path, aside) < 0)
		log_error("%s: %s", s->path, strerror(errno));
	free_records(s->records);
	s->records = map_new();
	scope_lists_free(s->lists);
	s->lists = map_new();
	authorities_free(s->cas);
	s->cas = NULL;
}

/* What could not be asked right now says nothing about the file. */
static bool
is_unreadable(const struct err *err)
{
	return err->kind == ERR_INVALID || err->kind == ERR_BROKEN || err->kind == ERR_LIMIT || err->kind == ERR_CONFLICT;
}

static int
load(struct scope *s, struct err *err)
{
	struct scope_kept kept = { .records = s->records, .lists = s->lists };
	struct scope_file file = { s->path, &upstream_config(s->upstream)->workload, s->freshness };
	int status = scope_file_load(&file, &kept, err);

	s->cas = kept.cas;
	s->takes_marks = kept.takes_marks;
	return status;
}

struct scope *
scope_open(struct upstream *upstream, struct freshness *freshness, const char *state_dir, struct err *err)
{
	struct scope *s = NEW(scope);
	struct err why = ERR_INIT;

	s->upstream = upstream;
	s->freshness = freshness;
	s->path = file_join(state_dir, "scope");
	s->run = random_u64();
	s->records = map_new();
	s->lists = map_new();
	pthread_mutex_init(&s->lock, NULL);
	turn_init(&s->asking);
	if (load(s, &why) == 0 || why.kind == ERR_MISSING)
		return s;
	if (is_unreadable(&why)) {
		set_aside(s, &why);
		return s;
	}
	*err = why;
	scope_close(s);
	return NULL;
}

void
scope_watch(struct scope *s, void (*changed)(void *arg, const struct identity *before, const struct identity *after), void *arg)
{
	s->changed = changed;
	s->arg = arg;
}

void
scope_watch_cas(struct scope *s, void (*changed)(void *arg))
{
	s->cas_changed = changed;
}

void
scope_close(struct scope *s)
{
	if (!s)
		return;
	if (atomic_load(&s->unsaved))
		scope_save_now(s);
	free_records(s->records);
	scope_lists_free(s->lists);
	mem_free(s->broken_text);
	authorities_free(s->cas);
	pthread_mutex_destroy(&s->lock);
	turn_destroy(&s->asking);
	mem_free(s->path);
	mem_free(s);
}
