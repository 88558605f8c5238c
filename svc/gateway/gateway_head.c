/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of devices at the gateway.  A decision is made from the records at hand, so that it is the same and as fast while the hub is away.  Only when it is a no that a
 * newer record could turn into a yes, the hub is asked once about that device, and it is decided again. */
#include "gateway/gateway_head.h"

#include <string.h>

#include "auth/trust.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "gateway/local/tally.h"
#include "gateway/scope/asked.h"
#include "gateway/speaker.h"
#include "wire/message_mark.h"
#include "wire/property_bag.h"

#define REMEMBER_MS 15000
#define MODEL_MAX 512 /* a user name with the chain of five gateways has to remain one */

struct gateway_head {
	struct gateway_head_config config;
	struct asked *asked;
	void (*on_gateway_changed)(void *arg, const struct identity *changed);
	void *arg;
};

struct session {
	struct gateway_head *head;
	struct identity *identity; /* the scope's, shared */
	struct subject subject;	   /* borrows from that */
	struct trust trust;
	struct speaker *speaker; /* a gateway below that speaks for it; NULL: it speaks for itself */
	struct queue_lane *lane;
	struct tenure tenure;
	bool is_own; /* a module of the gateway's own device */
	uint64_t epoch;
	bool is_live;
	bool has_listened; /* to anything: then its end is news to the relay */
	struct tally tally;
	char *model_id; /* that it has named; NULL: none */
};

/* A claim with its evidence, kept while the hub is asked. */
struct question {
	struct job job;
	struct gateway_head *head;
	struct head_admission *admission;
	struct loop *loop;
	char *device_id, *module_id, *auth_chain, *token, *peer, *model_id;
	struct certs chain;
	bool resumed, clean_session, is_request;
	int64_t since_ms; /* boot clock */
	bool is_elsewhere;
	bool is_unanswered; /* those above were asked, and could not say */
};

/* -- The decision ---------------------------------------------------------------------------------------------------------------------- */

/* How old what the hub said is, and until when it counts; too old, it is as good as nothing. */
static void
judge_age(struct gateway_head *head, struct verdict *v, const struct identity *record, const struct confirmation *at)
{
	OWN_TEXT name = identity_name(record->device_id, record->module_id);
	int64_t now = clock_wall(), age = confirmation_age_s(at, now, clock_boot_ms());
	int64_t span = offline_policy_span(head->config.offline, record);
	char when[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	OWN_TEXT found = NULL;

	clock_text(at->wall, when);
	if (span == OFFLINE_FOR_EVER) {
		verdict_pass(v, "record", name, "confirmed by the hub", when);
		return;
	}
	found = mem_textf("%s, %lld s ago; it counts until %s", when, (long long)age, clock_text(now + span - age, until));
	if (age <= span)
		verdict_pass(v, "record", name, "confirmed by the hub", found);
	else
		verdict_fail(v, RECORD_TOO_OLD, "record", name, "confirmed by the hub lately", found);
}

static bool
is_too_old(struct gateway_head *head, const struct identity *record, const struct confirmation *at)
{
	return confirmation_age_s(at, clock_wall(), clock_boot_ms()) > offline_policy_span(head->config.offline, record);
}

static struct verdict *
judge(struct gateway_head *head, const struct question *q, struct authorities *cas, const struct authority **vouched,
	struct identity **record, struct on_behalf *by)
{
	struct confirmation confirmed = { 0 };
	OWN(identity) target = scope_find_aged(head->config.scope, q->device_id, q->module_id, &confirmed);
	OWN(revocations) revoked = gateway_revocation_current(head->config.revocation);
	struct auth_claim claim = {
		.hub_host = head->config.hub_host,
		.other_host = head->config.hostname,
		.device_id = q->device_id,
		.module_id = q->module_id,
		.auth_chain = q->auth_chain,
	};
	struct auth_evidence evidence = { .chain = &q->chain, .token = q->token, .resumed = q->resumed };
	bool is_ours = target && scope_is_ours(head->config.scope, target);
	struct auth_records records = {
		.target = is_ours ? target : NULL,
		.is_elsewhere = !is_ours && (target || q->is_elsewhere),
		.device_cas = cas,
		.revoked = revoked,
		.vouched = vouched,
	};
	struct verdict *v;

	if (q->auth_chain)
		speaker_find(by, head->config.scope, q->auth_chain);
	on_behalf_give(&records, by);
	v = auth_decide("gateway", &claim, &evidence, &records, &head->config.auth, clock_wall());
	if (target)
		judge_age(head, v, target, &confirmed);
	*record = GIVE(target);
	return v;
}

/* A resumed session brings the leaf alone, and what came beside it once is no longer known here: the device is told to try again, and finds no session to resume. */
static void
ask_for_the_whole_chain(
	struct gateway_head *head, const struct question *q, struct verdict *verdict_take, struct identity *record_take)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);

	verdict_free(verdict_take);
	identity_free(record_take);
	tls_cache_drop_identity(head->config.tls_cache, name);
	head_admit_unavailable(q->admission);
}

