/* SPDX-License-Identifier: Apache-2.0 */
/* A sender's series are found by its number; another one of the same place takes that. */
#include "gateway/queue/queue_lost.h"

#include "auth/identity.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/gauges/gateway_metrics.h"

/* Times an odd number: a module is neither the device of its name nor the module of that name of another one. */
static uint64_t
number_of(const struct message *m)
{
	uint64_t device = map_hash(m->device_id.text, m->device_id.len);

	return m->module_id.len > 0 ? device * 0x9e3779b97f4a7c15 + map_hash(m->module_id.text, m->module_id.len) : device;
}

static struct metric *
find(const char *reason, const struct message *m)
{
	OWN_TEXT device_id = slice_text(m->device_id);
	OWN_TEXT module_id = m->module_id.len > 0 ? slice_text(m->module_id) : NULL;
	OWN_TEXT name = identity_name(device_id, module_id);

	return gateway_metric(METRIC_DROPPED, reason, name, NULL);
}

void
queue_lost_count(struct queue_lost *lost, enum queue_loss how, const struct message *m)
{
	uint64_t number = number_of(m);
	struct lost_sender *sender = &lost->sender[number % LOST_AT_HAND];
	struct metric **metric;

	if (sender->number != number)
		*sender = (struct lost_sender){ .number = number };
	metric = how == QUEUE_LOST_EXPIRED ? &sender->expired : &sender->given_up;
	if (!*metric)
		*metric = find(how == QUEUE_LOST_EXPIRED ? "ttl_expiry" : "device_gone", m);
	metric_add(*metric, 1);
}
