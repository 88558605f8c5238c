/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of devices at the hub.  A decision needs no waiting: the records are in memory.  Trust is withdrawn in two ways, because a record can change
 * between the decision and the moment the session stands in the directory: the change closes the session that it finds, and each message
 * looks whether anything has changed since its session was judged. */
#include "hub/hub_head.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/commands/command_requests.h"
#include "auth/trust.h"
#include "hub/hub_faults.h"

#define CHAIN_MAX 8 /* elements of an auth-chain */
#define EDGE_HUB "$edgeHub"

struct hub_head {
	struct hub_head_config config;
};

/* A gateway that speaks for a device: its $edgeHub was judged, and itself. */
struct speaker {
	char *gateway_id;
	struct trust module, device;
};

/* There are as many as connections: no record, and no key. */
struct session {
	struct hub_head *head;
	struct subject subject;
	struct trust trust;
	struct speaker *speaker; /* NULL: it speaks for itself */
	char *model_id;
	const char *auth_method; /* a constant */
	struct message_lane *lane;
	struct faults *faults; /* NULL: none, or a request: it had its own on the way here (rest_router.c) */
	struct command_slot commands;
	uint64_t epoch;
	bool is_live;
};

/* -- The records that a decision needs --------------------------------------------------------------------------------------------- */

struct evidence {
	struct identity *target, *actor, *actor_device;
	struct identity *path[CHAIN_MAX];
	size_t n_path;
};

static void
evidence_clear(struct evidence *e)
{
	identity_free(e->target);
	identity_free(e->actor);
	identity_free(e->actor_device);
	for (size_t i = 0; i < e->n_path; i++)
		identity_free(e->path[i]);
}

/* "target;...;actor": the devices between, and the gateway at the end with its $edgeHub. */
static void
find_chain(struct evidence *e, struct registry *registry, const char *chain)
{
	struct slice rest = slice_of(chain), one;
	bool more = slice_cut(&rest, ';', &one);

	while (more) {
		OWN_TEXT id = NULL;

		more = slice_cut(&rest, ';', &one);
		id = slice_text(one);
		if (!more) {
			e->actor_device = registry_find(registry, id, NULL);
			e->actor = registry_find_judged(registry, id, EDGE_HUB);
			return;
		}
		if (e->n_path == CHAIN_MAX)
			return; /* without an actor it is refused */
		e->path[e->n_path] = registry_find(registry, id, NULL);
		if (!e->path[e->n_path])
			return;
		e->n_path++;
	}
}

static struct verdict *
judge(struct hub_head *head, const struct head_hello *hello, const struct evidence *found, struct authorities *cas,
	const struct authority **vouched)
{
	struct auth_claim claim = {
		.hub_host = head->config.hostname,
		.device_id = hello->device_id,
		.module_id = hello->module_id,
		.auth_chain = hello->auth_chain,
	};
	struct auth_evidence evidence = { .chain = hello->chain, .token = hello->token, .resumed = hello->resumed };
	struct auth_records records = {
		.target = found->target,
		.actor = found->actor,
		.actor_device = found->actor_device,
		.path = (const struct identity *const *)found->path,
		.n_path = found->n_path,
		.device_cas = cas,
		.vouched = vouched,
	};

	return auth_decide("hub", &claim, &evidence, &records, &head->config.auth, clock_wall());
}

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

static struct speaker *
speaker_new(const struct evidence *found)
{
	struct speaker *speaker = NEW(speaker);

	speaker->gateway_id = mem_text(found->actor_device->device_id);
	trust_init(&speaker->module, found->actor, NULL, NULL);
	trust_init(&speaker->device, found->actor_device, NULL, NULL);
	return speaker;
}

static void
speaker_free(struct speaker *speaker)
{
	if (!speaker)
		return;
	mem_free(speaker->gateway_id);
	mem_free(speaker);
}

