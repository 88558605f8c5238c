/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of the hub changes.  A record is in force for whoever asks at once; the watchers hear of it when it is kept. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/scope/scope_inside.h"

/* -- What the hub said --------------------------------------------------------------------------------------------------------------------- */

/* What was there before, which is the caller's.  list NULL: it stays in that where it stands. */
static struct scope_record *
put(struct scope *s, const char *name, const struct identity *identity, const struct scope_list *list,
	const struct confirmation *at)
{
	struct scope_record *r = NULL, *before;

	if (identity) {
		r = NEW(scope_record);
		*r = (struct scope_record){ .identity = identity_ref(identity), .at = *at, .list = list };
	}
	pthread_mutex_lock(&s->lock);
	before = r ? map_put_text(s->records, name, r) : map_remove_text(s->records, name);
	if (r && before && !list)
		r->list = before->list;
	pthread_mutex_unlock(&s->lock);
	return before;
}

/* The change is in force for whoever asks from now on.  The watcher hears of it when it is kept, because what he does is seen outside: a device whose
 * session was closed must not be let in by a gateway that crashes and starts again. */
static void
note_change(struct scope *s, const struct identity *before, const struct identity *after)
{
	if (s->n_changes == s->cap_changes) {
		s->cap_changes = s->cap_changes ? s->cap_changes * 2 : 8;
		s->changes = mem_resize(s->changes, s->cap_changes * sizeof(*s->changes));
	}
	s->changes[s->n_changes++] = (struct change){ .before = identity_ref(before), .after = identity_ref(after) };
}

static void
tell_change(struct scope *s, const struct change *change)
{
	if (s->changed)
		s->changed(s->arg, change->before, change->after);
	identity_free(change->before);
	identity_free(change->after);
}

void
scope_tell(struct scope *s)
{
	for (size_t i = 0; i < s->n_changes; i++)
		tell_change(s, &s->changes[i]);
	mem_free(s->changes);
	s->changes = NULL;
	s->n_changes = s->cap_changes = 0;
	if (s->cas_are_others && s->cas_changed)
		s->cas_changed(s->arg);
	s->cas_are_others = false;
}

enum news
scope_take(struct scope *s, const char *name, const struct identity *after, const struct scope_list *list,
	const struct confirmation *at)
{
	struct scope_record *before = put(s, name, after, list, at);
	enum news news = before	 ? !after || !identity_same_trust(before->identity, after) ? CHANGED : NO_NEWS
			 : after ? NEWCOMER
				 : NO_NEWS;

	if (news != NO_NEWS)
		atomic_fetch_add_explicit(&s->epoch, 1, memory_order_release);
	if (news == CHANGED)
		note_change(s, before->identity, after);
	scope_record_free(before);
	return news;
}

static bool
is_in_list_of_parent(const struct scope *s, const struct scope_record *r)
{
	const struct scope_record *gateway = map_find_text(s->records, r->list->gateway_id);

	return gateway && gateway->identity->scope && lineage_is_right_below(r->identity, gateway->identity->scope);
}

/* Of the gateway that it is right below; NULL: nothing was listed for that so far. */
static struct scope_list *
list_of_parent(const struct scope *s, const char *device_id)
{
	struct lineage lineage;

	if (!scope_trace(s, device_id, &lineage) || lineage.n == 0)
		return NULL;
	return map_find_text(s->lists, lineage.n > 1 ? lineage.at[1]->device_id : upstream_config(s->upstream)->edge_id);
}

static void
move_from(struct scope *s, const char *device_id, const struct scope_list *from, const struct scope_list *to)
{
	size_t next = 0;
	void *value;

	while (map_next(s->records, &next, NULL, NULL, &value)) {
		struct scope_record *r = value;

		if (r->list == from && text_is(r->identity->device_id, device_id))
			r->list = to;
	}
}

void
scope_move(struct scope *s, const char *device_id)
{
	const struct scope_record *r;
	const struct scope_list *to;

	pthread_mutex_lock(&s->lock);
	r = map_find_text(s->records, device_id);
	if (r && r->list && !is_in_list_of_parent(s, r)) {
		to = list_of_parent(s, device_id);
		if (to)
			move_from(s, device_id, r->list, to);
	}
	pthread_mutex_unlock(&s->lock);
}

