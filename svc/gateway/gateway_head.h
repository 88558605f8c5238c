/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway behind the device-facing heads (heads/head.h): sessions of who may come in (gateway_admission.h), where messages go, and which sessions end when a record changes. */

#include "auth/decide.h"
#include "base/pool.h"
#include "gateway/edge_hub/client_list.h"
#include "gateway/gateway_revocation.h"
#include "gateway/inputs/inputs.h"
#include "gateway/local/door_book.h"
#include "gateway/queue/queue.h"
#include "gateway/relay/relay.h"
#include "gateway/scope/offline_policy.h"
#include "gateway/scope/scope.h"
#include "gateway/tenure.h"
#include "heads/head.h"
#include "net/tls.h"

struct gateway_head_config {
	struct sas_audience audience; /* of tokens; all of this is borrowed */
	const char *edge_id;	      /* the device that the gateway is */
	struct scope *scope;
	struct gateway_revocation *revocation;
	struct pool *questions; /* to the hub; a full one makes strangers wait, and nobody else */
	struct directory *directory;
	struct door_book *book; /* who came, and who was refused */
	struct tls_cache *tls_cache;
	struct client_list *clients;
	struct relay *relay; /* gateway_head_subject is its `trusted` */
	struct queue *queue; /* with a lane for each loop */
	struct inputs *inputs;
	const struct offline_policy *offline;
	struct tenure_policy tenure;
	struct auth_policy auth;
};
struct gateway_head;
/* Watches the scope from now on. */
struct gateway_head *gateway_head_new(const struct gateway_head_config *config);
void gateway_head_free(struct gateway_head *head); /* after the loops and the workers */
/* Who is on a session, on its loop; NULL: it is no longer trusted, and is being closed. */
const struct subject *gateway_head_subject(struct head_session *session);
/* On a worker, now and then: sessions that time alone has ended are closed. */
void gateway_head_look(struct gateway_head *head);
/* Told, on the thread that found it out, when the record of a gateway below has changed, or of its $edgeHub.  Before the loops run. */
void gateway_head_watch_gateways(struct gateway_head *head, void (*changed)(void *arg, const struct identity *changed), void *arg);
extern const struct head_ops gateway_head_ops; /* the backend is the gateway_head */