static void
restore_subscriptions(struct hub_head *head, const struct head_hello *hello, const char *name, struct head_admission *admission)
{
	struct subscription_list kept;

	if (hello->clean_session) {
		subscriptions_set(head->config.subscriptions, name, NULL, NULL, 0);
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
	struct subject subject = identity_subject(found->target);
	OWN_TEXT name = subject_name(&subject);
	bool by_certificate = hello->chain->n > 0 && !hello->auth_chain && !(hello->token && *hello->token);
	const char *thumbprint = trust_init(&session->trust, found->target, by_certificate ? hello->chain->item[0] : NULL, vouched);

	if (thumbprint)
		rotation_keeper_connected(head->config.rotations, found->target, thumbprint);
	session->head = head;
	session->subject = subject_copy(&subject);
	session->model_id = mem_text(hello->model_id);
	session->speaker = found->actor ? speaker_new(found) : NULL;
	session->auth_method = auth_method(hello);
	session->lane = message_log_lane(head->config.events, loop_owner(hello->loop));
	session->epoch = epoch;
	session->faults = hello->is_request ? NULL : head->config.faults;
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
	struct evidence found = { .target = registry_find_judged(head->config.registry, hello->device_id, hello->module_id) };
	OWN(authorities) cas = ca_current(head->config.cas);
	const struct authority *vouched = NULL;
	struct verdict *verdict;

	if (!hello->is_request && faults_throttle(head->config.faults)) {
		head_admit_unavailable(admission);
		evidence_clear(&found);
		return;
	}
	if (hello->auth_chain)
		find_chain(&found, head->config.registry, hello->auth_chain);
	verdict = judge(head, hello, &found, cas, &vouched);
	service_log_verdict(verdict);
	if (verdict_accepted(verdict))
		let_in(head, hello, admission, verdict, &found, vouched, epoch);
	else if (hello->resumed && verdict_cause(verdict) == TRUST_UNKNOWN_ISSUER)
		ask_for_the_whole_chain(head, hello, admission, verdict);
	else
		refuse(head, &found, admission, verdict);
	evidence_clear(&found);
}

/* -- Trust withdrawn -------------------------------------------------------------------------------------------------------------------- */

/* Who was let in was enabled, so a module whose device was disabled since has changed as well. */
static bool
is_as_judged(struct registry *registry, const struct trust *trust, const char *device_id, const char *module_id)
{
	OWN(identity) now = registry_find_judged(registry, device_id, module_id);

	return trust_check(trust, now, NULL) == OK;
}

/* The gateway's session was opened by a key of its own, and stands on the device being below it. */
static bool
may_still_speak(struct registry *registry, const struct session *session)
{
	const struct speaker *speaker = session->speaker;

	return is_as_judged(registry, &speaker->module, speaker->gateway_id, EDGE_HUB) &&
	       is_as_judged(registry, &speaker->device, speaker->gateway_id, NULL) &&
	       registry_is_below(registry, session->subject.device_id, speaker->gateway_id);
}

/* OK while nothing has changed that it stands on. */
static enum reason
why_untrusted(struct hub_head *head, struct session *session)
{
	struct registry *registry = head->config.registry;
	uint64_t epoch = registry_epoch(registry);
	OWN(authorities) cas = NULL;
	OWN(identity) now = NULL;
	enum reason reason;

	if (epoch == session->epoch)
		return OK;
	cas = ca_current(head->config.cas);
	now = registry_find_judged(registry, session->subject.device_id, session->subject.module_id);
	reason = trust_check(&session->trust, now, cas);
	if (reason == OK && session->speaker && !may_still_speak(registry, session))
		reason = SESSION_WITHDRAWN;
	if (reason == OK)
		session->epoch = epoch;
	return reason;
}

static bool
on_stands(void *backend, void *domain)
{
	return why_untrusted(backend, domain) == OK;
}

struct recheck {
	struct directory_visit visit;
	struct hub_head *head;
	bool of_ca; /* a CA was withdrawn, from this device perhaps */
};

static void
on_recheck(struct directory_visit *visit, struct head_session *head_session)
{
	struct recheck *recheck = CONTAINER_OF(visit, struct recheck, visit);
	struct session *session = head_session ? head_session_domain(head_session) : NULL;
	enum reason reason = session ? why_untrusted(recheck->head, session) : OK;

	/* By which CA the gateway let it in is not known here.  When the gateway opens its connection again it asks about the device, and hears of the CAs. */
	if (session && session->speaker && recheck->of_ca)
		reason = CA_WITHDRAWN;
	if (reason != OK)
		head_session_close(head_session, reason);
	mem_free(recheck);
}

/* What it stands on may be gone: its session asks again, there where it lives, and no TLS session is resumed. */
static void
withdraw(struct hub_head *head, const char *device_id, const char *module_id, bool of_ca)
{
	OWN_TEXT name = identity_name(device_id, module_id);
	struct recheck *recheck = NEW(recheck);

	tls_cache_drop_identity(head->config.tls_cache, name);
	recheck->head = head;
	recheck->of_ca = of_ca;
	recheck->visit.run = on_recheck;
	if (!directory_visit(head->config.directory, name, &recheck->visit))
		mem_free(recheck);
}

static void
withdraw_module(void *arg, const char *device_id, const char *module_id)
{
	withdraw(arg, device_id, module_id, false);
}

/* On the registry's worker. */
static void
on_change(void *arg, const struct identity *before, const struct identity *after)
{
	struct hub_head *head = arg;
	struct err err = ERR_INIT;

	if (after && identity_same_trust(before, after))
		return;
	withdraw(head, before->device_id, before->module_id, false);
	if (!after) {
		OWN_TEXT name = identity_name(before->device_id, before->module_id);

		subscriptions_set(head->config.subscriptions, name, NULL, NULL, 0);
		command_queue_forget(head->config.commands, before->device_id, before->module_id);
	}
	/* A disabled device takes its modules with it. */
	if (after && !after->module_id && !after->enabled &&
		registry_store_modules(registry_store_of(head->config.registry), after->device_id, withdraw_module, head, &err) < 0)
		log_error("registry: %s", err.text);
}

static void
withdraw_if_by_ca(void *arg, const struct identity *identity)
{
	if (identity->auth == IDENTITY_AUTH_CA)
		withdraw(arg, identity->device_id, identity->module_id, true);
}

/* On the registry's worker.  Whose CA it was is known to each session. */
static void
on_ca_withdrawn(void *arg)
{
	struct hub_head *head = arg;

	registry_each(head->config.registry, withdraw_if_by_ca, head);
}

const struct subject *
hub_head_subject(struct head_session *head_session)
{
	struct session *session = head_session_domain(head_session);
	enum reason reason = why_untrusted(session->head, session);

	if (reason == OK)
		return &session->subject;
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

static void
on_stored(void *arg, bool ok)
{
	if (arg)
		head_message_done(arg, ok);
}

static void
on_message(void *backend, void *domain, struct head_session *head_session, const struct head_message *sent, struct head_ack *ack)
{
	struct hub_head *head = backend;
	struct session *session = domain;
	enum reason reason = why_untrusted(head, session);
	const struct subject *subject = &session->subject;
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

	if (reason != OK) {
		if (head_session)
			head_session_close(head_session, reason);
		on_stored(ack, false);
		return;
	}
	if (head_session && faults_drop(session->faults)) {
		head_session_close(head_session, SESSION_FAULT);
		on_stored(ack, false);
		return;
	}
	message.enqueued_ms = clock_wall_ms();
	if (session->faults && ack)
		hub_faults_store(session->faults, conn_loop(head_session_conn(head_session)), session->lane, &message, ack);
	else
		message_lane_store(session->lane, &message, on_stored, ack);
}

static void
on_subscriptions(void *backend, void *domain, const char *const *filters, const uint8_t *qos, size_t n)
{
	struct hub_head *head = backend;
	const struct session *session = domain;
	OWN_TEXT name = subject_name(&session->subject);

	subscriptions_set(head->config.subscriptions, name, filters, qos, n);
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
	const struct subject *subject = hub_head_subject(head_session);

	(void)domain;
	if (subject)
		twin_sessions_on_request(head->config.twins, head_session, subject, request, call);
	else
		head_answer(call, 401, 0, "", 0); /* which goes nowhere: the session is being closed */
}

static void
on_method_answer(void *backend, void *domain, struct slice rid, int status, struct slice payload)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	if (why_untrusted(head, session) == OK)
		methods_on_answer(head->config.methods, &session->subject, rid, status, payload);
}

static void
on_receive(void *backend, void *domain, struct head_session *head_session, struct head_receipt *receipt)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	command_requests_receive(head->config.commands, head_session, &session->subject, receipt);
}

