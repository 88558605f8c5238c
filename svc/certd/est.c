/* SPDX-License-Identifier: Apache-2.0 */
/* Two layers: an enrolment is one request brought to its end (the server's CA certificates, the request, the judgement); an identity is a pair of certificate and key that certd enrols for
 * itself.  One thread looks after the identities, by the wall clock, so that a clock that is set and a long sleep are noticed. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/est.h"
#include "certd/est_account.h"
#include "certd/est_client.h"
#include "certd/est_pending.h"
#include "common/renewal.h"
#include "common/service.h"
#include "wire/json.h"

#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 64
#define IDENTITIES_MAX 32
#define UNDER_WAY_MAX 2 /* of the service's workers: the others serve whoever needs no slow server */
#define LOOK_S 30
#define KEY_KINDS "ec-p256:rsa-4096:*"

/* A pair that certd shows to EST servers. */
struct pair {
	struct certs chain;
	struct key *key;
};

static void
pair_clear(struct pair *pair)
{
	certs_clear(&pair->chain);
	key_free(pair->key);
	*pair = (struct pair){ 0 };
}

/* An EST identity that certd gets for itself. */
struct identity {
	struct est_account account;
	pthread_mutex_t lock;
	struct renewal_pace pace;
};

struct est {
	struct est_config config;
	struct renewal_policy policy;
	struct identity identities[IDENTITIES_MAX];
	size_t n_identities;
	atomic_bool stopped;
	atomic_int under_way;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t keeper;
	bool has_keeper;
};

/* -- Enrolment ---------------------------------------------------------------------------------------------------------------------------- */

struct enrolment {
	const struct est_account *account;
	const struct pair *as; /* NULL: without a certificate */
	const char *id, *operation;
	const struct csr *csr;
	enum issued_use use;
};

static int
load_trusted(struct certs *out, struct est *e, const json_t *ids, struct err *err)
{
	size_t i;
	json_t *id;

	json_array_foreach((json_t *)(uintptr_t)ids, i, id) {
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);

		if (cert_store_load(e->config.store, json_string_value(id), &pem, err) < 0 ||
			certs_parse(out, buf_text(&pem), pem.len, CERTS_MAX, err) < 0)
			return err_wrap(err, "trusted_certs");
	}
	return 0;
}

static struct anchors *
anchors_of(struct est *e, const struct est_account *account, struct err *err)
{
	CLEAR(certs) roots = { 0 };
	int status;

	if (json_array_size(account->trusted) > 0)
		status = load_trusted(&roots, e, account->trusted, err);
	else if (e->config.system_roots)
		status = certs_load(&roots, e->config.system_roots, CERTS_MAX, err);
	else
		status = err_set(err, ERR_BROKEN, "there are no trusted_certs for it, and no roots of the system");
	return status == 0 ? anchors_new(&roots, err) : NULL;
}

static int
open_client(struct est_client *c, struct est *e, const struct est_account *account, const struct pair *as, struct err *err)
{
	*c = (struct est_client){ .url = account->url,
		.username = account->username,
		.password = account->password,
		.chain = as ? &as->chain : NULL,
		.key = as ? as->key : NULL,
		.cancelled = &e->stopped };
	c->anchors = anchors_of(e, account, err);
	return c->anchors ? 0 : err_wrap(err, "what to trust the EST server %s by", account->url);
}

static int
judge(struct certs *chain, const struct enrolment *x, const struct certs *answer, const struct certs *cas, struct err *err)
{
	OWN(verdict) v = verdict_new("certd", "Is this the certificate that was asked for?", x->account->url);
	OWN_TEXT sentence = NULL;

	issued_judge(chain, v,
		&(struct issued_query){ .csr = x->csr, .use = x->use, .answer = answer, .cas = cas, .now = clock_wall() });
	service_log_verdict(v);
	if (verdict_accepted(v))
		return 0;
	sentence = verdict_sentence(v);
	return err_set(err, ERR_BROKEN, "the certificate that the EST server %s gave for %s is not used: %s", x->account->url,
		x->id, sentence);
}

static enum est_outcome
send_request(const struct est_client *c, const struct enrolment *x, const struct csr *csr, const struct est_pending *pending,
	struct certs *answer, struct err *err)
{
	int64_t wait = 0;
	enum est_outcome outcome = est_client_enroll(c, x->operation, csr, answer, &wait, err);
	struct err why = ERR_INIT;