static void
restore_subscriptions(struct gateway_head *head, const struct question *q, const struct subject *subject)
{
	if (!q->is_request)
		relay_restore(head->config.relay, subject, q->clean_session, q->admission);
}

static enum tally_shown
shown_by(const struct question *q)
{
	return q->token ? TALLY_TOKEN : q->chain.n > 0 ? TALLY_CERTIFICATE : TALLY_NOTHING;
}

static void
begin_tally(struct session *session)
{
	OWN_TEXT name = identity_name(session->identity->device_id, session->identity->module_id);

	tally_begin(&session->tally, name);
}

static void
note(struct gateway_head *head, const struct question *q, const struct identity *record, const struct verdict *v)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);

	door_book_decision(head->config.book,
		&(struct door_claim){ .name = name,
			.is_known = record,
			.shown = shown_by(q),
			.peer = q->peer,
			.leaf = q->chain.n > 0 ? q->chain.item[0] : NULL },
		v);
}

/* A yes may be a no for now: the connection is told to try again later. */
static bool
has_place(struct gateway_head *head, const struct question *q, struct verdict *v)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	enum reason reason;

	if (q->is_request || !verdict_accepted(v))
		return true;
	reason = door_book_place(head->config.book, name, directory_is_connected(head->config.directory, name),
		directory_count(head->config.directory));
	if (reason == OK)
		return true;
	verdict_fail(v, reason, "place", name, reason == TOO_MANY_CLIENTS ? "one more" : "one connection", "");
	return false;
}

/* What depends on the record, and not on the evidence alone. */
static bool
may_change(const struct verdict *v)
{
	static const enum reason reasons[] = { DEVICE_UNKNOWN, MODULE_UNKNOWN, DEVICE_OUT_OF_SCOPE, DEVICE_DISABLED,
		DEVICE_WRONG_AUTH_TYPE, CHAIN_OF_GATEWAYS, THUMBPRINT_MISMATCH, SAS_BAD_SIGNATURE, TRUST_UNKNOWN_ISSUER,
		CA_OUT_OF_SCOPE, RECORD_TOO_OLD };
	enum reason cause = verdict_cause(v);

	for (size_t i = 0; i < COUNT(reasons); i++)
		if (reasons[i] == cause)
			return true;
	return false;
}

/* A no that may be a yes, if those above had answered: the device is to try again. */
static bool
is_open(const struct question *q, const struct verdict *v)
{
	return q->is_unanswered && !verdict_accepted(v) && may_change(v);
}

/* Decide and answer. */
static void
answer(struct gateway_head *head, const struct question *q)
{
	uint64_t epoch = scope_epoch(head->config.scope); /* before the look: a change meanwhile is noticed */
	OWN(authorities) cas = scope_cas(head->config.scope);
	const struct authority *vouched = NULL;
	bool by_certificate = q->chain.n > 0 && !q->token;
	CLEAR(on_behalf) by = { 0 };
	struct identity *record;
	struct verdict *v = judge(head, q, cas, &vouched, &record, &by);
	struct session *session = NULL;
	bool has_one = has_place(head, q, v);

	note(head, q, record, v);
	if (!has_one || is_open(q, v)) {
		verdict_free(v);
		identity_free(record);
		head_admit_unavailable(q->admission);
		return;
	}
	if (q->resumed && verdict_cause(v) == TRUST_UNKNOWN_ISSUER) {
		ask_for_the_whole_chain(head, q, v, record);
		return;
	}
	if (verdict_accepted(v)) {
		session = NEW(session);
		session->head = head;
		session->identity = identity_ref(record);
		session->subject = identity_subject(session->identity);
		session->speaker = q->auth_chain ? speaker_new(&by) : NULL;
		trust_init(&session->trust, record, by_certificate ? q->chain.item[0] : NULL, vouched);
		if (by_certificate)
			trust_stand_below(&session->trust, &q->chain, vouched);
		session->lane = queue_lane(head->config.queue, loop_owner(q->loop));
		session->is_own = record->module_id && text_is(record->device_id, head->config.edge_id);
		session->epoch = epoch;
		session->tenure = tenure_begin(&head->config.tenure, by_certificate ? cert_not_after(q->chain.item[0]) : 0,
			clock_boot_ms(), (uint32_t)random_u64());
		session->model_id = mem_text(q->model_id);
		restore_subscriptions(head, q, &session->subject);
		begin_tally(session);
	}
	head_admit(q->admission, v, record, session, q->token ? auth_token_expiry(q->token) : 0);
}

