/* SPDX-License-Identifier: Apache-2.0 */
/* A sender's series are found by its number; another one of the same place takes that. */
#include "gateway/queue/queue_lost.h"

#include "auth/identity.h"
#include "base/mem.h"
#include "gateway/local/gateway_metrics.h"
#include "gateway/queue/queue_share.h"

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
	uint64_t number = queue_share_sender(m->device_id, m->module_id);
	struct lost_sender *sender = &lost->sender[number % LOST_AT_HAND];
	struct metric **metric;

	if (sender->number != number)
		*sender = (struct lost_sender){ .number = number };
	metric = how == QUEUE_LOST_EXPIRED ? &sender->expired : &sender->given_up;
	if (!*metric)
		*metric = find(how == QUEUE_LOST_EXPIRED ? "ttl_expiry" : "device_gone", m);
	metric_add(*metric, 1);
}