	if (outcome == EST_NO_OPERATION && text_is(x->operation, "simplereenroll")) {
		*err = (struct err)ERR_INIT;
		outcome = est_client_enroll(c, "simpleenroll", csr, answer, &wait, err);
	}
	if (outcome != EST_PENDING)
		est_pending_forget(pending);
	else if (est_pending_keep(pending, csr, clock_wall() + wait, &why) < 0)
		log_error("a request that is not decided yet can't be kept: %s", why.text);
	return outcome;
}

/* The CA certificates first: a server that can't say what it issues under is not asked to issue. */
static enum est_outcome
enrol(struct est *e, const struct enrolment *x, struct certs *chain, struct err *err)
{
	const struct est_pending pending = { .dir = e->config.dir, .id = x->id, .url = x->account->url };
	int64_t not_before, now = clock_wall();
	OWN(csr) known = est_pending_find(&pending, x->csr, now, &not_before);
	CLEAR(certs) cas = { 0 };
	CLEAR(certs) answer = { 0 };
	OWN(anchors) anchors = NULL;
	struct est_client client;
	enum est_outcome outcome;

	if (known && now < not_before) {
		err_set(err, ERR_UNAVAILABLE, "the EST server %s has not decided about %s yet and is asked again in %lld s",
			x->account->url, x->id, (long long)(not_before - now));
		return EST_PENDING;
	}
	if (open_client(&client, e, x->account, x->as, err) < 0)
		return EST_FAILED;
	anchors = client.anchors;
	if (est_client_cas(&client, &cas, err) < 0)
		return EST_FAILED;
	outcome = send_request(&client, x, known ? known : x->csr, &pending, &answer, err);
	if (outcome == EST_ISSUED && judge(chain, x, &answer, &cas, err) < 0)
		return EST_FAILED;
	return outcome;
}

/* -- Identities --------------------------------------------------------------------------------------------------------------------------- */

static char *
temp_id(const char *id)
{
	return mem_textf("%s-temp", id);
}

static int
load_chain(struct certs *out, struct est *e, const char *id, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(certs) all = { 0 };

	if (cert_store_load(e->config.store, id, &pem, err) < 0)
		return -1;
	if (certs_parse(&all, buf_text(&pem), pem.len, CHAIN_MAX, err) < 0) {
		err->kind = ERR_MISSING; /* what can't be read is as good as nothing */
		return err_wrap(err, "%s", id);
	}
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || !cert_is_self_issued(all.item[i])) /* roots are not sent */
			certs_add(out, all.item[i]);
	return 0;
}

static int
save_chain(struct est *e, const char *id, const struct certs *chain, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	certs_put_pem(chain, &pem);
	return cert_store_save(e->config.store, id, buf_text(&pem), pem.len, err);
}

static int
load_pair(struct pair *out, struct est *e, const char *cert_id, const char *key_id, struct err *err)
{
	out->key = keyd_client_load_pair(e->config.keyd, key_id, err);
	if (!out->key || load_chain(&out->chain, e, cert_id, err) < 0)
		return -1;
	return cert_matches_key(out->chain.item[0], out->key)
		       ? 0
		       : err_set(err, ERR_MISSING, "the certificate %s does not belong to the key %s", cert_id, key_id);
}

/* A crash between the move of the key and the certificate's: the certificate waits under its temporary id. */
static int
load_identity(struct pair *out, struct est *e, const struct est_account *a, struct err *err)
{
	OWN_TEXT temp = temp_id(a->identity_cert);
	struct err why = ERR_INIT;

	if (load_pair(out, e, a->identity_cert, a->identity_pk, err) == 0)
		return 0;
	if (err->kind != ERR_MISSING || !a->bootstrap_cert)
		return -1;
	pair_clear(out);
	if (load_pair(out, e, temp, a->identity_pk, &why) < 0)
		return -1;
	*err = (struct err)ERR_INIT;
	if (save_chain(e, a->identity_cert, &out->chain, err) < 0)
		return -1;
	return cert_store_delete(e->config.store, temp, err);
}

/* What the server wishes, by a server that says so; otherwise what we prefer. */
static void
ask_wishes(struct est_attributes *wished, struct est *e, const struct est_account *a, const struct pair *as)
{
	struct err err = ERR_INIT;
	struct est_client client = { 0 };
	OWN(anchors) anchors = NULL;
	int status = open_client(&client, e, a, as, &err);

	anchors = client.anchors;
	if (status == 0)
		status = est_client_attributes(&client, wished, &err);
	if (status < 0)
		log_warn("what the EST server %s wishes of requests is not known: %s", a->url, err.text);
	else if (wished->challenge_password)
		log_warn("the EST server %s wishes requests that are linked to their TLS session, which this client does not do",
			a->url);
}

