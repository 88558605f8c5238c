/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of devices at the hub: each is let in on its evidence (hub_evidence.h), stands on its trust (hub_trust.h), and what it brings or asks for goes to the subject that
 * knows about it. */
#include "hub/hub_head.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/commands/command_requests.h"
#include "hub/credential_requests.h"
#include "hub/hub_faults.h"
#include "hub/hub_trust.h"
#include "wire/message_mark.h"
#include "wire/property_bag.h"

struct hub_head {
	struct hub_head_config config;
	struct hub_trust trust;
};

struct session {
	struct hub_head *head;
	struct standing standing;
	char *model_id;
	const char *auth_method; /* a constant */
	struct message_lane *lane;
	struct command_slot commands;
	bool is_live, is_request;
};

/* -- Let in? -------------------------------------------------------------------------------------------------------------------------- */

/* Hub 1.6. */
static const char *
auth_method(const struct head_hello *hello)
{
	bool by_token = hello->token && *hello->token;

	if (hello->module_id)
		return by_token ? "{\"scope\":\"module\",\"type\":\"sas\",\"issuer\":\"iothub\"}"
				: "{\"scope\":\"module\",\"type\":\"x509\",\"issuer\":\"iothub\"}";
	return by_token ? "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\"}"
			: "{\"scope\":\"device\",\"type\":\"x509\",\"issuer\":\"iothub\"}";
}

static void
restore_subscriptions(struct hub_head *head, const struct head_hello *hello, const char *name, struct head_admission *admission)
{
	struct subscription_list kept;

	if (hello->clean_session) {
		subscriptions_set(head->config.subscriptions, name, NULL, NULL, 0, NULL);
		return;
	}
	subscriptions_get(head->config.subscriptions, name, &kept);
	head_admission_restore(admission, kept.filters, kept.qos, kept.n);
	subscription_list_clear(&kept);
}

static void
let_in(struct hub_head *head, const struct head_hello *hello, struct head_admission *admission, struct verdict *verdict_take,
	struct evidence *found, const struct authority *vouched, uint64_t epoch)
{
	struct session *session = NEW(session);
	OWN_TEXT name = identity_name(found->target->device_id, found->target->module_id);
	bool by_certificate = hello->chain->n > 0 && !hello->auth_chain && !(hello->token && *hello->token);
	const char *thumbprint =
		standing_init(&session->standing, found, by_certificate ? hello->chain->item[0] : NULL, vouched, epoch);

	if (by_certificate)
		trust_stand_below(&session->standing.trust, hello->chain, vouched);
	if (thumbprint)
		rotation_keeper_connected(head->config.rotations, found->target, thumbprint);
	session->head = head;
	session->model_id = mem_text(hello->model_id);
	session->auth_method = auth_method(hello);
	session->lane = message_log_lane(head->config.events, loop_owner(hello->loop));
	session->is_request = hello->is_request;
	if (!hello->is_request)
		restore_subscriptions(head, hello, name, admission);
	head_admit(admission, verdict_take, GIVE(found->target), session, hello->token ? auth_token_expiry(hello->token) : 0);
}

/* A resumed session brings the leaf alone, and what came beside it once is no longer known here.  That is our loss, not the device's fault: it is told to
 * try again, and finds no session to resume. */
static void
ask_for_the_whole_chain(
	struct hub_head *head, const struct head_hello *hello, struct head_admission *admission, struct verdict *verdict_take)
{
	OWN_TEXT name = identity_name(hello->device_id, hello->module_id);

	verdict_free(verdict_take);
	tls_cache_drop_identity(head->config.tls_cache, name);
	head_admit_unavailable(admission);
}

static void
refuse(struct hub_head *head, const struct evidence *found, struct head_admission *admission, struct verdict *verdict_take)
{
	if (found->target)
		refusals_keep(head->config.refusals, found->target, verdict_take, clock_wall());
	head_admit(admission, verdict_take, NULL, NULL, 0);
}

static void
on_admit(void *backend, const struct head_hello *hello, struct head_admission *admission)
{
	struct hub_head *head = backend;
	uint64_t epoch = registry_epoch(head->config.registry); /* before the look: a change meanwhile is noticed */
	OWN(authorities) cas = NULL;
	OWN(revocations) revoked = NULL;
	const struct authority *vouched = NULL;
	struct evidence found;
	struct verdict *verdict;

	if (!hello->is_request && faults_throttle(head->config.faults)) {
		head_admit_unavailable(admission);
		return;
	}
	evidence_find(&found, head->config.registry, hello);
	cas = ca_current(head->config.cas);
	revoked = hub_revocation_current(head->config.revocation);
	verdict = evidence_judge(&found, hello, head->config.hostname, &head->config.auth, cas, revoked, &vouched);
	service_log_verdict(verdict);
	if (verdict_accepted(verdict))
		let_in(head, hello, admission, verdict, &found, vouched, epoch);
	else if (hello->resumed && verdict_cause(verdict) == TRUST_UNKNOWN_ISSUER)
		ask_for_the_whole_chain(head, hello, admission, verdict);
	else
		refuse(head, &found, admission, verdict);
	evidence_clear(&found);
}

