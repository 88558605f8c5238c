/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Twins and the sessions of their devices: the questions that a device asks, the desired properties that it is told, and the model that it names when it connects. */

#include "heads/head.h"
#include "hub/twins/twin.h"

struct twin_sessions;
/* Watches the twins from now on; both are borrowed. */
struct twin_sessions *twin_sessions_new(struct twins *twins, struct directory *directory);
void twin_sessions_free(struct twin_sessions *sessions); /* after the loops */

/* On the loop of the session, whose trust was just looked at. */
void twin_sessions_on_live(
	struct twin_sessions *sessions, struct head_session *session, const struct subject *subject, const char *model_id);
void twin_sessions_on_request(struct twin_sessions *sessions, struct head_session *session, const struct subject *subject,
	const struct head_request *request, struct head_call *call);