static bool
is_kind(const struct key *key, enum key_alg wished)
{
	enum key_alg found;

	return key_pkey_alg(key_pkey(key), &found) && found == wished;
}

/* A key that an attempt before this one has left is as good as a new one, and the one that a request not yet decided is for. */
static struct key *
make_key(struct est *e, const char *id, const struct est_attributes *wished, struct err *err)
{
	OWN_TEXT kinds = wished->has_key ? mem_textf("%s:%s", key_alg_name(wished->key), KEY_KINDS) : mem_text(KEY_KINDS);
	OWN(key) key = keyd_client_create_pair(e->config.keyd, id, kinds, err);

	if (!key || !wished->has_key || is_kind(key, wished->key))
		return GIVE(key);
	key_free(GIVE(key));
	if (keyd_client_delete_pair(e->config.keyd, id, err) < 0)
		return NULL;
	return keyd_client_create_pair(e->config.keyd, id, kinds, err);
}

/* The temporary certificate is there before the key moves, so that at no point the only pair is one that doesn't belong together. */
static int
install(struct est *e, const struct est_account *a, const char *temp_key, const struct certs *chain, struct err *err)
{
	OWN_TEXT temp = temp_id(a->identity_cert);

	if (!temp_key)
		return save_chain(e, a->identity_cert, chain, err);
	if (save_chain(e, temp, chain, err) < 0 || keyd_client_move_pair(e->config.keyd, temp_key, a->identity_pk, err) < 0 ||
		save_chain(e, a->identity_cert, chain, err) < 0)
		return -1;
	return cert_store_delete(e->config.store, temp, err);
}

/* A new pair that the server refuses never takes over from one that works. */
static int
try_out(struct est *e, const struct est_account *a, const struct certs *chain, struct key *key, struct err *err)
{
	const struct pair pair = { .chain = *chain, .key = key };
	CLEAR(certs) cas = { 0 };
	OWN(anchors) anchors = NULL;
	struct est_client client = { 0 };
	int status = open_client(&client, e, a, &pair, err);

	anchors = client.anchors;
	if (status == 0)
		status = est_client_cas(&client, &cas, err);
	return status == 0 ? 0 : err_wrap(err, "trying the new identity");
}

static int
request_identity(struct buf *pem, struct est *e, const struct est_account *a, const struct pair *as, X509_NAME *subject,
	const char *key_id, bool may_make, struct key **key, struct err *err)
{
	struct est_attributes wished = { 0 };

	ask_wishes(&wished, e, a, as);
	*key = may_make ? make_key(e, key_id, &wished, err) : keyd_client_load_pair(e->config.keyd, key_id, err);
	if (!*key)
		return -1;
	return issue_csr_wish(
		pem, *key, &(struct csr_wish){ .subject = subject, .use = CSR_USE_CLIENT, .digest_bits = wished.digest_bits }, err);
}

static int
enrol_identity(struct est *e, const struct est_account *a, const struct pair *as, bool renews, X509_NAME *subject, struct err *err)
{
	bool anew = !renews || e->policy.rotate_key;
	OWN_TEXT temp_key = anew ? temp_id(a->identity_pk) : NULL;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(certs) chain = { 0 };
	OWN(key) key = NULL;
	OWN(csr) csr = NULL;

	if (request_identity(&pem, e, a, as, subject, anew ? temp_key : a->identity_pk, anew, &key, err) < 0)
		return -1;
	csr = csr_parse(buf_text(&pem), pem.len, err);
	if (!csr)
		return -1;
	if (enrol(e,
		    &(struct enrolment){ .account = a,
			    .as = as,
			    .id = a->identity_cert,
			    .operation = renews ? "simplereenroll" : "simpleenroll",
			    .csr = csr,
			    .use = ISSUED_CLIENT },
		    &chain, err) != EST_ISSUED)
		return -1;
	if (renews && try_out(e, a, &chain, key, err) < 0)
		return -1;
	return install(e, a, temp_key, &chain, err);
}

