/* SPDX-License-Identifier: Apache-2.0 */
/* One thread looks after the identities, by the wall clock, so that a clock that is set and a long sleep are noticed. */
#include <pthread.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/est.h"
#include "certd/est_identity.h"
#include "wire/json.h"

#define IDENTITIES_MAX 32
#define LOOK_MS 30000

struct est {
	struct est_context ctx;
	const json_t *cert_issuance;
	struct renewal_policy policy;
	struct est_identity identities[IDENTITIES_MAX];
	size_t n_identities;
	atomic_int under_way;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t keeper;
	bool has_keeper;
};

/* -- Issuing ------------------------------------------------------------------------------------------------------------------------------ */

static struct est_identity *
identity_of(struct est *e, const char *cert_id)
{
	for (size_t i = 0; i < e->n_identities; i++)
		if (text_is(e->identities[i].account.identity_cert, cert_id))
			return &e->identities[i];
	return NULL;
}

static int
obtain_identity(
	struct est_pair *out, struct est *e, const struct est_account *account, const struct csr *csr, bool anew, struct err *err)
{
	struct est_identity *identity = identity_of(e, account->identity_cert);
	struct est_account own = *account;

	if (!identity)
		return err_set(err, ERR_BROKEN, "the EST identity %s is not among the configured", account->identity_cert);
	est_account_turn_to_identity(&own, e->cert_issuance, false);
	return est_identity_obtain(out, identity, &own, csr_subject(csr), anew, err);
}

static enum est_outcome
issue_as(struct est *e, const struct est_account *account, const struct est_enrolment *x, bool anew, struct certs *chain,
	struct err *err)
{
	CLEAR(est_pair) as = { 0 };
	CLEAR(est_server) server = { 0 };

	if ((account->identity_cert && obtain_identity(&as, e, account, x->request.csr, anew, err) < 0) ||
		est_server_open(&server, &e->ctx, account, as.key ? &as : NULL, err) < 0)
		return EST_FAILED;
	return est_enrol(&e->ctx, &server, x, chain, err);
}

static int
issue(struct est *e, const struct est_account *account, const struct est_enrolment *x, struct buf *pem, struct err *err)
{
	CLEAR(certs) chain = { 0 };
	enum est_outcome outcome = issue_as(e, account, x, false, &chain, err);

	if (outcome == EST_UNAUTHENTICATED && account->bootstrap_cert) {
		log_warn("%s; the bootstrap identity gets another one", err->text);
		*err = (struct err)ERR_INIT;
		outcome = issue_as(e, account, x, true, &chain, err);
	}
	if (outcome != EST_ISSUED)
		return -1;
	certs_put_pem(&chain, pem);
	return 0;
}

int
est_issue(struct est *e, const char *id, const struct csr *csr, enum issued_use use, struct buf *pem, struct err *err)
{
	const struct est_enrolment x = { .id = id, .request = { .operation = "simpleenroll", .csr = csr }, .use = use };
	struct est_account account;

	return est_account_find(&account, e->cert_issuance, id, err) < 0 ? -1 : issue(e, &account, &x, pem, err);
}

int
est_enter(struct est *e, struct err *err)
{
	if (atomic_fetch_add(&e->under_way, 1) < EST_UNDER_WAY_MAX)
		return 0;
	est_leave(e);
	return err_set(err, ERR_UNAVAILABLE, "%d requests to EST servers are under way", EST_UNDER_WAY_MAX);
}

void
est_leave(struct est *e)
{
	atomic_fetch_sub(&e->under_way, 1);
}

/* -- The keeper --------------------------------------------------------------------------------------------------------------------------- */

static void
wait_a_while(struct est *e)
{
	struct timespec until;

	clock_until(LOOK_MS, &until);
	pthread_mutex_lock(&e->lock);
	if (!atomic_load(&e->ctx.stopped))
		pthread_cond_timedwait(&e->wake, &e->lock, &until);
	pthread_mutex_unlock(&e->lock);
}

static void *
keep_all(void *arg)
{
	struct est *e = arg;

	while (!atomic_load(&e->ctx.stopped)) {
		for (size_t i = 0; i < e->n_identities && !atomic_load(&e->ctx.stopped); i++)
			est_identity_keep(&e->identities[i]);
		wait_a_while(e);
	}
	return NULL;
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

static int
add_identity(struct est *e, const char *id, struct err *err)
{
	struct est_account account;

	if (est_account_find(&account, e->cert_issuance, id, err) < 0)
		return -1;
	if (!account.identity_cert || identity_of(e, account.identity_cert))
		return 0;
	if (e->n_identities == IDENTITIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d EST identities", IDENTITIES_MAX);
	est_account_turn_to_identity(&account, e->cert_issuance, true);
	est_identity_init(&e->identities[e->n_identities++], &e->ctx, &e->policy, &account);
	return 0;
}

static int
add_identities(struct est *e, struct err *err)
{
	const char *id;
	json_t *own;

	json_object_foreach((json_t *)(uintptr_t)e->cert_issuance, id, own)
		if (text_is(json_string_value(json_object_get(own, "method")), "est") && add_identity(e, id, err) < 0)
			return -1;
	return 0;
}

static int
take_policy(struct est *e, struct err *err)
{
	const json_t *table = json_object_get(json_object_get(e->cert_issuance, "est"), "identity_auto_renew");
	const char *threshold = NULL, *retry = NULL;

	e->policy = (struct renewal_policy)RENEWAL_POLICY_DEFAULT;
	if (!table)
		return 0;
	if (json_find_bool(table, "rotate_key", &e->policy.rotate_key, err) < 0 ||
		json_find_text(table, "threshold", &threshold, err) < 0 || json_find_text(table, "retry", &retry, err) < 0 ||
		(threshold && renewal_span_parse(&e->policy.threshold, threshold, err) < 0) ||
		(retry && renewal_span_parse(&e->policy.retry, retry, err) < 0))
		return err_wrap(err, "identity_auto_renew");
	return 0;
}

static void
init_wake(struct est *e)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct est *
est_new(const struct est_config *config, struct err *err)
{
	struct est *e = NEW(est);

	e->ctx = (struct est_context){
		.store = config->store, .keyd = config->keyd, .dir = config->dir, .system_roots = config->system_roots
	};
	e->cert_issuance = config->cert_issuance;
	init_wake(e);
	if (take_policy(e, err) < 0 || add_identities(e, err) < 0) {
		est_free(e);
		return NULL;
	}
	e->has_keeper = e->n_identities > 0 && pthread_create(&e->keeper, NULL, keep_all, e) == 0;
	if (e->has_keeper || e->n_identities == 0)
		return e;
	est_free(e);
	return err_null(err, ERR_BROKEN, "no thread to look after EST identities");
}

void
est_stop(struct est *e)
{
	pthread_mutex_lock(&e->lock);
	atomic_store(&e->ctx.stopped, true);
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
}

void
est_free(struct est *e)
{
	if (!e)
		return;
	est_stop(e);
	if (e->has_keeper)
		pthread_join(e->keeper, NULL);
	for (size_t i = 0; i < e->n_identities; i++)
		est_identity_clear(&e->identities[i]);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	mem_free(e);
}
