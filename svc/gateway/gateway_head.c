/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of devices at the gateway: what they stand on and when that ends, what they bring and what they want.  Who may have one is decided by gateway_admission.c. */
#include "gateway/gateway_head.h"

#include "auth/trust.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "gateway/gateway_admission.h"
#include "gateway/gauges/tally.h"
#include "gateway/speaker.h"
#include "wire/message_mark.h"
#include "wire/property_bag.h"

struct gateway_head {
	struct gateway_head_config config;
	struct gateway_admission *admission;
	void (*on_gateway_changed)(void *arg, const struct identity *changed);
	void *arg;
};

struct session {
	struct gateway_head *head;
	struct identity *identity; /* the scope's, shared */
	struct trust trust;
	bool is_own; /* a module of the gateway's own device */
	bool is_live;
	bool has_listened;	 /* to anything */
	uint32_t sender;	 /* what it counts as in the queue */
	struct trust *device;	 /* of the module, whose key let it in; NULL: its own evidence did */
	struct speaker *speaker; /* a gateway below that speaks for it; NULL: it speaks for itself */
	struct queue_lane *lane;
	struct tenure tenure;
	uint64_t epoch;
	struct tally tally;
	char *model_id; /* that it has named, until the relay is told; NULL: none */
};

/* -- The beginning --------------------------------------------------------------------------------------------------------------------- */

static void *
begin(void *arg, const struct gateway_admitted *admitted, struct head_admission *admission)
{
	struct gateway_head *head = arg;
	const struct identity *record = admitted->record;
	const struct cert *leaf = admitted->chain ? admitted->chain->item[0] : NULL;
	struct session *session = NEW(session);

	session->head = head;
	session->identity = identity_ref(admitted->record);
	session->speaker = admitted->by ? speaker_new(admitted->by) : NULL;
	trust_init(&session->trust, record, leaf, admitted->vouched);
	if (admitted->chain)
		trust_stand_below(&session->trust, admitted->chain, admitted->vouched);
	if (admitted->device) {
		session->device = NEW(trust);
		trust_init(session->device, admitted->device, NULL, NULL);
	}
	session->lane = queue_lane(head->config.queue, loop_owner(admitted->loop));
	session->sender =
		queue_sender(session->lane, slice_of(record->device_id), slice_of(record->module_id ? record->module_id : ""));
	session->is_own = record->module_id && text_is(record->device_id, head->config.edge_id);
	session->epoch = admitted->epoch;
	session->tenure =
		tenure_begin(&head->config.tenure, leaf ? cert_not_after(leaf) : 0, clock_boot_ms(), (uint32_t)random_u64());
	session->model_id = mem_text(admitted->model_id);
	if (!admitted->is_request)
		relay_restore(head->config.relay, &session->identity->subject, admitted->clean_session, admission);
	return session;
}

static void
on_admit(void *backend, const struct head_hello *hello, struct head_admission *admission)
{
	struct gateway_head *head = backend;

	gateway_admission_ask(head->admission, hello, admission);
}

/* -- Trust withdrawn ------------------------------------------------------------------------------------------------------------------- */

/* By whom it comes: itself or a gateway, and those between. */
static bool
is_still_reached(struct gateway_head *head, const struct session *session)
{
	if (session->speaker)
		return speaker_may(session->speaker, head->config.scope, session->identity->device_id);
	return scope_is_ours(head->config.scope, session->identity);
}

/* Is the device, whose key let its module in, as it was? */
static enum reason
check_device(struct gateway_head *head, const struct session *session)
{
	struct confirmation ignored = { 0 };
	OWN(identity) now = NULL;

	if (!session->device)
		return OK;
	now = scope_find_aged(head->config.scope, session->identity->device_id, NULL, &ignored);
	return trust_check(session->device, now, NULL, NULL);
}

/* The change that closes a session may come between its decision and its place in the directory: so each message looks, too.  OK while nothing has changed that
 * the session stands on. */