/* -- Asking the hub -------------------------------------------------------------------------------------------------------------------- */

/* What is claimed, for `asked`: by which credential. */
static const void *
credential_of(const struct question *q, size_t *len)
{
	if (q->token) {
		*len = strlen(q->token);
		return q->token;
	}
	*len = q->chain.n > 0 ? DIGEST_SHA256_LEN : 0;
	return q->chain.n > 0 ? (const void *)cert_sha256(q->chain.item[0]) : "";
}

static void
close_question(const struct question *q)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	size_t len;
	const void *credential = credential_of(q, &len);

	asked_close(q->head->asked, name, credential, len, !q->is_unanswered);
}

static bool
is_worth_asking(struct gateway_head *head, const struct question *q)
{
	OWN(identity) record = NULL;
	CLEAR(on_behalf) by = { 0 };
	OWN(authorities) cas = scope_cas(head->config.scope);
	OWN(verdict) v = judge(head, q, cas, NULL, &record, &by);
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	const void *credential;
	size_t len;

	if (!may_change(v) || scope_is_hub_away(head->config.scope))
		return false;
	credential = credential_of(q, &len);
	return asked_may(head->asked, name, credential, len);
}

static void
question_free(struct question *q)
{
	if (q->token)
		mem_wipe(q->token, strlen(q->token));
	mem_free(q->token);
	mem_free(q->device_id);
	mem_free(q->module_id);
	mem_free(q->auth_chain);
	mem_free(q->model_id);
	mem_free(q->peer);
	certs_clear(&q->chain);
	mem_free(q);
}

static char *
model_of(const struct head_hello *hello)
{
	const char *model_id = hello->model_id;

	return model_id && *model_id && strlen(model_id) <= MODEL_MAX ? mem_text(model_id) : NULL;
}

static struct question *
question_new(struct gateway_head *head, const struct head_hello *hello, struct head_admission *admission)
{
	struct question *q = NEW(question);
	OWN_TEXT name = NULL;

	q->head = head;
	q->admission = admission;
	q->loop = hello->loop;
	q->device_id = mem_text(hello->device_id);
	q->module_id = mem_text(hello->module_id);
	q->auth_chain = mem_text(hello->auth_chain);
	q->peer = mem_text(hello->peer);
	q->model_id = model_of(hello);
	q->token = hello->token && *hello->token ? mem_text(hello->token) : NULL;
	for (size_t i = 0; i < hello->chain->n; i++)
		certs_add(&q->chain, hello->chain->item[i]);
	q->resumed = hello->resumed;
	q->clean_session = hello->clean_session;
	q->is_request = hello->is_request;
	q->since_ms = clock_boot_ms();
	name = identity_name(q->device_id, q->module_id);
	q->is_elsewhere = asked_is_elsewhere(head->asked, name);
	return q;
}

/* Is it the gateway at the end of the chain that asks? */
static bool
is_actor(const struct question *q, const char *actor_id)
{
	struct gateway_head *head = q->head;
	int64_t confirmed;
	OWN(identity) actor = scope_find(head->config.scope, actor_id, ON_BEHALF_MODULE, &confirmed);
	struct auth_claim claim = {
		.hub_host = head->config.hub_host,
		.other_host = head->config.hostname,
		.device_id = actor_id,
		.module_id = ON_BEHALF_MODULE,
	};
	struct auth_evidence evidence = { .chain = &q->chain, .token = q->token };
	struct auth_records records = { .target = actor };
	OWN(verdict) v = auth_decide("gateway", &claim, &evidence, &records, &head->config.auth, clock_wall());

	return verdict_accepted(v) && scope_is_gateway_below(head->config.scope, actor_id);
}

/* Nobody has others looked up in the name of a gateway that has not proved that he is it. */
static enum scope_answer
look_up_chain(const struct question *q, struct err *err)
{
	struct scope *scope = q->head->config.scope;
	OWN_TEXT actor_id = on_behalf_actor_id(q->auth_chain);

	if (!identity_id_is_valid(actor_id))
		return SCOPE_UNKNOWN;
	if (!is_actor(q, actor_id)) {
		enum scope_answer answer = scope_look_up(scope, actor_id, ON_BEHALF_MODULE, q->since_ms, err);

		if (answer != SCOPE_FOUND || !is_actor(q, actor_id))
			return SCOPE_NO_ANSWER; /* about the device */
	}
	return speaker_look_up(scope, q->auth_chain, q->device_id, q->module_id, q->since_ms, err);
}