static void
on_settle(void *backend, void *domain, struct head_session *head_session, const char *lock_token, enum head_outcome outcome,
	struct head_settlement *settlement)
{
	struct hub_head *head = backend;
	struct session *session = domain;

	command_requests_settle(head->config.commands, head_session, &session->subject, lock_token, outcome, settlement);
}

static void
on_live(void *backend, void *domain, struct head_session *head_session)
{
	struct hub_head *head = backend;
	struct session *session = domain;
	enum reason reason = why_untrusted(head, session);

	session->is_live = true;
	event_source_session_began(head->config.source, &session->subject);
	/* What changed between the decision and now found no session to close. */
	if (reason != OK) {
		head_session_close(head_session, reason);
		return;
	}
	hub_faults_disconnect(head->config.faults, head_session_conn(head_session));
	twin_sessions_on_live(head->config.twins, head_session, &session->subject, session->model_id);
	on_wants(backend, domain, head_session, head_session_wants(head_session)); /* by its kept subscriptions */
	command_sessions_on_live(head->config.command_sessions, head_session, &session->subject);
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
		event_source_session_ended(head->config.source, &session->subject);
		methods_on_end(head->config.methods, head_session, &session->subject);
		command_sessions_on_end(head_session);
	}
	subject_clear(&session->subject);
	speaker_free(session->speaker);
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
	registry_watch(config->registry, REGISTRY_CHANGED | REGISTRY_REMOVED, on_change, head);
	ca_watch(config->cas, on_ca_withdrawn, head);
	return head;
}

void
hub_head_free(struct hub_head *head)
{
	if (!head)
		return;
	mem_free(head);
}
