/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in (gateway_admission.h).  A claim with its evidence is a question: answered from the records at hand, or kept while the hub is asked on a worker. */
#include "gateway/gateway_admission.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/scope/asked.h"
#include "gateway/speaker.h"

#define REMEMBER_MS 15000
#define MODEL_MAX 512 /* a user name with the chain of five gateways has to remain one */

struct gateway_admission {
	struct gateway_admission_config config;
	struct asked *asked;
};

/* A claim with its evidence, kept while the hub is asked. */
struct question {
	struct job job;
	struct gateway_admission *door;
	struct head_admission *admission;
	struct loop *loop;
	char *device_id, *module_id, *auth_chain, *token, *peer, *model_id;
	struct certs chain;
	bool resumed, clean_session, is_request;
	int64_t since_ms; /* boot clock */
	bool is_elsewhere;
	bool is_unanswered; /* those above were asked, and could not say */
	bool is_answered;   /* or have said */
};

/* -- The decision ---------------------------------------------------------------------------------------------------------------------- */

/* How old what the hub said is, and until when it counts; too old, it is as good as nothing. */
static void
judge_age(struct gateway_admission *door, struct verdict *v, const struct identity *record, const struct confirmation *at)
{
	OWN_TEXT name = identity_name(record->device_id, record->module_id);
	int64_t now = clock_wall(), age = confirmation_age_s(at, now, clock_boot_ms());
	int64_t span = offline_policy_span(door->config.offline, record);
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

bool
gateway_admission_is_too_old(const struct gateway_admission *door, const struct identity *record, const struct confirmation *at)
{
	return confirmation_age_s(at, clock_wall(), clock_boot_ms()) > offline_policy_span(door->config.offline, record);
}

/* A decision, and what it was made from. */
struct ruling {
	struct verdict *verdict;
	struct identity *record, *device; /* NULL: there is none; device: of a module */
	struct authorities *cas;
	struct on_behalf by;
	const struct authority *vouched; /* one of the CAs */
	const struct identity *signer;	 /* whose key it was: record, device or by's */
	uint64_t epoch;			 /* before the look: a change meanwhile is noticed */
};

static void
ruling_clear(struct ruling *r)
{
	verdict_free(r->verdict);
	identity_free(r->record);
	identity_free(r->device);
	authorities_free(r->cas);
	on_behalf_clear(&r->by);
}

static struct identity *
find_device(struct gateway_admission *door, const struct question *q)
{
	struct confirmation ignored = { 0 };

	return q->module_id && !q->auth_chain ? scope_find_aged(door->config.scope, q->device_id, NULL, &ignored) : NULL;
}

/* From this gateway, or from one above. */
static bool
is_hub_away(const struct gateway_admission *door)
{
	struct hub_presence presence;

	if (scope_is_hub_away(door->config.scope))
		return true;
	presence = hub_presence();
	return hub_presence_is_away(&presence);
}

static void
judge(struct gateway_admission *door, const struct question *q, struct ruling *out)
{
	struct confirmation confirmed = { 0 };
	OWN(revocations) revoked = gateway_revocation_current(door->config.revocation);
	struct auth_claim claim = {
		.audience = door->config.audience,
		.device_id = q->device_id,
		.module_id = q->module_id,
		.auth_chain = q->auth_chain,
	};
	struct auth_evidence evidence = { .chain = &q->chain, .token = q->token, .resumed = q->resumed };
	struct auth_records records = { .revoked = revoked, .vouched = &out->vouched, .signer = &out->signer };
	bool is_ours;

	out->epoch = scope_epoch(door->config.scope);
	out->cas = scope_cas(door->config.scope);
	out->record = scope_find_aged(door->config.scope, q->device_id, q->module_id, &confirmed);
	out->device = find_device(door, q);
	is_ours = out->record && scope_is_ours(door->config.scope, out->record);
	records.target = is_ours ? out->record : NULL;
	records.is_elsewhere = !is_ours && (out->record || q->is_elsewhere);
	records.may_be_known = q->is_unanswered || (!q->is_answered && is_hub_away(door));
	records.device = out->device;
	records.device_cas = out->cas;
	if (q->auth_chain)
		speaker_find(&out->by, door->config.scope, q->auth_chain);
	on_behalf_give(&records, &out->by);
	out->verdict = auth_decide("gateway", &claim, &evidence, &records, &door->config.auth, clock_wall());
	if (out->record)
		judge_age(door, out->verdict, out->record, &confirmed);
}

/* A resumed session brings the leaf alone, and what came beside it once is no longer known here: the device is told to try again, and finds no session to resume. */
static void
ask_for_the_whole_chain(struct gateway_admission *door, const struct question *q)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);

	tls_cache_drop_identity(door->config.tls_cache, name);
	head_admit_unavailable(q->admission);
}

static enum tally_shown
shown_by(const struct question *q)
{
	return q->token ? TALLY_TOKEN : q->chain.n > 0 ? TALLY_CERTIFICATE : TALLY_NOTHING;
}

static void
note(struct gateway_admission *door, const struct question *q, const struct identity *record, const struct verdict *v)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);

	door_book_decision(door->config.book,
		&(struct door_claim){ .name = name,
			.is_known = record,
			.shown = shown_by(q),
			.peer = q->peer,
			.leaf = q->chain.n > 0 ? q->chain.item[0] : NULL },
		v);
}

