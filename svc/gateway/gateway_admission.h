/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who may come in at the gateway: a claim and its evidence are judged by the records at hand, so that it is the same and as fast while the hub is away.  Only when it is a no
 * that a newer record could turn into a yes, the hub is asked once about that device, and it is decided again.  What a session is, and when it ends, is gateway_head.c's. */

#include "auth/decide.h"
#include "auth/on_behalf.h"
#include "base/pool.h"
#include "gateway/gateway_revocation.h"
#include "gateway/local/door_book.h"
#include "gateway/scope/offline_policy.h"
#include "gateway/scope/scope.h"
#include "heads/head.h"
#include "net/tls.h"

/* Who is let in, and by what; all of it borrowed. */
struct gateway_admitted {
	struct identity *record;
	const struct certs *chain;	 /* it has proved itself with; NULL: with a token, or nothing */
	const struct authority *vouched; /* for that chain; NULL: no CA */
	const struct identity *device;	 /* of the module, whose key let it in; NULL: its own evidence did */
	const struct on_behalf *by;	 /* the gateways below that speak for it; NULL: it speaks for itself */
	uint64_t epoch;			 /* of the scope, from before the look: a change meanwhile is noticed */
	struct loop *loop;
	const char *model_id; /* that it has named; NULL: none */
	bool clean_session, is_request;
};

struct gateway_admission_config {
	struct sas_audience audience; /* of tokens; all of this is borrowed */
	struct scope *scope;
	struct gateway_revocation *revocation;
	struct pool *questions; /* to the hub; a full one makes strangers wait, and nobody else */
	struct directory *directory;
	struct door_book *book; /* who came, and who was refused */
	struct tls_cache *tls_cache;
	const struct offline_policy *offline;
	struct auth_policy auth;
	/* A session for who is let in, on its loop, before that is answered: the `domain` of head_admit. */
	void *(*begin)(void *arg, const struct gateway_admitted *admitted, struct head_admission *admission);
	void *arg;
};

struct gateway_admission;
struct gateway_admission *gateway_admission_new(const struct gateway_admission_config *config);
void gateway_admission_free(struct gateway_admission *door); /* after the loops and the workers */
/* As struct head_ops.admit. */
void gateway_admission_ask(struct gateway_admission *door, const struct head_hello *hello, struct head_admission *admission);
/* What the hub confirmed then counts no more. */
bool gateway_admission_is_too_old(
	const struct gateway_admission *door, const struct identity *record, const struct confirmation *at);
