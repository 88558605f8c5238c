/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of the last changes, each with the gateway it concerns, and a row a gateway with the number of its last one (scope_journal.h).  An etag is the number, behind a word
 * that is another one in each life of the hub. */
#include "hub/registry/scope_journal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "hub/registry/registry_record.h"

struct note {
	uint64_t number;
	char *gateway, *name;
};

/* One gateway.  Before `floor` it was another one: made again, or given another scope. */
struct row {
	uint64_t last, floor;
};

struct scope_journal {
	struct registry *registry;
	char life[17];
	pthread_mutex_t lock; /* for all below */
	struct note *ring;    /* SCOPE_JOURNAL_MAX, by number */
	uint64_t last;
	uint64_t forgotten; /* the names up to this one are not known any more */
	uint64_t last_ca;
	struct map *rows;
	void (*changed)(void *arg, const char *gateway_id, const char *name);
	void *arg;
};

/* -- Writing it down; on the registry's worker ---------------------------------------------------------------------------------------- */

static struct row *
need_row(struct scope_journal *j, const char *gateway)
{
	struct row *row = map_find_text(j->rows, gateway);

	if (row)
		return row;
	row = NEW(row);
	map_put_text(j->rows, gateway, row);
	return row;
}

static void
note(struct scope_journal *j, const char *gateway, const char *name, bool is_another)
{
	struct note *place;
	struct row *row;

	pthread_mutex_lock(&j->lock);
	place = &j->ring[++j->last % SCOPE_JOURNAL_MAX];
	if (place->number > j->forgotten)
		j->forgotten = place->number;
	mem_free(place->gateway);
	mem_free(place->name);
	*place = (struct note){ .number = j->last, .gateway = mem_text(gateway), .name = mem_text(name) };
	row = need_row(j, gateway);
	row->last = j->last;
	if (is_another)
		row->floor = j->last;
	pthread_mutex_unlock(&j->lock);
	if (j->changed)
		j->changed(j->arg, gateway, name);
}

/* In whose list a device stands: its parent's. */
static char *
parent_of(const struct identity *device)
{
	return device ? record_scope_device(record_parent(device)) : NULL;
}

struct arrival {
	struct scope_journal *journal;
	const char *gateway;
};

static void
note_module(void *arg, const char *device_id, const char *module_id)
{
	const struct arrival *arrival = arg;
	OWN_TEXT name = identity_name(device_id, module_id);

	note(arrival->journal, arrival->gateway, name, false);
}

/* Who comes into a scope brings its modules, which have not changed themselves. */
static void
note_modules(struct scope_journal *j, const char *gateway, const char *device_id)
{
	struct arrival arrival = { j, gateway };
	struct err err = ERR_INIT;

	if (registry_store_modules(registry_store_of(j->registry), device_id, note_module, &arrival, &err) < 0)
		log_error("registry: %s", err.text);
}

static void
on_device(struct scope_journal *j, const struct identity *before, const struct identity *after)
{
	const char *id = (after ? after : before)->device_id;
	OWN_TEXT left = parent_of(before);
	OWN_TEXT entered = parent_of(after);
	bool was_edge = before && before->is_edge, is_edge = after && after->is_edge;

	if (left && !text_is(left, entered))
		note(j, left, id, false);
	if (entered)
		note(j, entered, id, false);
	if (entered && before && !text_is(left, entered))
		note_modules(j, entered, id);
	if (was_edge || is_edge)
		note(j, id, id, was_edge != is_edge || !text_is(before->scope, after->scope));
}

/* Of a device that is gone its gateway need not hear of the modules. */
static void
on_module(struct scope_journal *j, const struct identity *module)
{
	OWN(identity) device = registry_find(j->registry, module->device_id, NULL);
	OWN_TEXT parent = parent_of(device);
	OWN_TEXT name = identity_name(module->device_id, module->module_id);

	if (parent)
		note(j, parent, name, false);
	if (device && device->is_edge)
		note(j, device->device_id, name, false);
}

static void
on_change(void *arg, const struct identity *before, const struct identity *after)
{
	if ((after ? after : before)->module_id)
		on_module(arg, after ? after : before);
	else
		on_device(arg, before, after);
}