/* -- Who it is, and may it still --------------------------------------------------------------------------------------------------------- */

static struct standing *
standing_of(struct head_session *head_session)
{
	struct session *session = head_session_domain(head_session);

	return &session->standing;
}

static enum reason
why_untrusted(struct session *session)
{
	return hub_trust_check(&session->head->trust, &session->standing);
}

static bool
on_stands(void *backend, void *domain)
{
	(void)backend;
	return why_untrusted(domain) == OK;
}

/* On the registry's worker: what is kept beside the store for who is no more. */
static void
on_removed(void *arg, const struct identity *before, const struct identity *after)
{
	struct hub_head *head = arg;
	OWN_TEXT name = identity_name(before->device_id, before->module_id);

	(void)after;
	subscriptions_set(head->config.subscriptions, name, NULL, NULL, 0, NULL);
	marks_forget(head->config.marks, name);
	command_queue_forget(head->config.commands, before->device_id, before->module_id);
}

const struct subject *
hub_head_subject(struct head_session *head_session)
{
	struct session *session = head_session_domain(head_session);
	enum reason reason = why_untrusted(session);

	if (reason == OK)
		return &session->standing.subject;
	head_session_close(head_session, reason);
	return NULL;
}

struct command_slot *
hub_head_commands(struct head_session *head_session)
{
	struct session *session = head_session_domain(head_session);

	return &session->commands;
}

/* -- Messages ------------------------------------------------------------------------------------------------------------------------------ */

/* A request had its own on the way here (rest_router.c). */
static struct faults *
faults_of(const struct session *session)
{
	return session->is_request ? NULL : session->head->config.faults;
}

static void
on_stored(void *arg, bool ok)
{
	if (arg)
		head_message_done(arg, ok ? OK : UNAVAILABLE);
}

static void
on_message(void *backend, void *domain, struct head_session *head_session, const struct head_message *sent, struct head_ack *ack)
{
	struct session *session = domain;
	enum reason reason = why_untrusted(session);
	const struct subject *subject = &session->standing.subject;
	CLEAR(buf) unmarked = BUF_INIT(PROPERTY_BAG_MAX);
	struct message message = {
		.source = MESSAGE_TELEMETRY,
		.device_id = slice_of(subject->device_id),
		.module_id = slice_of(subject->module_id ? subject->module_id : ""),
		.generation_id = slice_of(subject->generation_id),
		.auth_method = slice_of(session->auth_method),
		.model_id = slice_of(session->model_id ? session->model_id : ""),
		.bag = sent->bag,
		.payload = sent->payload,
		.retain = sent->retain,
		.dup = sent->dup,
		.is_will = sent->is_will,
	};

	(void)backend;
	if (reason != OK) {
		if (head_session)
			head_session_close(head_session, reason);
		on_stored(ack, false);
		return;
	}
	if (head_session && faults_drop(faults_of(session))) {
		head_session_close(head_session, SESSION_FAULT);
		on_stored(ack, false);
		return;
	}
	message.enqueued_ms = clock_wall_ms();
	if (session->standing.speaker && message_mark_cut(sent->bag, &unmarked, &message.mark))
		message.bag = (struct slice){ .text = buf_text(&unmarked), .len = unmarked.len };
	if (faults_of(session) && ack)
		hub_faults_store(faults_of(session), session->head->config.marks, conn_loop(head_session_conn(head_session)),
			session->lane, &message, ack);
	else
		marks_store(session->head->config.marks, session->lane, &message, on_stored, ack);
}

static void
on_subscriptions(void *backend, void *domain, struct head_session *head_session, const char *const *filters, const uint8_t *qos,
	size_t n, struct head_ack *ack)
{
	struct hub_head *head = backend;
	const struct session *session = domain;
	OWN_TEXT name = subject_name(&session->standing.subject);

	/* What a device listened to that was deleted is not the next one's of its name. */
	if (hub_head_subject(head_session))
		subscriptions_keep(head->config.subscriptions, name, head_session, filters, qos, n, ack);
	else
		head_message_done(ack, SESSION_WITHDRAWN);
}

/* -- Twins, methods, commands --------------------------------------------------------------------------------------------------------- */

