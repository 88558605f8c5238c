/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Twins on their way between sessions and what the gateway knows of them (twins/twins.h). */

#include "gateway/queue/queue.h"
#include "gateway/relay/audience.h"
#include "gateway/twins/twins.h"

struct twin_relay;
struct twin_relay_config {
	struct twins *twins;
	struct audience audience;
	struct queue *queue; /* takes what was reported, for routes */
	const char *edge_id;
};
struct twin_relay *twin_relay_new(const struct twin_relay_config *config);
void twin_relay_free(struct twin_relay *relay); /* after the loops are finished */

/* On the loop of the session. */
void twin_relay_request(struct twin_relay *relay, struct head_session *session, const struct subject *subject,
	const struct head_request *request, struct head_call *call);
/* On the loop of the line: tell who listens, if it is this generation; "": whichever. */
void twin_relay_news(struct twin_relay *relay, const char *name, const char *generation_id, const json_t *change);
