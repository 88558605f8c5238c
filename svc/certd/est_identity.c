/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from what is there: a good pair is used, and renewed ahead of its end; any other is made by the bootstrap identity. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "certd/est_identity.h"
#include "pki/chain.h"

#define KEY_KINDS "ec-p256:rsa-4096:*"
#define CSR_PEM_MAX (64 * 1024)

/* One attempt to have it issued. */
struct attempt {
	struct est_identity *identity;
	const struct est_context *ctx;
	const struct est_account *account;
	const struct est_pair *as;
	X509_NAME *subject; /* of one that does not renew itself */
	bool renews;
	const char *new_key_id; /* NULL: with the key that it has */
};

/* -- The request -------------------------------------------------------------------------------------------------------------------------- */

/* What the server wishes, by a server that says so; otherwise what we prefer. */
static void
ask_wishes(struct est_attributes *wished, const struct est_server *server)
{
	struct err err = ERR_INIT;

	if (est_client_attributes(&server->client, wished, &err) < 0)
		log_warn("what the EST server %s wishes of requests is not known: %s", server->client.url, err.text);
}

static bool
is_kind(const struct key *key, enum key_alg wished)
{
	enum key_alg found;

	return key_pkey_alg(key_pkey(key), &found) && found == wished;
}

/* A key that an attempt before this one has left is as good as a new one, and the one that a request not yet decided is for. */
static struct key *
make_key(const struct attempt *a, const struct est_attributes *wished, struct err *err)
{
	OWN_TEXT kinds = wished->has_key ? mem_textf("%s:%s", key_alg_name(wished->key), KEY_KINDS) : mem_text(KEY_KINDS);
	OWN(key) key = keyd_client_create_pair(a->ctx->keyd, a->new_key_id, kinds, err);

	if (!key || !wished->has_key || is_kind(key, wished->key))
		return GIVE(key);
	key_free(GIVE(key));
	if (keyd_client_delete_pair(a->ctx->keyd, a->new_key_id, err) < 0)
		return NULL;
	return keyd_client_create_pair(a->ctx->keyd, a->new_key_id, kinds, err);
}

static struct csr *
make_request(
	const struct attempt *a, const struct est_attributes *wished, const char *challenge, const struct key *key, struct err *err)
{
	const struct csr_wish wish = { .as = a->renews ? a->as->chain.item[0] : NULL,
		.subject = a->subject,
		.use = CSR_USE_CLIENT,
		.digest_bits = wished->digest_bits,
		.challenge = challenge };
	CLEAR(buf) pem = BUF_INIT(CSR_PEM_MAX);

	return issue_csr_wish(&pem, key, &wish, err) < 0 ? NULL : csr_parse(buf_text(&pem), pem.len, err);
}

/* -- An attempt --------------------------------------------------------------------------------------------------------------------------- */

/* A new pair that the server refuses never takes over from one that works. */
static int
try_out(const struct attempt *a, const struct certs *chain, struct key *key, struct err *err)
{
	const struct est_pair pair = { .chain = *chain, .key = key };
	CLEAR(est_server) server = { 0 };

	if (est_server_open(&server, a->ctx, a->account, &pair, err) < 0 || est_server_cas(&server, err) < 0)
		return err_wrap(err, "trying the new identity");
	return 0;
}

