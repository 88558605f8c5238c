/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All that goes between the sessions of downstream identities and the hub in both directions, beside their messages: who listens to what, twins, methods, commands.  What a session
 * says comes in here, on its loop; what the hub says is brought from the lines. */

#include "gateway/keep/keep.h"
#include "gateway/queue/queue.h"
#include "gateway/relay/attendance.h"
#include "gateway/twins/twins.h"
#include "gateway/upstream/lines.h"
#include "heads/method.h"

struct relay;
struct relay_config {
	struct lines *lines;
	struct audience audience;
	struct keep *keep;
	struct queue *queue; /* with a lane for each loop of sessions */
	const char *edge_id; /* borrowed */
	struct methods *methods;
	/* Desired properties of the gateway itself have changed, as twins.h says it.  On the loop of the lines. */
	void (*on_own_news)(void *arg, const json_t *twin);
	void *arg;
};
struct relay *relay_open(const struct relay_config *config, struct err *err);
void relay_close(struct relay *relay); /* after the lines, and after keep_stop */

struct twins *relay_twins(struct relay *relay);
/* Any thread: the hub has this generation of it no more, and nothing is kept of that; what is kept of the next one of its name stays. */
void relay_forget(struct relay *relay, const struct subject *gone);
void relay_go_on(struct relay *relay); /* any thread: some who had been disabled are enabled again */

/* From struct head_ops, on the loop of the session, which is trusted. */
void relay_restore(struct relay *relay, const struct subject *subject, bool clean_session, struct head_admission *admission);
void relay_subscriptions(struct relay *relay, struct head_session *session, const struct subject *subject,
	const char *const *filters, const uint8_t *qos, size_t n, struct head_ack *ack);
/* Before anything that it sends. */
void relay_model(struct relay *relay, struct head_session *session, const struct subject *subject, const char *model_id);
void relay_wants(struct relay *relay, struct head_session *session, const struct subject *subject, unsigned wants);
void relay_request(struct relay *relay, struct head_session *session, const struct subject *subject,
	const struct head_request *request, struct head_call *call);
void relay_method_answer(struct relay *relay, const struct subject *subject, struct slice rid, int status, struct slice payload);
void relay_settled(struct relay *relay, const struct subject *subject, uint64_t command_id);
void relay_end(struct relay *relay, struct head_session *session, const struct subject *subject);