static int
bootstrap(struct est *e, const struct est_account *a, X509_NAME *subject, struct err *err)
{
	struct pair as = { 0 };
	int status = load_pair(&as, e, a->bootstrap_cert, a->bootstrap_pk, err);

	if (status == 0)
		status = enrol_identity(e, a, &as, false, subject, err);
	pair_clear(&as);
	if (status < 0)
		return err_wrap(err, "the EST identity %s by its bootstrap identity", a->identity_cert);
	log_info("the EST identity %s was issued by its bootstrap identity", a->identity_cert);
	return 0;
}

static void
put_off(struct est *e, struct identity *i, int64_t from, int64_t until, const char *why)
{
	int64_t now = clock_wall(), next = renewal_failed(&i->pace, &e->policy, from, until, now);

	log_warn("the EST identity %s can't be renewed, the next attempt is in %lld s: %s", i->account.identity_cert,
		(long long)(next - now), why);
}

/* While the identity is good: a failure waits for the next attempt. */
static void
renew_if_due(struct est *e, struct identity *i, const struct est_account *a, const struct pair *current)
{
	const struct cert *cert = current->chain.item[0];
	int64_t now = clock_wall(), from = cert_not_before(cert), until = cert_not_after(cert);
	struct err err = ERR_INIT;

	if (!a->bootstrap_cert || now < renewal_due(&e->policy, from, until) || renewal_waits(&i->pace, now))
		return;
	if (enrol_identity(e, a, current, true, X509_get_subject_name(cert_x509(cert)), &err) == 0) {
		log_info("the EST identity %s was renewed", a->identity_cert);
		return;
	}
	put_off(e, i, from, until, err.text);
}

static bool
is_good(const struct pair *pair)
{
	return validity_is_good(pair->chain.item[0], clock_wall());
}

/* subject: of who asks; NULL: of the identity that has ended.  anew: the server doesn't take the one that is there. */
static int
obtain(struct pair *out, struct est *e, struct identity *i, const struct est_account *a, X509_NAME *subject, bool anew,
	struct err *err)
{
	struct pair current = { 0 };
	int status = load_identity(&current, e, a, err);

	if (status < 0 && err->kind != ERR_MISSING) {
		pair_clear(&current);
		return err_wrap(err, "the EST identity %s", a->identity_cert);
	}
	if (status == 0 && is_good(&current) && !anew) {
		renew_if_due(e, i, a, &current);
	} else if (!a->bootstrap_cert) {
		err_set(err, ERR_BROKEN, "EST identity could not be obtained and EST bootstrap identity is not configured: %s %s",
			a->identity_cert, status < 0 ? "is not there" : "has ended, or has not begun by this device's clock");
		pair_clear(&current);
		return -1;
	} else {
		*err = (struct err)ERR_INIT;
		if (!subject && status == 0)
			subject = X509_get_subject_name(cert_x509(current.chain.item[0]));
		status = subject ? bootstrap(e, a, subject, err) : err_set(err, ERR_MISSING, "nobody has asked for it yet");
	}
	pair_clear(&current);
	if (status < 0)
		return -1;
	*err = (struct err)ERR_INIT;
	return load_identity(out, e, a, err);
}

static struct identity *
identity_of(struct est *e, const char *cert_id)
{
	for (size_t i = 0; i < e->n_identities; i++)
		if (text_is(e->identities[i].account.identity_cert, cert_id))
			return &e->identities[i];
	return NULL;
}

/* -- Issuing ------------------------------------------------------------------------------------------------------------------------------ */

static int
obtain_locked(struct pair *out, struct est *e, const struct est_account *a, X509_NAME *subject, bool anew, struct err *err)
{
	struct identity *i = identity_of(e, a->identity_cert);
	int status;

	if (!i)
		return err_set(err, ERR_BROKEN, "the EST identity %s is not among the configured", a->identity_cert);
	pthread_mutex_lock(&i->lock);
	status = obtain(out, e, i, a, subject, anew, err);
	pthread_mutex_unlock(&i->lock);
	return status;
}

static enum est_outcome
issue_as(struct est *e, struct enrolment *x, bool anew, struct certs *chain, struct err *err)
{
	struct pair as = { 0 };
	enum est_outcome outcome = EST_FAILED;

	x->as = NULL;
	if (!x->account->identity_cert)
		return enrol(e, x, chain, err);
	if (obtain_locked(&as, e, x->account, csr_subject(x->csr), anew, err) == 0) {
		x->as = &as;
		outcome = enrol(e, x, chain, err);
	}
	pair_clear(&as);
	return outcome;
}