/* All else that has to be asked before the request is made comes first: what links it to the connection does so to the one that it goes out on. */
static int
request_certificate(struct certs *chain, struct key **key, const struct attempt *a, struct err *err)
{
	CLEAR(est_server) server = { 0 };
	struct est_attributes wished = { 0 };
	OWN_TEXT challenge = NULL;
	OWN(csr) csr = NULL;
	struct est_enrolment x = { .id = a->account->identity_cert, .use = ISSUED_CLIENT };

	if (est_server_open(&server, a->ctx, a->account, a->as, err) < 0 || est_server_cas(&server, err) < 0)
		return -1;
	ask_wishes(&wished, &server);
	*key = a->new_key_id ? make_key(a, &wished, err) : keyd_client_load_pair(a->ctx->keyd, a->account->identity_pk, err);
	if (!*key)
		return -1;
	if (wished.challenge_password && !(challenge = est_client_challenge(&server.client, err)))
		return -1;
	csr = make_request(a, &wished, challenge, *key, err);
	if (!csr)
		return -1;
	x.request = (struct est_request){
		.operation = a->renews ? "simplereenroll" : "simpleenroll", .csr = csr, .is_bound = challenge != NULL
	};
	return est_enrol(a->ctx, &server, &x, chain, err) == EST_ISSUED ? 0 : -1;
}

/* Who shows the one before to a server would sign with the new one's key. */
static int
install(const struct attempt *a, const struct certs *chain, struct err *err)
{
	const struct est_account *account = a->account;
	int status;

	pthread_rwlock_wrlock(&a->identity->in_use);
	status = est_pair_install(a->ctx, account->identity_cert, account->identity_pk, a->new_key_id, chain, err);
	pthread_rwlock_unlock(&a->identity->in_use);
	return status;
}

static int
enrol(const struct attempt *a, struct err *err)
{
	CLEAR(certs) chain = { 0 };
	OWN(key) key = NULL;

	if (request_certificate(&chain, &key, a, err) < 0 || (a->renews && try_out(a, &chain, key, err) < 0))
		return -1;
	return install(a, &chain, err);
}

static int
bootstrap(struct est_identity *i, const struct est_account *account, X509_NAME *subject, struct err *err)
{
	OWN_TEXT key_id = est_pair_temp_id(account->identity_pk);
	CLEAR(est_pair) as = { 0 };
	const struct attempt attempt = {
		.identity = i, .ctx = i->ctx, .account = account, .as = &as, .subject = subject, .new_key_id = key_id
	};

	if (est_pair_load(&as, i->ctx, account->bootstrap_cert, account->bootstrap_pk, err) < 0 || enrol(&attempt, err) < 0)
		return err_wrap(err, "the EST identity %s by its bootstrap identity", account->identity_cert);
	log_info("the EST identity %s was issued by its bootstrap identity", account->identity_cert);
	return 0;
}

/* -- Obtaining it ------------------------------------------------------------------------------------------------------------------------- */

static int
make(struct est_identity *i, const struct est_account *account, const struct est_pair *ended, X509_NAME *subject, struct err *err)
{
	if (!account->bootstrap_cert)
		return err_set(err, ERR_BROKEN,
			"EST identity could not be obtained and EST bootstrap identity is not configured: %s %s",
			account->identity_cert, ended->key ? "has ended, or has not begun by this device's clock" : "is not there");
	if (!subject && ended->key)
		subject = X509_get_subject_name(cert_x509(ended->chain.item[0]));
	return subject ? bootstrap(i, account, subject, err) : err_set(err, ERR_MISSING, "nobody has asked for it yet");
}

/* Afterwards there is one that is good. */
static int
ensure(struct est_identity *i, const struct est_account *account, X509_NAME *subject, bool anew, struct err *err)
{
	CLEAR(est_pair) current = { 0 };
	int status = est_pair_recover(&current, i->ctx, account->identity_cert, account->identity_pk, err);

	if (status < 0 && err->kind != ERR_MISSING)
		return err_wrap(err, "the EST identity %s", account->identity_cert);
	*err = (struct err)ERR_INIT;
	if (status == 0 && !anew && validity_is_good(current.chain.item[0], clock_wall()))
		return 0;
	return make(i, account, &current, subject, err);
}

/* Keeps it in use. */
static int
take(struct est_pair *out, struct est_identity *i, const struct est_account *account, struct err *err)
{
	pthread_rwlock_rdlock(&i->in_use);
	if (est_pair_recover(out, i->ctx, account->identity_cert, account->identity_pk, err) == 0)
		return 0;
	pthread_rwlock_unlock(&i->in_use);
	return -1;
}