static enum reason
why_untrusted(struct gateway_head *head, struct session *session)
{
	uint64_t epoch = scope_epoch(head->config.scope);
	const struct identity *judged = session->identity;
	OWN(authorities) cas = NULL;
	OWN(revocations) revoked = NULL;
	OWN(identity) now = NULL;
	enum reason reason = tenure_check(&session->tenure, clock_wall(), clock_boot_ms());
	struct confirmation confirmed = { 0 };

	if (reason != OK || epoch == session->epoch)
		return reason;
	cas = scope_cas(head->config.scope);
	now = scope_find_aged(head->config.scope, judged->device_id, judged->module_id, &confirmed);
	revoked = gateway_revocation_current(head->config.revocation);
	reason = trust_check(&session->trust, now, cas, revoked);
	if (reason == OK && !is_still_reached(head, session))
		reason = SESSION_REMOVED;
	if (reason == OK)
		reason = check_device(head, session);
	if (reason == OK && gateway_admission_is_too_old(head->admission, now, &confirmed))
		reason = RECORD_TOO_OLD;
	if (reason == OK)
		session->epoch = epoch;
	return reason;
}

const struct subject *
gateway_head_subject(struct head_session *head_session)
{
	struct session *session = head_session_domain(head_session);
	enum reason reason = why_untrusted(session->head, session);

	if (reason == OK)
		return &session->identity->subject;
	head_session_close(head_session, reason);
	return NULL;
}

struct recheck {
	struct directory_visit visit;
	struct gateway_head *head;
};

static void
on_recheck(struct directory_visit *visit, struct head_session *head_session)
{
	struct recheck *recheck = CONTAINER_OF(visit, struct recheck, visit);
	enum reason reason = head_session ? why_untrusted(recheck->head, head_session_domain(head_session)) : OK;

	if (reason != OK)
		head_session_close(head_session, reason);
	mem_free(recheck);
}

/* Its session looks again whether it still stands, there where it lives. */
static void
ask_session(struct gateway_head *head, const struct identity *identity)
{
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);
	struct recheck *recheck = NEW(recheck);

	recheck->head = head;
	recheck->visit.run = on_recheck;
	if (!directory_visit(head->config.directory, name, &recheck->visit))
		mem_free(recheck);
}

/* What it stands on may be gone: and no TLS session is resumed. */
static void
withdraw(void *arg, const struct identity *identity)
{
	struct gateway_head *head = arg;
	OWN_TEXT name = identity_name(identity->device_id, identity->module_id);

	tls_cache_drop_identity(head->config.tls_cache, name);
	ask_session(head, identity);
}

/* Modules may stand on the device's key. */
static bool
takes_modules(const struct identity *before, const struct identity *after)
{
	if (before->module_id)
		return false;
	return !after || !after->enabled || (before->auth == IDENTITY_AUTH_SAS && !identity_same_trust(before, after));
}

/* On a worker.  A disabled device takes its modules with it, and one with other keys those that came in by them; a gateway all that it lets through or speaks for. */
static void
on_change(void *arg, const struct identity *before, const struct identity *after)
{
	struct gateway_head *head = arg;
	struct subject gone = identity_subject(before);

	withdraw(head, before);
	if (!after || !text_is(after->generation_id, before->generation_id))
		relay_forget(head->config.relay, &gone);
	else if (after->enabled && !before->enabled)
		relay_go_on(head->config.relay);
	if (takes_modules(before, after))
		scope_each_module(head->config.scope, before->device_id, withdraw, head);
	if (before->is_edge || text_is(before->module_id, ON_BEHALF_MODULE)) {
		scope_each_behind(head->config.scope, before->device_id, withdraw, head);
		if (head->on_gateway_changed)
			head->on_gateway_changed(head->arg, before);
	}
}

static void
withdraw_if_by_ca(void *arg, const struct identity *identity)
{
	if (identity->auth == IDENTITY_AUTH_CA)
		withdraw(arg, identity);
}

static void
on_cas_changed(void *arg)
{
	struct gateway_head *head = arg;

	scope_each(head->config.scope, withdraw_if_by_ca, head);
}

static void
withdraw_if_by_certificate(void *arg, const struct identity *identity)
{
	if (identity->auth == IDENTITY_AUTH_CA || identity->auth == IDENTITY_AUTH_THUMBPRINT)
		withdraw(arg, identity);
}

static void
on_revoked(void *arg)
{
	struct gateway_head *head = arg;

	scope_touch(head->config.scope);
	scope_each(head->config.scope, withdraw_if_by_certificate, head);
}

static bool
on_stands(void *backend, void *domain)
{
	return why_untrusted(backend, domain) == OK;
}

/* -- What time does ------------------------------------------------------------------------------------------------------------------------ */

static bool
may_have_ended(const struct gateway_head *head, const struct identity *identity)
{
	const struct tenure_policy *tenure = &head->config.tenure;

	return tenure->max_age_s > 0 ||
	       (!tenure->leave_expired && (identity->auth == IDENTITY_AUTH_CA || identity->auth == IDENTITY_AUTH_THUMBPRINT));
}

