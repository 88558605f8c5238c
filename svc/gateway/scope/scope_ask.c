/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the hub: one at a time, so that an older answer never replaces a newer one. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/scope/scope_inside.h"

#define NAMES_SINGLY_MAX 50 /* more that have changed are not looked up one by one */
/* The gateways between a device and this one were confirmed a moment ago with the device before: each level asks the next, so that otherwise all of them would be asked for by each. */
#define BETWEEN_FRESH_MS 2000
#define TURN_WITHIN_MS                                                                                                             \
	5000 /* a device waits for a question about it, but not for one about everything to a hub that says nothing */

static void
free_identities(struct map *identities)
{
	size_t at = 0;
	void *identity;

	while (map_next(identities, &at, NULL, NULL, &identity))
		identity_free(identity);
	map_free(identities);
}

static struct confirmation
asked_now(void)
{
	return (struct confirmation){ .wall = clock_wall(), .boot_ms = clock_boot_ms() };
}

/* What was answered from memory is as old as a question that was asked then. */
static void
make_older(struct confirmation *at, int64_t age_s)
{
	at->wall -= age_s;
	at->boot_ms -= age_s * 1000;
}

/* -- The walk over all lists --------------------------------------------------------------------------------------------------------------- */

struct walk {
	struct confirmation at;
	bool is_full;	  /* each list came as a whole */
	bool is_complete; /* none was refused, and none has a record that can't be read */
	bool is_news;	  /* something came that wasn't known, or may have been */
};

/* Of one gateway.  A refusal that is about that gateway alone ends with it. */
static int
walk_list(struct scope *s, struct walk *walk, struct scope_list *list, const char *chain, struct err *err)
{
	CLEAR(scope_listed) listed = { 0 };
	struct confirmation at = asked_now();
	int refusal;

	list->walk = s->walk;
	if (scope_api_list(s->upstream, chain, list->etag, &listed, &refusal, err) < 0) {
		walk->is_complete = false;
		return strchr(chain, ';') && (refusal == 403 || refusal == 404) ? 0 : -1;
	}
	walk->is_full = walk->is_full && listed.what == SCOPE_ALL;
	walk->is_complete = walk->is_complete && listed.n_broken == 0;
	walk->is_news = walk->is_news || listed.what == SCOPE_ALL || map_count(listed.records) + map_count(listed.removed) > 0;
	make_older(&at, listed.age_s);
	if (listed.what != SCOPE_SAME)
		scope_note_marks(s, listed.takes_marks);
	scope_take_list(s, list, &listed, &at);
	return 0;
}

/* The gateways that stand in this list; the caller owns the names. */
static size_t
gateways_in(struct scope *s, const struct scope_list *list, char ***ids)
{
	size_t next = 0, n = 0;
	void *value;

	*ids = mem_array(map_count(s->records) + 1, sizeof(**ids));
	while (map_next(s->records, &next, NULL, NULL, &value)) {
		const struct scope_record *r = value;

		if (r->list == list && !r->identity->module_id && r->identity->is_edge &&
			!text_is(r->identity->device_id, list->gateway_id))
			(*ids)[n++] = mem_text(r->identity->device_id);
	}
	return n;
}

static int
walk_from(struct scope *s, struct walk *walk, const char *gateway_id, const char *chain, int level, struct err *err)
{
	struct scope_list *list = scope_list_need(s->lists, gateway_id);
	char **below = NULL;
	size_t n = 0;
	int status;

	if (!list || list->walk == s->walk || level > LINEAGE_GATEWAYS_MAX)
		return 0;
	status = walk_list(s, walk, list, chain, err);
	if (status == 0)
		n = gateways_in(s, list, &below);
	for (size_t i = 0; i < n; i++) {
		OWN_TEXT longer = mem_textf("%s;%s", below[i], chain);

		status = status == 0 ? walk_from(s, walk, below[i], longer, level + 1, err) : status;
		mem_free(below[i]);
	}
	mem_free(below);
	return status;
}

/* What stood in the list of a gateway that is no longer below us; and what is in no list, though all came as a whole. */
static void
remove_unlisted(struct scope *s, const struct walk *walk)
{
	size_t next = 0;
	void *value;

	if (!walk->is_complete)
		return;
	while (map_next(s->lists, &next, NULL, NULL, &value)) {
		struct scope_list *list = value;

		if (list->walk == s->walk)
			continue;
		scope_remove(s, &(struct leaving){ .list = list }, &walk->at);
		scope_list_set_etag(list, NULL);
	}
	if (walk->is_full)
		scope_remove(s, &(struct leaving){ .list = NULL, .since = &walk->at }, &walk->at);
}

/* A hub that knows nothing new is no reason to encrypt everything anew, but for the ages now and then. */
static bool
is_worth_saving(const struct scope *s, const struct walk *walk, bool answered)
{
	return walk->is_news || s->n_changes > 0 || s->cas_are_others ||
	       (answered && clock_boot_ms() - s->saved_ms >= SCOPE_AGES_EVERY_MS);
}

static int
refresh_locked(struct scope *s, struct err *err)
{
	struct walk walk = { .at = asked_now(), .is_full = true, .is_complete = true };
	const char *own = upstream_config(s->upstream)->edge_id;
	const struct scope_list *own_list;
	int status;

	s->walk++;
	status = walk_from(s, &walk, own, own, 1, err);
	scope_note_question(s, status == 0);
	own_list = map_find_text(s->lists, own);
	atomic_store(&s->is_by_difference, own_list && own_list->etag);
	if (status == 0)
		remove_unlisted(s, &walk);
	if (is_worth_saving(s, &walk, status == 0))
		scope_save_now(s);
	scope_tell(s);
	mem_trim();
	return status;
}