static void
on_cas(void *arg)
{
	struct scope_journal *j = arg;

	pthread_mutex_lock(&j->lock);
	j->last_ca = ++j->last; /* its place in the ring stays as it is: no name belongs to it */
	pthread_mutex_unlock(&j->lock);
	if (j->changed)
		j->changed(j->arg, NULL, NULL);
}

/* -- Asking it ---------------------------------------------------------------------------------------------------------------------------- */

/* With the lock. */
static uint64_t
last_of(const struct scope_journal *j, const char *gateway_id)
{
	const struct row *row = map_find_text(j->rows, gateway_id);
	uint64_t last = row ? row->last : 0;

	return last > j->last_ca ? last : j->last_ca;
}

char *
scope_journal_etag(struct scope_journal *j, const char *gateway_id)
{
	uint64_t last;

	pthread_mutex_lock(&j->lock);
	last = last_of(j, gateway_id);
	pthread_mutex_unlock(&j->lock);
	return mem_textf("%s-%" PRIu64, j->life, last);
}

static bool
read_etag(const struct scope_journal *j, const char *etag, uint64_t *number)
{
	size_t len = strlen(j->life);
	int64_t read;

	if (!text_starts(etag, j->life) || etag[len] != '-' || !text_to_i64(etag + len + 1, 0, INT64_MAX, &read))
		return false;
	*number = (uint64_t)read;
	return true;
}

/* With the lock: the names behind `since`, each once, newest first.  false: too many. */
static bool
collect(const struct scope_journal *j, const char *gateway_id, uint64_t since, char **names, size_t *n)
{
	struct map *seen = map_new();
	uint64_t oldest = j->last > SCOPE_JOURNAL_MAX ? j->last - SCOPE_JOURNAL_MAX : 0;

	for (uint64_t number = j->last; number > since && number > oldest && *n <= SCOPE_DIFFERENCE_MAX; number--) {
		const struct note *at = &j->ring[number % SCOPE_JOURNAL_MAX];

		if (at->number != number || !text_is(at->gateway, gateway_id) || map_put_text(seen, at->name, seen))
			continue;
		if (*n < SCOPE_DIFFERENCE_MAX)
			names[*n] = mem_text(at->name);
		++*n;
	}
	map_free(seen);
	return *n <= SCOPE_DIFFERENCE_MAX;
}

static void
free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n && i < SCOPE_DIFFERENCE_MAX; i++)
		mem_free(names[i]);
	mem_free(names);
}

bool
scope_journal_since(struct scope_journal *j, const char *gateway_id, const char *etag, char ***names, size_t *n)
{
	char **found = mem_array(SCOPE_DIFFERENCE_MAX, sizeof(*found));
	const struct row *row;
	uint64_t since;
	bool known;

	*n = 0;
	pthread_mutex_lock(&j->lock);
	row = map_find_text(j->rows, gateway_id);
	known = read_etag(j, etag, &since) && since <= j->last && since >= j->forgotten && (!row || since >= row->floor) &&
		collect(j, gateway_id, since, found, n);
	pthread_mutex_unlock(&j->lock);
	if (!known) {
		free_names(found, *n);
		return false;
	}
	*names = found;
	return true;
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------- */

void
scope_journal_watch(struct scope_journal *j, void (*changed)(void *arg, const char *gateway_id, const char *name), void *arg)
{
	j->changed = changed;
	j->arg = arg;
}

struct scope_journal *
scope_journal_open(struct registry *registry, struct ca_registry *cas)
{
	struct scope_journal *j = NEW(scope_journal);

	j->registry = registry;
	j->ring = mem_array(SCOPE_JOURNAL_MAX, sizeof(*j->ring));
	j->rows = map_new();
	pthread_mutex_init(&j->lock, NULL);
	snprintf(j->life, sizeof(j->life), "%016" PRIx64, random_u64());
	registry_watch(registry, REGISTRY_ALL, on_change, j);
	ca_watch_all(cas, on_cas, j);
	return j;
}

void
scope_journal_close(struct scope_journal *j)
{
	size_t at = 0;
	void *row;

	if (!j)
		return;
	for (size_t i = 0; i < SCOPE_JOURNAL_MAX; i++) {
		mem_free(j->ring[i].gateway);
		mem_free(j->ring[i].name);
	}
	mem_free(j->ring);
	while (map_next(j->rows, &at, NULL, NULL, &row))
		mem_free(row);
	map_free(j->rows);
	pthread_mutex_destroy(&j->lock);
	mem_free(j);
}