/* While somebody else is about to renew it: nobody has to wait for a server where what is there is good. */
bool
est_identity_take_good(struct est_pair *out, struct est_identity *i, const struct est_account *account)
{
	struct err err = ERR_INIT;

	if (take(out, i, account, &err) < 0)
		return false;
	if (validity_is_good(out->chain.item[0], clock_wall()))
		return true;
	est_identity_release(i);
	est_pair_clear(out);
	return false;
}

int
est_identity_obtain(struct est_pair *out, struct est_identity *i, const struct est_account *account, X509_NAME *subject, bool anew,
	struct err *err)
{
	int status;

	if (pthread_mutex_trylock(&i->lock) != 0) {
		if (!anew && est_identity_take_good(out, i, account))
			return 0;
		pthread_mutex_lock(&i->lock);
	}
	status = ensure(i, account, subject, anew, err);
	if (status == 0)
		status = take(out, i, account, err);
	pthread_mutex_unlock(&i->lock);
	return status;
}

void
est_identity_release(struct est_identity *i)
{
	pthread_rwlock_unlock(&i->in_use);
}

/* -- Looking after it --------------------------------------------------------------------------------------------------------------------- */

int
est_identity_look(void *arg, struct renewal_found *out, struct err *err)
{
	struct est_identity *i = arg;
	CLEAR(est_pair) pair = { 0 };
	int status;

	pthread_mutex_lock(&i->lock);
	status = est_pair_recover(&pair, i->ctx, i->account.identity_cert, i->account.identity_pk, err);
	pthread_mutex_unlock(&i->lock);
	if (status < 0)
		return -1;
	out->current = (struct renewal_life){ cert_not_before(pair.chain.item[0]), cert_not_after(pair.chain.item[0]) };
	memcpy(out->sha256, cert_sha256(pair.chain.item[0]), sizeof(out->sha256));
	return 0;
}

/* By itself while it is good, by the bootstrap identity when it isn't. */
static int
renew(struct est_identity *i, struct err *err)
{
	OWN_TEXT key_id = i->policy->rotate_key ? est_pair_temp_id(i->account.identity_pk) : NULL;
	const struct cert *cert;
	CLEAR(est_pair) current = { 0 };
	const struct attempt attempt = {
		.identity = i, .ctx = i->ctx, .account = &i->account, .as = &current, .renews = true, .new_key_id = key_id
	};

	if (est_pair_recover(&current, i->ctx, i->account.identity_cert, i->account.identity_pk, err) < 0)
		return -1;
	cert = current.chain.item[0];
	if (!validity_is_good(cert, clock_wall()))
		return make(i, &i->account, &current, NULL, err);
	if (clock_wall() < renewal_due(i->policy, cert_not_before(cert), cert_not_after(cert)))
		return 0; /* somebody who needed it had it made meanwhile */
	return enrol(&attempt, err);
}

int
est_identity_renew(void *arg, enum renewal_step step, struct err *err)
{
	struct est_identity *i = arg;
	int status;

	(void)step; /* nothing is kept that could be put back */
	pthread_mutex_lock(&i->lock);
	status = renew(i, err);
	pthread_mutex_unlock(&i->lock);
	return status;
}

void
est_identity_init(struct est_identity *i, const struct est_context *ctx, const struct renewal_policy *policy,
	const struct est_account *account)
{
	*i = (struct est_identity){ .ctx = ctx, .policy = policy, .account = *account };
	pthread_rwlock_init(&i->in_use, NULL);
	pthread_mutex_init(&i->lock, NULL);
}

void
est_identity_clear(struct est_identity *i)
{
	pthread_rwlock_destroy(&i->in_use);
	pthread_mutex_destroy(&i->lock);
}
