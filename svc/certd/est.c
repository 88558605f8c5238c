/* SPDX-License-Identifier: Apache-2.0 */
/* Which identity asks, and one more attempt where the server does not take that any more; when identities are renewed is renewals.h's. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/est.h"
#include "certd/est_identity.h"
#include "wire/json.h"

#define IDENTITIES_MAX 32

struct est {
	struct est_context ctx;
	const json_t *cert_issuance;
	struct renewal_policy policy;
	struct est_identity identities[IDENTITIES_MAX];
	size_t n_identities;
	struct renewals *renewals; /* borrowed */
	atomic_int under_way;
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
obtain_identity(struct est_pair *out, struct est *e, struct est_identity *identity, const struct est_account *account,
	const struct csr *csr, bool anew, struct err *err)
{
	struct est_account own = *account;
	struct err ignored = ERR_INIT;

	if (!anew)
		renewals_ensure_first(
			e->renewals, account->identity_cert, &ignored); /* what is good serves, whatever comes of it */
	est_account_turn_to_identity(&own, e->cert_issuance, false);
	return est_identity_obtain(out, identity, &own, csr_subject(csr), anew, err);
}

static enum est_outcome
ask_as(struct est *e, const struct est_account *account, const struct est_pair *as, const struct est_enrolment *x,
	struct certs *chain, struct err *err)
{
	CLEAR(est_server) server = { 0 };

	return est_server_open(&server, &e->ctx, account, as, err) < 0 ? EST_FAILED : est_enrol(&e->ctx, &server, x, chain, err);
}

static enum est_outcome
issue_as(struct est *e, const struct est_account *account, const struct est_enrolment *x, bool anew, struct certs *chain,
	struct err *err)
{
	struct est_identity *identity = account->identity_cert ? identity_of(e, account->identity_cert) : NULL;
	CLEAR(est_pair) as = { 0 };
	enum est_outcome outcome;

	if (!account->identity_cert)
		return ask_as(e, account, NULL, x, chain, err);
	if (!identity) {
		err_set(err, ERR_BROKEN, "the EST identity %s is not among the configured", account->identity_cert);
		return EST_FAILED;
	}
	if (obtain_identity(&as, e, identity, account, x->request.csr, anew, err) < 0)
		return EST_FAILED;
	outcome = ask_as(e, account, &as, x, chain, err);
	est_identity_release(identity);
	return outcome;
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
est_each_identity(struct est *e, int (*each)(void *arg, const struct est_pair *as, struct err *err), void *arg, struct err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_identities; i++) {
		struct est_identity *identity = &e->identities[i];
		CLEAR(est_pair) as = { 0 };
		struct err why = ERR_INIT;

		if (!est_identity_take_good(&as, identity, &identity->account))
			continue;
		if (each(arg, &as, &why) < 0)
			*err = why;
		est_identity_release(identity);
		n++;
	}
	if (err->kind != ERR_NONE)
		return -1;
	return n == e->n_identities ? 1 : 0;
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

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

static int
add_identity(struct est *e, const char *id, struct err *err)
{
	struct est_identity *identity;
	struct est_account account;

	if (est_account_find(&account, e->cert_issuance, id, err) < 0)
		return -1;
	if (!account.identity_cert || identity_of(e, account.identity_cert))
		return 0;
	if (e->n_identities == IDENTITIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d EST identities", IDENTITIES_MAX);
	est_account_turn_to_identity(&account, e->cert_issuance, true);
	identity = &e->identities[e->n_identities++];
	est_identity_init(identity, &e->ctx, &e->policy, &account);
	renewals_add(e->renewals, &(struct renewal_target){ .id = (char *)(uintptr_t)account.identity_cert,
					  .policy = e->policy,
					  .look = est_identity_look,
					  .act = account.bootstrap_cert ? est_identity_renew : NULL,
					  .waits_to_be_asked = true,
					  .arg = identity });
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

	e->policy = (struct renewal_policy)RENEWAL_POLICY_DEFAULT;
	return renewal_policy_take(&e->policy, table, err) < 0 ? err_wrap(err, "identity_auto_renew") : 0;
}

struct est *
est_new(const struct est_config *config, struct err *err)
{
	struct est *e = NEW(est);

	e->ctx = (struct est_context){
		.store = config->store, .keyd = config->keyd, .dir = config->dir, .system_roots = config->system_roots
	};
	e->cert_issuance = config->cert_issuance;
	e->renewals = config->renewals;
	if (take_policy(e, err) == 0 && add_identities(e, err) == 0)
		return e;
	est_free(e);
	return NULL;
}

void
est_stop(struct est *e)
{
	atomic_store(&e->ctx.stopped, true);
}

void
est_free(struct est *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->n_identities; i++)
		est_identity_clear(&e->identities[i]);
	mem_free(e);
}
