/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The hub behind the device-facing heads (heads/head.h): who may come in, where messages go, what is kept for a session, and which sessions
 * end when a record changes. */

#include "auth/decide.h"
#include "heads/head.h"
#include "hub/events/event_source.h"
#include "hub/events/marks.h"
#include "hub/registry/ca.h"
#include "hub/commands/command_sessions.h"
#include "hub/faults.h"
#include "heads/method.h"
#include "hub/refusals.h"
#include "hub/registry/registry.h"
#include "hub/registry/rotation_keeper.h"
#include "heads/subscriptions.h"
#include "hub/twins/twin_sessions.h"
#include "net/tls.h"
#include "store/message_log.h"

struct hub_head_config {
	const char *hostname; /* borrowed, like all of it */
	struct registry *registry;
	struct subscriptions *subscriptions;
	struct directory *directory;
	struct twin_sessions *twins;
	const struct credential_requests *credentials;
	struct methods *methods;
	struct command_queue *commands;
	struct command_sessions *command_sessions;
	struct tls_cache *tls_cache;
	struct message_log *events; /* with a lane for each loop */
	struct marks *marks;
	struct event_source *source;
	struct ca_registry *cas;
	struct hub_revocation *revocation;
	struct rotation_keeper *rotations;
	struct auth_policy auth;
	struct refusals *refusals; /* where those of known devices are kept */
	struct faults *faults;	   /* NULL: none */
};
struct hub_head;
/* Watches the registry from now on. */
struct hub_head *hub_head_new(const struct hub_head_config *config);
void hub_head_free(struct hub_head *head); /* after the loops */
/* Who a session of this hub stands for, on its loop.  NULL: trust in it was withdrawn, and it is being closed. */
const struct subject *hub_head_subject(struct head_session *session);
struct command_slot *hub_head_commands(struct head_session *session);
extern const struct head_ops hub_head_ops; /* the backend is the hub_head */