/* A yes may be a no for now: the connection is told to try again later. */
static bool
has_place(struct gateway_admission *door, const struct question *q, struct verdict *v)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	enum reason reason;

	if (q->is_request || !verdict_accepted(v))
		return true;
	reason = door_book_place(door->config.book, name, directory_is_connected(door->config.directory, name),
		directory_count(door->config.directory));
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
		CA_OUT_OF_SCOPE, RECORD_TOO_OLD, RECORD_MISSING };
	enum reason cause = verdict_cause(v);

	for (size_t i = 0; i < COUNT(reasons); i++)
		if (reasons[i] == cause)
			return true;
	return false;
}

/* A no that may be a yes, if those above had answered, or could be asked: the device is to try again. */
static bool
is_open(const struct question *q, const struct verdict *v)
{
	return q->is_unanswered ? may_change(v) : verdict_cause(v) == RECORD_MISSING;
}

/* What was decided is taken out of the ruling. */
static void
answer(struct gateway_admission *door, const struct question *q, struct ruling *r)
{
	struct gateway_admitted admitted = {
		.record = r->record,
		.chain = q->chain.n > 0 && !q->token ? &q->chain : NULL,
		.vouched = r->vouched,
		.device = r->device && r->signer == r->device ? r->device : NULL,
		.by = q->auth_chain ? &r->by : NULL,
		.epoch = r->epoch,
		.loop = q->loop,
		.model_id = q->model_id,
		.clean_session = q->clean_session,
		.is_request = q->is_request,
	};
	void *session = NULL;
	bool has_one = has_place(door, q, r->verdict);

	note(door, q, r->record, r->verdict);
	if (!has_one || is_open(q, r->verdict)) {
		head_admit_unavailable(q->admission);
		return;
	}
	if (q->resumed && verdict_cause(r->verdict) == TRUST_UNKNOWN_ISSUER) {
		ask_for_the_whole_chain(door, q);
		return;
	}
	if (verdict_accepted(r->verdict))
		session = door->config.begin(door->config.arg, &admitted, q->admission);
	head_admit(q->admission, GIVE(r->verdict), GIVE(r->record), session, q->token ? auth_token_expiry(q->token) : 0);
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

	asked_close(q->door->asked, name, credential, len, !q->is_unanswered);
}

static bool
is_worth_asking(struct gateway_admission *door, const struct question *q, const struct verdict *v)
{
	OWN_TEXT name = identity_name(q->device_id, q->module_id);
	const void *credential;
	size_t len;

	if (!may_change(v) || scope_is_hub_away(door->config.scope))
		return false;
	credential = credential_of(q, &len);
	return asked_may(door->asked, name, credential, len);
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
question_new(struct gateway_admission *door, const struct head_hello *hello, struct head_admission *admission)
{
	struct question *q = NEW(question);
	OWN_TEXT name = NULL;

	q->door = door;
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
	q->is_elsewhere = asked_is_elsewhere(door->asked, name);
	return q;
}

/* Is it the gateway at the end of the chain that asks? */
static bool
is_actor(const struct question *q, const char *actor_id)
{
	struct gateway_admission *door = q->door;
	int64_t confirmed;
	OWN(identity) actor = scope_find(door->config.scope, actor_id, ON_BEHALF_MODULE, &confirmed);
	struct auth_claim claim = {
		.audience = door->config.audience,
		.device_id = actor_id,
		.module_id = ON_BEHALF_MODULE,
	};
	struct auth_evidence evidence = { .chain = &q->chain, .token = q->token };
	struct auth_records records = { .target = actor };
	OWN(verdict) v = auth_decide("gateway", &claim, &evidence, &records, &door->config.auth, clock_wall());

	return verdict_accepted(v) && scope_is_gateway_below(door->config.scope, actor_id);
}

/* Nobody has others looked up in the name of a gateway that has not proved that he is it. */
static enum scope_answer
look_up_chain(const struct question *q, struct err *err)
{
	struct scope *scope = q->door->config.scope;
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
					   : scope_look_up(q->door->config.scope, q->device_id, q->module_id, q->since_ms, &err);

	if (answer == SCOPE_NOT_BELOW)
		asked_note_elsewhere(q->door->asked, name);
	q->is_unanswered = answer == SCOPE_NO_ANSWER && (err.kind == ERR_UNAVAILABLE || err.kind == ERR_LIMIT);
	q->is_answered = answer != SCOPE_NO_ANSWER;
	if (q->is_answered)
		q->is_elsewhere = answer == SCOPE_NOT_BELOW;
}

static void
on_looked_up(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);
	CLEAR(ruling) now = { 0 };

	close_question(q);
	judge(q->door, q, &now);
	answer(q->door, q, &now);
	question_free(q);
}

void
gateway_admission_ask(struct gateway_admission *door, const struct head_hello *hello, struct head_admission *admission)
{
	struct question *q = question_new(door, hello, admission);
	CLEAR(ruling) at_hand = { 0 };

	q->job = (struct job){ .run = look_up, .done = on_looked_up, .owner = loop_owner(hello->loop) };
	judge(door, q, &at_hand);
	if (is_worth_asking(door, q, at_hand.verdict)) {
		if (pool_try(door->config.questions, &q->job))
			return;
		close_question(q);
	}
	answer(door, q, &at_hand);
	question_free(q);
}

struct gateway_admission *
gateway_admission_new(const struct gateway_admission_config *config)
{
	struct gateway_admission *door = NEW(gateway_admission);

	door->config = *config;
	door->asked = asked_new(REMEMBER_MS);
	return door;
}

void
gateway_admission_free(struct gateway_admission *door)
{
	if (!door)
		return;
	asked_free(door->asked);
	mem_free(door);
}