enum news
scope_take_cas(struct scope *s, struct authorities *cas_take)
{
	struct authorities *before;

	if (!cas_take || authorities_equal(s->cas, cas_take)) {
		authorities_free(cas_take); /* what is remembered of chains stays with the set that is there */
		return NO_NEWS;
	}
	pthread_mutex_lock(&s->lock);
	before = s->cas;
	s->cas = cas_take;
	pthread_mutex_unlock(&s->lock);
	authorities_free(before);
	atomic_fetch_add_explicit(&s->epoch, 1, memory_order_release);
	s->cas_are_others = true;
	return CHANGED;
}

/* -- Of whole lists ------------------------------------------------------------------------------------------------------------------------ */

static bool
is_leaving(const struct leaving *l, const struct scope_record *r, const void *name, size_t len)
{
	if (r->list != l->list || (l->stay && map_find(l->stay, name, len)))
		return false;
	if (l->under && (!r->identity->module_id || !text_is(r->identity->device_id, l->under)))
		return false;
	return !l->since || r->at.is_kept || r->at.boot_ms < l->since->boot_ms;
}

void
scope_remove(struct scope *s, const struct leaving *leaving, const struct confirmation *at)
{
	size_t next = 0, n = 0, len;
	const void *key;
	void *value;
	char **names;

	pthread_mutex_lock(&s->lock);
	names = mem_array(map_count(s->records) + 1, sizeof(*names));
	while (map_next(s->records, &next, &key, &len, &value))
		if (is_leaving(leaving, value, key, len))
			names[n++] = slice_text((struct slice){ .text = key, .len = len });
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		scope_take(s, names[i], NULL, NULL, at);
		mem_free(names[i]);
	}
	mem_free(names);
}

/* A gateway stands in its own list too, but belongs to that of the one above it. */
static void
take_records(struct scope *s, const struct map *identities, const struct scope_list *list, const struct confirmation *at)
{
	size_t next = 0;
	void *value;

	while (map_next(identities, &next, NULL, NULL, &value)) {
		const struct identity *identity = value;
		OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
		const struct scope_record *r = map_find_text(s->records, name);
		bool is_above = r && r->list && text_is(identity->device_id, list->gateway_id);

		scope_take(s, name, identity, is_above ? NULL : list, at);
	}
}

/* A name that stands in another list by now has only moved. */
static void
take_removed(struct scope *s, const struct map *removed, const struct scope_list *list, const struct confirmation *at)
{
	size_t next = 0, len;
	const void *key;

	while (map_next(removed, &next, &key, &len, NULL)) {
		OWN_TEXT name = slice_text((struct slice){ .text = key, .len = len });
		const struct scope_record *r = map_find_text(s->records, name);

		if (r && (r->list == list || !r->list))
			scope_take(s, name, NULL, NULL, at);
		if (!strchr(name, '/'))
			scope_remove(s, &(struct leaving){ .list = list, .under = name }, at);
	}
}

/* Said once, until it is another one or all can be read. */
static void
tell_broken(struct scope *s, const struct scope_listed *listed)
{
	if (listed->n_broken > 0 && !text_is(s->broken_text, listed->broken.text))
		log_warn("the hub sent %zu records that can't be read, of which what was known before stays: %s", listed->n_broken,
			listed->broken.text);
	mem_free(s->broken_text);
	s->broken_text = listed->n_broken > 0 ? mem_text(listed->broken.text) : NULL;
}

static void
confirm_list(struct scope *s, struct scope_list *list, const char *etag, const struct confirmation *at)
{
	pthread_mutex_lock(&s->lock);
	list->at = *at;
	pthread_mutex_unlock(&s->lock);
	if (etag)
		scope_list_set_etag(list, etag);
}

void
scope_take_list(struct scope *s, struct scope_list *list, struct scope_listed *listed, const struct confirmation *at)
{
	tell_broken(s, listed);
	scope_take_cas(s, GIVE(listed->cas));
	if (listed->what == SCOPE_SAME) {
		confirm_list(s, list, NULL, at);
		return;
	}
	take_records(s, listed->records, list, at);
	take_removed(s, listed->removed, list, at);
	if (listed->n_broken > 0)
		return;
	if (listed->what == SCOPE_ALL) {
		scope_remove(s, &(struct leaving){ .list = list, .stay = listed->records }, at);
		scope_list_set_etag(list, NULL);
	}
	confirm_list(s, list, listed->etag, at);
}