static int
issue(struct est *e, struct enrolment *x, struct buf *pem, struct err *err)
{
	CLEAR(certs) chain = { 0 };
	enum est_outcome outcome = issue_as(e, x, false, &chain, err);

	if (outcome == EST_UNAUTHENTICATED && x->account->bootstrap_cert) {
		log_warn("%s; the bootstrap identity gets another one", err->text);
		*err = (struct err)ERR_INIT;
		outcome = issue_as(e, x, true, &chain, err);
	}
	if (outcome != EST_ISSUED)
		return -1;
	certs_put_pem(&chain, pem);
	return 0;
}

int
est_issue(struct est *e, const char *id, const struct csr *csr, enum issued_use use, struct buf *pem, struct err *err)
{
	struct est_account account;
	struct enrolment x = { .account = &account, .id = id, .operation = "simpleenroll", .csr = csr, .use = use };

	return est_account_find(&account, e->config.cert_issuance, id, err) < 0 ? -1 : issue(e, &x, pem, err);
}

int
est_enter(struct est *e, struct err *err)
{
	if (atomic_fetch_add(&e->under_way, 1) < UNDER_WAY_MAX)
		return 0;
	est_leave(e);
	return err_set(err, ERR_UNAVAILABLE, "%d requests to EST servers are under way", UNDER_WAY_MAX);
}

void
est_leave(struct est *e)
{
	atomic_fetch_sub(&e->under_way, 1);
}

/* -- The keeper --------------------------------------------------------------------------------------------------------------------------- */

static void
keep(struct est *e, struct identity *i)
{
	struct pair pair = { 0 };
	struct err err = ERR_INIT;

	pthread_mutex_lock(&i->lock);
	if (!renewal_waits(&i->pace, clock_wall()) && obtain(&pair, e, i, &i->account, NULL, false, &err) < 0 &&
		err.kind != ERR_MISSING)
		put_off(e, i, 0, 0, err.text);
	pthread_mutex_unlock(&i->lock);
	pair_clear(&pair);
}

static void
wait_a_while(struct est *e)
{
	struct timespec until;

	clock_until(LOOK_S * 1000, &until);
	pthread_mutex_lock(&e->lock);
	if (!atomic_load(&e->stopped))
		pthread_cond_timedwait(&e->wake, &e->lock, &until);
	pthread_mutex_unlock(&e->lock);
}

static void *
keep_all(void *arg)
{
	struct est *e = arg;

	while (!atomic_load(&e->stopped)) {
		for (size_t i = 0; i < e->n_identities && !atomic_load(&e->stopped); i++)
			keep(e, &e->identities[i]);
		wait_a_while(e);
	}
	return NULL;
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

static int
add_identity(struct est *e, const char *id, struct err *err)
{
	struct est_account account;

	if (est_account_find(&account, e->config.cert_issuance, id, err) < 0)
		return -1;
	if (!account.identity_cert || identity_of(e, account.identity_cert))
		return 0;
	if (e->n_identities == IDENTITIES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d EST identities", IDENTITIES_MAX);
	e->identities[e->n_identities].account = account;
	pthread_mutex_init(&e->identities[e->n_identities++].lock, NULL);
	return 0;
}

static int
add_identities(struct est *e, struct err *err)
{
	const char *id;
	json_t *own;

	json_object_foreach((json_t *)(uintptr_t)e->config.cert_issuance, id, own)
		if (text_is(json_string_value(json_object_get(own, "method")), "est") && add_identity(e, id, err) < 0)
			return -1;
	return 0;
}

static int
take_policy(struct est *e, struct err *err)
{
	const json_t *table = json_object_get(json_object_get(e->config.cert_issuance, "est"), "identity_auto_renew");
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

struct est *
est_new(const struct est_config *config, struct err *err)
{
	struct est *e = NEW(est);
	pthread_condattr_t monotonic;

	e->config = *config;
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&e->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (take_policy(e, err) < 0 || add_identities(e, err) < 0) {
		est_free(e);
		return NULL;
	}
	e->has_keeper = e->n_identities > 0 && pthread_create(&e->keeper, NULL, keep_all, e) == 0;
	return e;
}

void
est_stop(struct est *e)
{
	pthread_mutex_lock(&e->lock);
	atomic_store(&e->stopped, true);
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
		pthread_mutex_destroy(&e->identities[i].lock);
	pthread_cond_destroy(&e->wake);
	pthread_mutex_destroy(&e->lock);
	mem_free(e);
}