static void
choose(void *arg, const struct identity *identity, const struct confirmation *at)
{
	struct gateway_head *head = arg;

	if (gateway_admission_is_too_old(head->admission, identity, at)) {
		scope_touch(head->config.scope);
		withdraw(head, identity);
	} else if (may_have_ended(head, identity)) {
		ask_session(head, identity);
	}
}

void
gateway_head_look(struct gateway_head *head)
{
	scope_each_aged(head->config.scope, choose, head);
	if (head->config.offline->n > 0)
		scope_note_ages(head->config.scope);
}

/* -- Messages -------------------------------------------------------------------------------------------------------------------------- */

/* One that is on its way to the disk: its session may have ended before it is there. */
struct sent {
	struct queue_storing storing;
	struct identity *from; /* the session's, shared */
	struct head_ack *ack;  /* NULL: nobody waits for it */
};

static void
on_stored(struct queue_storing *storing, enum reason why)
{
	struct sent *sent = CONTAINER_OF(storing, struct sent, storing);

	if (why != OK)
		tally_unstored(sent->from);
	if (sent->ack)
		head_message_done(sent->ack, why);
	identity_free(sent->from);
	mem_free(sent);
}

static struct sent *
sent_new(const struct session *session, struct head_ack *ack)
{
	struct sent *sent = NEW(sent);

	sent->storing.done = on_stored;
	sent->storing.sender = session->sender;
	sent->from = identity_ref(session->identity);
	sent->ack = ack;
	return sent;
}

static void
on_message(void *backend, void *domain, struct head_session *head_session, const struct head_message *sent, struct head_ack *ack)
{
	struct gateway_head *head = backend;
	struct session *session = domain;
	const struct identity *identity = session->identity;
	enum reason reason = why_untrusted(head, session);
	struct sent *sent_on;
	CLEAR(buf) unmarked = BUF_INIT(PROPERTY_BAG_MAX);
	struct slice mark;
	struct message message = {
		.source = MESSAGE_TELEMETRY,
		.device_id = slice_of(identity->device_id),
		.module_id = slice_of(identity->module_id ? identity->module_id : ""),
		.generation_id = slice_of(identity->generation_id ? identity->generation_id : ""),
		.bag = sent->bag,
		.payload = sent->payload,
		.retain = sent->retain,
		.dup = sent->dup && !session->speaker, /* a gateway says it of its connection, not of the device */
		.is_will = sent->is_will,
	};

	if (reason != OK) {
		if (head_session)
			head_session_close(head_session, reason);
		if (ack)
			head_message_done(ack, reason);
		return;
	}
	/* Only gateways mark messages. */
	if (!session->speaker && message_mark_cut(sent->bag, &unmarked, &mark))
		message.bag = (struct slice){ .text = buf_text(&unmarked), .len = unmarked.len };
	message.enqueued_ms = clock_wall_ms();
	tally_message(&session->tally, session->identity, sent->payload.len);
	sent_on = sent_new(session, ack);
	if (queue_put(session->lane, &message, session->is_own, &sent_on->storing))
		return;
	tally_no_route(&session->tally, identity);
	on_stored(&sent_on->storing, OK);
}

/* A module of the gateway's own device: what its inputs get comes from here. */
static const char *
own_module(const struct session *session)
{
	return session->is_own ? session->identity->module_id : NULL;
}

/* -- Both ways -------------------------------------------------------------------------------------------------------------------------- */

static void
on_wants(void *backend, void *domain, struct head_session *head_session, unsigned wants)
{
	struct gateway_head *head = backend;
	struct session *session = domain;
	const struct subject *subject = gateway_head_subject(head_session);

	if (!subject || (!wants && !session->has_listened))
		return;
	session->has_listened = true;
	relay_wants(head->config.relay, head_session, subject, wants);
	if (own_module(session))
		inputs_on_wants(head->config.inputs, own_module(session), head_session);
}

/* What changed between the decision and now found no session to close. */
static void
on_live(void *backend, void *domain, struct head_session *head_session)
{
	struct gateway_head *head = backend;
	struct session *session = domain;
	OWN_TEXT name = subject_name(&session->identity->subject);

	session->is_live = true;
	client_list_came(head->config.clients, name, clock_wall());
	if (session->model_id) {
		relay_model(head->config.relay, head_session, &session->identity->subject, session->model_id);
		mem_free(session->model_id);
		session->model_id = NULL;
	}
	on_wants(backend, domain, head_session, head_session_wants(head_session)); /* by its kept subscriptions */
}

