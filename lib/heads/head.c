/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of a back end, each to the head that asked. */
#include "heads/head_inside.h"

void
head_admit(struct head_admission *admission, struct verdict *verdict_take, struct identity *identity_take, void *domain,
	int64_t expires)
{
	bool accepted = verdict_accepted(verdict_take);

	verdict_free(verdict_take);
	identity_free(identity_take);
	admission->answer(admission, accepted, domain, expires);
}

void
head_admit_unavailable(struct head_admission *admission)
{
	admission->unavailable(admission);
}

void
head_admission_restore(struct head_admission *admission, const char *const *filters, const uint8_t *qos, size_t n)
{
	for (size_t i = 0; admission->restore && i < n; i++)
		admission->restore(admission, filters[i], qos[i]);
}

void
head_message_done(struct head_ack *ack, enum reason why)
{
	ack->done(ack, why);
}

void
head_received(struct head_receipt *receipt, const struct head_parcel *parcel)
{
	receipt->received(receipt, parcel);
}

void
head_receive_unavailable(struct head_receipt *receipt)
{
	receipt->unavailable(receipt);
}

void
head_settled(struct head_settlement *settlement, bool found)
{
	settlement->settled(settlement, found);
}

void
head_settle_unavailable(struct head_settlement *settlement)
{
	settlement->unavailable(settlement);
}