int
scope_refresh(struct scope *s, struct err *err)
{
	int status;

	turn_take(&s->asking);
	status = refresh_locked(s, err);
	turn_end(&s->asking);
	return status;
}

bool
scope_is_listed(struct scope *s, const char *gateway_id, int64_t since_ms)
{
	const struct scope_list *list;
	bool listed;

	pthread_mutex_lock(&s->lock);
	list = map_find_text(s->lists, gateway_id);
	listed = list && list->at.wall != 0 && (since_ms == 0 || (!list->at.is_kept && list->at.boot_ms > since_ms));
	pthread_mutex_unlock(&s->lock);
	return listed;
}

bool
scope_is_by_difference(const struct scope *s)
{
	return atomic_load(&s->is_by_difference);
}

/* -- Single questions ---------------------------------------------------------------------------------------------------------------------- */

static bool
is_newer_than(const struct scope_record *r, int64_t since_ms)
{
	struct confirmation at = scope_record_confirmation(r);

	return !at.is_kept && at.boot_ms > since_ms;
}

static bool
is_newer(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	const struct scope_record *r, *device;
	bool newer;

	pthread_mutex_lock(&s->lock);
	r = map_find_text(s->records, name);
	device = map_find_text(s->records, device_id);
	newer = r && device && is_newer_than(r, since_ms) && is_newer_than(device, since_ms);
	pthread_mutex_unlock(&s->lock);
	return newer;
}

static enum scope_answer
look_up_locked(struct scope *s, const char *device_id, const char *module_id, struct err *err)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct map *identities = map_new();
	struct authorities *cas = NULL;
	struct confirmation at = asked_now();
	int64_t age_s = 0;
	bool takes_marks = scope_takes_marks(s);
	enum scope_answer answer = scope_api_get(s->upstream, device_id, module_id, identities, &cas, &age_s, &takes_marks, err);
	enum news of_cas = scope_take_cas(s, cas), of_device = NO_NEWS, of_name = NO_NEWS;

	make_older(&at, age_s);
	scope_note_question(s, answer != SCOPE_NO_ANSWER);
	scope_note_marks(s, takes_marks);
	if (answer == SCOPE_FOUND && module_id && map_find_text(identities, device_id))
		of_device = scope_take(s, device_id, map_find_text(identities, device_id), NULL, &at);
	if (answer != SCOPE_NO_ANSWER)
		of_name = scope_take(s, name, answer == SCOPE_FOUND ? map_find_text(identities, name) : NULL, NULL, &at);
	if (answer == SCOPE_FOUND)
		scope_move(s, device_id);
	scope_keep(s, of_cas == CHANGED ? CHANGED : of_name > of_device ? of_name : of_device);
	scope_tell(s);
	free_identities(identities);
	return answer;
}

static enum scope_answer
look_up_if_older(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms, struct err *err)
{
	if (is_newer(s, device_id, module_id, since_ms))
		return SCOPE_FOUND;
	if (!scope_is_hub_away(s))
		return look_up_locked(s, device_id, module_id, err);
	err_set(err, ERR_UNAVAILABLE, "it gave none to another question a moment ago");
	return SCOPE_NO_ANSWER;
}

/* The gateways between, for it is through them that the device is ours; to be freed. */
static size_t
list_between(struct scope *s, const char *device_id, char *ids[static LINEAGE_MAX])
{
	struct lineage lineage;
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	if (scope_trace(s, device_id, &lineage))
		for (size_t i = 1; i < lineage.n; i++)
			ids[n++] = mem_text(lineage.at[i]->device_id);
	pthread_mutex_unlock(&s->lock);
	return n;
}

static void
look_up_between(struct scope *s, const char *device_id, int64_t since_ms)
{
	char *ids[LINEAGE_MAX];
	size_t n = list_between(s, device_id, ids);

	for (size_t i = 0; i < n; i++) {
		struct err ignored = ERR_INIT;

		look_up_if_older(s, ids[i], NULL, since_ms, &ignored);
		mem_free(ids[i]);
	}
}

/* Whoever waited for another's question looks first what became of it: so a crowd asks once, and does not wait for a hub that is away one after the other. */
static enum scope_answer
look_up_in_turn(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms, struct err *err)
{
	enum scope_answer answer = look_up_if_older(s, device_id, module_id, since_ms, err);

	if (answer == SCOPE_FOUND)
		look_up_between(s, device_id, since_ms - BETWEEN_FRESH_MS);
	turn_end(&s->asking);
	return answer;
}

enum scope_answer
scope_look_up(struct scope *s, const char *device_id, const char *module_id, int64_t since_ms, struct err *err)
{
	if (turn_take_within(&s->asking, TURN_WITHIN_MS))
		return look_up_in_turn(s, device_id, module_id, since_ms, err);
	err_set(err, ERR_UNAVAILABLE, "it has not answered another question so far");
	return SCOPE_NO_ANSWER;
}

/* Where the hub knows differences one question tells of all names. */
void
scope_refresh_named(struct scope *s, const char *const *names, size_t n)
{
	struct err ignored = ERR_INIT;

	if (n == 0 || n > NAMES_SINGLY_MAX || scope_is_by_difference(s)) {
		scope_refresh(s, &ignored);
		return;
	}
	for (size_t i = 0; i < n && !scope_is_hub_away(s); i++) {
		const char *slash = strchr(names[i], '/');
		OWN_TEXT device_id = slash ? mem_textn(names[i], (size_t)(slash - names[i])) : mem_text(names[i]);

		if (!identity_id_is_valid(device_id) || (slash && !identity_id_is_valid(slash + 1)))
			continue;
		turn_take(&s->asking); /* nobody says it again */
		look_up_in_turn(s, device_id, slash ? slash + 1 : NULL, clock_boot_ms(), &ignored);
	}
}