static void
look_up(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	struct err err = ERR_INIT;
	enum scope_answer answer = q->auth_chain
					   ? look_up_chain(q, &err)
					   : scope_look_up(q->head->config.scope, q->device_id, q->module_id, q->since_ms, &err);

	if (answer == SCOPE_NOT_BELOW)
		asked_note_elsewhere(q->head->asked, name);
	q->is_unanswered = answer == SCOPE_NO_ANSWER && (err.kind == ERR_UNAVAILABLE || err.kind == ERR_LIMIT);
	if (answer != SCOPE_NO_ANSWER)
		q->is_elsewhere = answer == SCOPE_NOT_BELOW;
}

static void
on_looked_up(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);

	close_question(q);
	answer(q->head, q);
	question_free(q);
}

static void
on_admit(void *backend, const struct head_hello *hello, struct head_admission *admission)
{
	struct gateway_head *head = backend;
	struct question *q = question_new(head, hello, admission);

	q->job = (struct job){ .run = look_up, .done = on_looked_up, .owner = loop_owner(hello->loop) };
	if (is_worth_asking(head, q)) {
		if (pool_try(head->config.questions, &q->job))
			return;
		close_question(q);
	}
	answer(head, q);
	question_free(q);
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
		reason = SESSION_WITHDRAWN;
	if (reason == OK && is_too_old(head, now, &confirmed))
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
		return &session->subject;
	head_session_close(head_session, reason);
	return NULL;
}

const char *
gateway_head_model(struct head_session *head_session)
{
	const struct session *session = head_session_domain(head_session);

	return session->model_id;
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

/* On a worker.  A disabled device takes its modules with it, a gateway all that it lets through or speaks for. */
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
	if (!before->module_id && (!after || !after->enabled))
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

/* -- Messages -------------------------------------------------------------------------------------------------------------------------- */

static void
on_stored(void *arg, bool ok)
{
	if (!ok)
		tally_unstored(NULL);
	if (arg)
		head_message_done(arg, ok);
}

static void
on_message(void *backend, void *domain, struct head_session *head_session, const struct head_message *sent, struct head_ack *ack)
{
	struct gateway_head *head = backend;
	struct session *session = domain;
	const struct identity *identity = session->identity;
	enum reason reason = why_untrusted(head, session);
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
		.is_will = sent->is_will,
	};

	if (reason != OK) {
		if (head_session)
			head_session_close(head_session, reason);
		on_stored(ack, false);
		return;
	}
	/* Only gateways mark messages. */
	if (!session->speaker && message_mark_cut(sent->bag, &unmarked, &mark))
		message.bag = (struct slice){ .text = buf_text(&unmarked), .len = unmarked.len };
	message.enqueued_ms = clock_wall_ms();
	tally_message(&session->tally, sent->payload.len);
	queue_put(session->lane, &message, session->is_own, on_stored, ack);
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

	if (is_too_old(head, identity, at)) {
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

static void
on_live(void *backend, void *domain, struct head_session *head_session)
{
	struct gateway_head *head = backend;
	struct session *session = domain;
	OWN_TEXT name = subject_name(&session->subject);

	session->is_live = true;
	client_list_came(head->config.clients, name, clock_wall());
	if (session->model_id)
		relay_model(head->config.relay, &session->subject);
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
		head_message_done(ack, false);
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
		relay_method_answer(head->config.relay, &session->subject, rid, status, payload);
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
note_end(struct gateway_head *head, const struct session *session)
{
	OWN_TEXT name = subject_name(&session->subject);

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
	if (head_session && session->has_listened)
		relay_end(head->config.relay, head_session, &session->subject);
	if (head_session && session->has_listened && own_module(session))
		inputs_on_end(head->config.inputs, own_module(session), head_session);
	tally_end(&session->tally);
	identity_free(session->identity);
	speaker_free(session->speaker);
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
	.end = on_end,
};

struct gateway_head *
gateway_head_new(const struct gateway_head_config *config)
{
	struct gateway_head *head = NEW(gateway_head);

	head->config = *config;
	head->asked = asked_new(REMEMBER_MS);
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
	asked_free(head->asked);
	mem_free(head);
}