static void
on_subscriptions(void *backend, void *domain, struct head_session *head_session, const char *const *filters, const uint8_t *qos,
	size_t n, struct head_ack *ack)
{
	struct gateway_head *head = backend;
	const struct subject *subject = gateway_head_subject(head_session);

	(void)domain;
	if (subject)
		relay_subscriptions(head->config.relay, head_session, subject, filters, qos, n, ack);
	else
		head_message_done(ack, SESSION_WITHDRAWN);
}

static void
on_request(
	void *backend, void *domain, struct head_session *head_session, const struct head_request *request, struct head_call *call)
{
	struct gateway_head *head = backend;
	const struct subject *subject = gateway_head_subject(head_session);

	(void)domain;
	if (subject)
		relay_request(head->config.relay, head_session, subject, request, call);
	else
		head_answer(call, 401, 0, "", 0); /* which goes nowhere: the session is being closed */
}

static void
on_method_answer(void *backend, void *domain, struct slice rid, int status, struct slice payload)
{
	struct gateway_head *head = backend;
	struct session *session = domain;

	if (why_untrusted(head, session) == OK)
		relay_method_answer(head->config.relay, &session->identity->subject, rid, status, payload);
}

static void
on_settled(void *backend, void *domain, struct head_session *head_session, uint64_t command_id, enum head_outcome outcome)
{
	struct gateway_head *head = backend;
	const struct subject *subject = gateway_head_subject(head_session);

	if (!subject || outcome != HEAD_COMPLETED)
		return;
	if (!own_module(domain) || !inputs_on_settled(head->config.inputs, own_module(domain), command_id))
		relay_settled(head->config.relay, subject, command_id);
}

/* -- The end ------------------------------------------------------------------------------------------------------------------------------ */

static void
on_violation(void *backend, const char *who, enum reason reason, const char *detail)
{
	struct gateway_head *head = backend;

	door_book_violation(head->config.book, who, reason, detail);
}

static void
on_refused(void *backend, const char *who, enum reason reason)
{
	struct gateway_head *head = backend;

	door_book_refused(head->config.book, who, reason);
}

static void
note_end(struct gateway_head *head, const struct session *session)
{
	OWN_TEXT name = subject_name(&session->identity->subject);

	if (session->is_live)
		client_list_went(head->config.clients, name, clock_wall());
}

static void
on_end(void *backend, void *domain, struct head_session *head_session, bool clean)
{
	struct gateway_head *head = backend;
	struct session *session = domain;

	(void)clean;
	note_end(head, session);
	if (head_session && session->is_live)
		relay_end(head->config.relay, head_session, &session->identity->subject);
	if (head_session && session->has_listened && own_module(session))
		inputs_on_end(head->config.inputs, own_module(session), head_session);
	tally_end(session->identity);
	identity_free(session->identity);
	speaker_free(session->speaker);
	mem_free(session->device);
	mem_free(session->model_id);
	mem_free(session);
}

const struct head_ops gateway_head_ops = {
	.admit = on_admit,
	.message = on_message,
	.subscriptions = on_subscriptions,
	.live = on_live,
	.wants = on_wants,
	.request = on_request,
	.method_answer = on_method_answer,
	.settled = on_settled,
	.stands = on_stands,
	.violation = on_violation,
	.refused = on_refused,
	.end = on_end,
};

struct gateway_head *
gateway_head_new(const struct gateway_head_config *config)
{
	struct gateway_head *head = NEW(gateway_head);

	head->config = *config;
	head->admission = gateway_admission_new(&(struct gateway_admission_config){
		.audience = config->audience,
		.scope = config->scope,
		.revocation = config->revocation,
		.questions = config->questions,
		.directory = config->directory,
		.book = config->book,
		.tls_cache = config->tls_cache,
		.offline = config->offline,
		.auth = config->auth,
		.begin = begin,
		.arg = head,
	});
	scope_watch(config->scope, on_change, head);
	scope_watch_cas(config->scope, on_cas_changed);
	gateway_revocation_watch(config->revocation, on_revoked, head);
	return head;
}

void
gateway_head_watch_gateways(struct gateway_head *head, void (*changed)(void *arg, const struct identity *changed), void *arg)
{
	head->arg = arg;
	head->on_gateway_changed = changed;
}

void
gateway_head_free(struct gateway_head *head)
{
	if (!head)
		return;
	gateway_admission_free(head->admission);
	mem_free(head);
}
