/* SPDX-License-Identifier: Apache-2.0 */
/* Looking: under a lock that is held for a look-up only. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/scope/scope_inside.h"

#define AWAY_MS 5000

/* -- Looking --------------------------------------------------------------------------------------------------------------------------- */

static struct identity *
find_locked(struct scope *s, const char *device_id, const char *module_id, struct confirmation *confirmed)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	const struct scope_record *r = map_find_text(s->records, name);

	if (!r)
		return NULL;
	*confirmed = scope_record_confirmation(r);
	return identity_ref(r->identity);
}

struct identity *
scope_find_aged(struct scope *s, const char *device_id, const char *module_id, struct confirmation *confirmation)
{
	OWN(identity) device = NULL;
	struct confirmation of_device = { 0 };
	struct identity *found;

	pthread_mutex_lock(&s->lock);
	found = find_locked(s, device_id, module_id, confirmation);
	if (module_id)
		device = find_locked(s, device_id, NULL, &of_device);
	pthread_mutex_unlock(&s->lock);
	if (found && device && confirmation_is_later(confirmation, &of_device))
		*confirmation = of_device;
	return identity_under(found, device);
}

struct identity *
scope_find(struct scope *s, const char *device_id, const char *module_id, int64_t *confirmed)
{
	struct confirmation confirmation = { 0 };
	struct identity *found = scope_find_aged(s, device_id, module_id, &confirmation);

	if (found)
		*confirmed = confirmation.wall;
	return found;
}

struct authorities *
scope_cas(struct scope *s)
{
	struct authorities *cas;

	pthread_mutex_lock(&s->lock);
	cas = authorities_ref(s->cas);
	pthread_mutex_unlock(&s->lock);
	return cas;
}

/* -- Who is above whom; with the lock ------------------------------------------------------------------------------------------------------ */

static const struct identity *
find_device(const void *arg, const char *device_id)
{
	const struct scope *s = arg;
	const struct scope_record *r = map_find_text(s->records, device_id);

	return r ? r->identity : NULL;
}

bool
scope_trace(const struct scope *s, const char *device_id, struct lineage *out)
{
	struct lineage_records records = { .find = find_device, .arg = s, .edge_id = upstream_config(s->upstream)->edge_id };
	const struct identity *device = find_device(s, device_id);

	*out = (struct lineage){ 0 };
	return text_is(device_id, records.edge_id) || (device && lineage_trace(out, &records, device));
}

/* Also when it has led through that gateway up to now, and leads nowhere since. */
static bool
may_pass(const struct scope *s, const char *device_id, const char *gateway_id)
{
	struct lineage lineage;

	return !scope_trace(s, device_id, &lineage) || lineage_passes(&lineage, gateway_id);
}

/* -- The same for everybody ---------------------------------------------------------------------------------------------------------------- */

bool
scope_is_ours(struct scope *s, const struct identity *identity)
{
	struct lineage lineage;
	bool ours;

	if (text_is(identity->device_id, upstream_config(s->upstream)->edge_id))
		return identity->module_id != NULL;
	pthread_mutex_lock(&s->lock);
	ours = scope_trace(s, identity->device_id, &lineage) && lineage_is_open(&lineage);
	pthread_mutex_unlock(&s->lock);
	return ours;
}

static bool
is_below(struct scope *s, const char *device_id, const char *gateway_id, bool enabled)
{
	struct lineage lineage;
	bool below;

	pthread_mutex_lock(&s->lock);
	below = scope_trace(s, device_id, &lineage) && (!enabled || lineage_is_open(&lineage)) &&
		lineage_passes(&lineage, gateway_id);
	pthread_mutex_unlock(&s->lock);
	return below;
}

bool
scope_is_below(struct scope *s, const char *device_id, const char *gateway_id)
{
	return is_below(s, device_id, gateway_id, false);
}

bool
scope_is_reached(struct scope *s, const char *device_id, const char *gateway_id)
{
	return is_below(s, device_id, gateway_id, true);
}

bool
scope_is_gateway_below(struct scope *s, const char *device_id)
{
	struct lineage lineage;
	bool below;

	pthread_mutex_lock(&s->lock);
	below = scope_trace(s, device_id, &lineage) && lineage.n > 0 && lineage.at[0]->is_edge && lineage.at[0]->enabled &&
		lineage_is_open(&lineage);
	pthread_mutex_unlock(&s->lock);
	return below;
}

char *
scope_chain(struct scope *s, const char *device_id, const char *module_id)
{
	struct lineage lineage;
	char *chain = NULL;

	pthread_mutex_lock(&s->lock);
	if (scope_trace(s, device_id, &lineage))
		chain = lineage_chain(&lineage, module_id, upstream_config(s->upstream)->edge_id);
	pthread_mutex_unlock(&s->lock);
	return chain;
}

void
scope_each_behind(struct scope *s, const char *gateway_id, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value)) {
		const struct identity *identity = ((const struct scope_record *)value)->identity;

		if (!text_is(identity->device_id, gateway_id) && may_pass(s, identity->device_id, gateway_id))
			each(arg, identity);
	}
	pthread_mutex_unlock(&s->lock);
}

void
scope_each_module(struct scope *s, const char *device_id, void (*module)(void *arg, const struct identity *module), void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value)) {
		const struct scope_record *r = value;

		if (r->identity->module_id && text_is(r->identity->device_id, device_id))
			module(arg, r->identity);
	}
	pthread_mutex_unlock(&s->lock);
}

void
scope_each(struct scope *s, void (*each)(void *arg, const struct identity *identity), void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value))
		each(arg, ((const struct scope_record *)value)->identity);
	pthread_mutex_unlock(&s->lock);
}

void
scope_each_aged(struct scope *s, void (*each)(void *arg, const struct identity *identity, const struct confirmation *confirmation),
	void *arg)
{
	size_t at = 0;
	void *value;

	pthread_mutex_lock(&s->lock);
	while (map_next(s->records, &at, NULL, NULL, &value)) {
		const struct scope_record *r = value;
		struct confirmation confirmation = scope_record_confirmation(r);

		each(arg, r->identity, &confirmation);
	}
	pthread_mutex_unlock(&s->lock);
}

void
scope_touch(struct scope *s)
{
	atomic_fetch_add_explicit(&s->epoch, 1, memory_order_release);
}

uint64_t
scope_run(const struct scope *s)
{
	return s->run;
}

uint64_t
scope_epoch(const struct scope *s)
{
	return atomic_load_explicit(&s->epoch, memory_order_acquire);
}

size_t
scope_count(struct scope *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = map_count(s->records);
	pthread_mutex_unlock(&s->lock);
	return n;
}

bool
scope_is_hub_away(const struct scope *s)
{
	int64_t failed = atomic_load(&s->failed_ms);

	return failed != 0 && clock_boot_ms() - failed < AWAY_MS;
}

bool
scope_takes_marks(const struct scope *s)
{
	return atomic_load_explicit(&s->takes_marks, memory_order_relaxed);
}