static void
on_wants(void *backend, void *domain, struct head_session *head_session, unsigned wants)
{
	struct hub_head *head = backend;
	const struct subject *subject = wants & (HEAD_WANTS_METHODS | HEAD_ASKED_COMMANDS) ? hub_head_subject(head_session) : NULL;

	(void)domain;
	if (subject && (wants & HEAD_WANTS_METHODS))
		methods_on_ready(head->config.methods, head_session, subject);
	if (subject)
		command_sessions_on_wants(head->config.command_sessions, head_session, subject, wants);
}

static void
on_settled(void *backend, void *domain, struct head_session *head_session, uint64_t command_id, enum head_outcome outcome)
{
	struct hub_head *head = backend;
	const struct subject *subject = hub_head_subject(head_session);

	(void)domain;
	if (subject)
		command_sessions_on_settled(head->config.command_sessions, head_session, subject, command_id, outcome);
}

static void
on_request(
	void *backend, void *domain, struct head_session *head_session, const struct head_request *request, struct head_call *call)
{
	struct hub_head *head = backend;
	const struct session *session = domain;
	const struct subject *subject = hub_head_subject(head_session);

	if (subject && request->kind == HEAD_ISSUE_CERT)
		credential_requests_ask(head->config.credentials, head_session, subject, !session->standing.speaker, request, call);
	else if (subject)
		twin_sessions_on_request(head->config.twins, head_session, subject, request, call);
	else
		head_answer(call, 401, 0, "", 0); /* which goes nowhere: the session is being closed */
}

static void
on_method_answer(void *backend, void *domain, struct slice rid, int status, struct slice payload)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	if (why_untrusted(session) == OK)
		methods_on_answer(head->config.methods, &session->standing.subject, rid, status, payload);
}

static void
on_receive(void *backend, void *domain, struct head_session *head_session, struct head_receipt *receipt)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	command_requests_receive(head->config.commands, head_session, &session->standing.subject, receipt);
}

static void
on_settle(void *backend, void *domain, struct head_session *head_session, const char *lock_token, enum head_outcome outcome,
	struct head_settlement *settlement)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	command_requests_settle(head->config.commands, head_session, &session->standing.subject, lock_token, outcome, settlement);
}

static void
on_live(void *backend, void *domain, struct head_session *head_session)
{
	struct hub_head *head = backend;
	struct session *session = domain;
	enum reason reason = why_untrusted(session);

	session->is_live = true;
	event_source_session_began(head->config.source, &session->standing.subject);
	/* What changed between the decision and now found no session to close. */
	if (reason != OK) {
		head_session_close(head_session, reason);
		return;
	}
	hub_faults_disconnect(head->config.faults, head_session_conn(head_session));
	twin_sessions_on_live(head->config.twins, head_session, &session->standing.subject, session->model_id);
	on_wants(backend, domain, head_session, head_session_wants(head_session)); /* by its kept subscriptions */
	command_sessions_on_live(head->config.command_sessions, head_session, &session->standing.subject);
}

static void
on_violation(void *backend, const char *who, enum reason reason, const char *detail)
{
	(void)backend;
	service_log_violation(who, reason, detail);
}

static void
on_end(void *backend, void *domain, struct head_session *head_session, bool clean)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	(void)clean;
	if (session->is_live) {
		event_source_session_ended(head->config.source, &session->standing.subject);
		methods_on_end(head->config.methods, head_session, &session->standing.subject);
		command_sessions_on_end(head_session);
	}
	standing_clear(&session->standing);
	mem_free(session->model_id);
	mem_free(session);
}

const struct head_ops hub_head_ops = {
	.admit = on_admit,
	.message = on_message,
	.subscriptions = on_subscriptions,
	.live = on_live,
	.wants = on_wants,
	.request = on_request,
	.method_answer = on_method_answer,
	.stands = on_stands,
	.settled = on_settled,
	.receive = on_receive,
	.settle = on_settle,
	.violation = on_violation,
	.end = on_end,
};

struct hub_head *
hub_head_new(const struct hub_head_config *config)
{
	struct hub_head *head = NEW(hub_head);

	head->config = *config;
	head->trust = (struct hub_trust){
		.registry = config->registry,
		.cas = config->cas,
		.revocation = config->revocation,
		.directory = config->directory,
		.tls_cache = config->tls_cache,
		.standing_of = standing_of,
	};
	hub_trust_watch(&head->trust);
	registry_watch(config->registry, REGISTRY_REMOVED, on_removed, head);
	return head;
}

void
hub_head_free(struct hub_head *head)
{
	if (!head)
		return;
	mem_free(head);
}
