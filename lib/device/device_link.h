/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A device's connection that is meant to stay: made again with a jittered, growing back-off after it was lost, and renewed before its token expires, when nothing is in
 * flight.  Tokens come from the owner, at once or later, so that whoever holds the key may take its time.  Lives on one loop; no callback is called from within a call. */

#include "device/device_client.h"

struct device_link;

struct device_link_ops {
	/* A token is needed: answer with device_link_token or device_link_no_token, at once or later.  NULL with a certificate. */
	void (*ask_token)(struct device_link *link, void *user);
	/* Connected; nothing is in flight. */
	void (*on_up)(struct device_link *link, void *user);
	/* It may publish again, or what was published is there. */
	void (*on_acked)(struct device_link *link, void *user, uint64_t cookie);
	/* No connection could be made, or it is lost; what was in flight is not known to have arrived.  True: go on trying. */
	bool (*on_down)(struct device_link *link, void *user, enum device_client_end end, uint8_t code, const char *why);
	/* After device_link_stop, when the connection is gone; not when there was none.  May be NULL. */
	void (*on_stopped)(struct device_link *link, void *user);
	/* About the server, borrowed; may be NULL. */
	void (*on_verdict)(struct device_link *link, void *user, const struct verdict *verdict);
	/* Nothing is under way that another connection would not bring back: asked when device_link_move begins, and once more before this connection is left.  NULL: it is never asked to move. */
	bool (*may_move)(struct device_link *link, void *user);
	/* device_link_move took too long, or could not be, and this connection goes on: what was refused meanwhile may be tried again.  Goes with may_move. */
	void (*on_stayed)(struct device_link *link, void *user);
};

#define DEVICE_LINK_BACK_OFF_MIN_MS 250
#define DEVICE_LINK_BACK_OFF_MAX_MS 60000

/* The target is copied; its token is not used.  Nothing happens before device_link_start. */
struct device_link *device_link_new(
	struct loop *loop, const struct device_client_config *target, const struct device_link_ops *ops, void *user);
void device_link_free(struct device_link *link); /* ends it without a word to the owner */

/* For whom the gateway speaks by whom, on the connections from now on: from ask_token. */
void device_link_set_chain(struct device_link *link, const char *auth_chain);
void device_link_set_model(struct device_link *link, const char *model_id); /* as that */
/* Carried by that, or, where it is NULL, by a connection of its own (device_client_config): from ask_token. */
void device_link_set_carrier(struct device_link *link, struct conn_carrier *(*carrier)(void *arg), void *arg);
/* By what the server is judged from now on.  A connection to one that would not be taken any more is lost, and made again; any other one goes on. */
void device_link_trust(struct device_link *link, struct tls_client *tls);
void device_link_start(struct device_link *link);
/* Say DISCONNECT and stay away until the next start; on_down is not called. */
void device_link_stop(struct device_link *link);
/* While it waits for its next try: try soon, for there is news that the server is back. */
void device_link_hurry(struct device_link *link);

/* Another connection would be a better one: make it, as soon as nothing is in flight; until then it may not be used, and where that takes long this one goes on.  False: not now. */
bool device_link_move(struct device_link *link);

/* Many lose their server together: from now on it waits at least so long, jittered, and hurries no faster. */
void device_link_spread(struct device_link *link, int64_t ms);

void device_link_token(struct device_link *link, const char *token, int64_t expires);
void device_link_no_token(struct device_link *link, const char *why);

bool device_link_is_up(const struct device_link *link);
bool device_link_may_publish(const struct device_link *link);
/* As device_client_publish. */
bool device_link_publish(struct device_link *link, const struct device_message *message, uint64_t cookie);

/* As the same of device_client, while it is up; what the server tells goes to the target's `told`.  Each connection begins without subscriptions. */
void device_link_listen(struct device_link *link, unsigned wants);
bool device_link_get_twin(struct device_link *link, uint64_t cookie);
bool device_link_report(struct device_link *link, struct slice patch, uint64_t cookie);
bool device_link_answer_method(struct device_link *link, const char *rid, int status, struct slice payload);
void device_link_settle(struct device_link *link, uint64_t id);

/* How long before a token's end the connection is renewed. */
int64_t device_link_margin_s(int64_t token_life_s);
