/* SPDX-License-Identifier: Apache-2.0 */
/* An enrolment asks for the CA certificates first: a server that can't say what it issues under is not asked to issue. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "certd/est_enrolment.h"
#include "certd/est_pending.h"
#include "common/service.h"

static int
judge(struct certs *chain, const struct est_server *server, const struct est_enrolment *x, const struct certs *answer,
	struct err *err)
{
	const struct issued_query query = {
		.csr = x->request.csr, .use = x->use, .answer = answer, .cas = &server->cas, .now = clock_wall()
	};
	OWN(verdict) v = verdict_new("certd", "Is this the certificate that was asked for?", server->client.url);
	OWN_TEXT sentence = NULL;

	issued_judge(chain, v, &query);
	service_log_verdict(v);
	if (verdict_accepted(v))
		return 0;
	sentence = verdict_sentence(v);
	return err_set(err, ERR_BROKEN, "the certificate that the EST server %s gave for %s is not used: %s", server->client.url,
		x->id, sentence);
}

/* A server without re-enrolment enrols anew. */
static enum est_outcome
ask(const struct est_client *client, const struct est_request *request, struct certs *answer, int64_t *wait, struct err *err)
{
	struct est_request anew = *request;
	enum est_outcome outcome = est_client_enroll(client, request, answer, wait, err);

	if (outcome != EST_NO_OPERATION || !text_is(request->operation, "simplereenroll"))
		return outcome;
	*err = (struct err)ERR_INIT;
	anew.operation = "simpleenroll";
	return est_client_enroll(client, &anew, answer, wait, err);
}

static void
remember(const struct est_pending *pending, enum est_outcome outcome, const struct csr *csr, int64_t wait)
{
	struct err err = ERR_INIT;

	if (outcome != EST_PENDING)
		est_pending_forget(pending);
	else if (est_pending_keep(pending, csr, clock_wall() + wait, &err) < 0)
		log_error("a request that is not decided yet can't be kept: %s", err.text);
}

static const char *
key_words(const struct csr *csr, const struct est_attributes *wished)
{
	enum key_alg found;

	return wished->has_key && (!key_pkey_alg(csr_public_key(csr), &found) || found != wished->key) ? key_alg_name(wished->key)
												       : NULL;
}

/* What it wishes of requests may be why it refuses this one, whose key is somebody else's. */
static void
add_wishes(const struct est_server *server, const struct est_enrolment *x, struct err *err)
{
	struct est_attributes wished = { 0 };
	struct err why = ERR_INIT;
	const char *key;

	if (x->request.is_bound || est_client_attributes(&server->client, &wished, &why) < 0)
		return;
	key = key_words(x->request.csr, &wished);
	if (key)
		err_wrap(err, "the server wishes a key of the kind %s", key);
	if (wished.challenge_password)
		err_wrap(err,
			"the server wishes requests that say which TLS session they are made for, and this one was made elsewhere");
}

static bool
may_be_about_wishes(enum est_outcome outcome, const struct err *err)
{
	return outcome == EST_UNAUTHENTICATED || (outcome == EST_FAILED && (err->kind == ERR_DENIED || err->kind == ERR_INVALID));
}

enum est_outcome
est_enrol(const struct est_context *ctx, struct est_server *server, const struct est_enrolment *x, struct certs *chain,
	struct err *err)
{
	const struct est_pending pending = { .dir = ctx->dir, .id = x->id, .url = server->client.url };
	int64_t not_before, wait = 0, now = clock_wall();
	OWN(csr) known = est_pending_find(&pending, x->request.csr, now, &not_before);
	struct est_request request = x->request;
	CLEAR(certs) answer = { 0 };
	enum est_outcome outcome;

	if (known && now < not_before) {
		err_set(err, ERR_UNAVAILABLE, "the EST server %s has not decided about %s yet and is asked again in %lld s",
			pending.url, x->id, (long long)(not_before - now));
		return EST_PENDING;
	}
	if (est_server_cas(server, err) < 0)
		return EST_FAILED;
	if (known && !request.is_bound)
		request.csr = known;
	outcome = ask(&server->client, &request, &answer, &wait, err);
	remember(&pending, outcome, request.csr, wait);
	if (may_be_about_wishes(outcome, err))
		add_wishes(server, x, err);
	if (outcome == EST_ISSUED && judge(chain, server, x, &answer, err) < 0)
		return EST_FAILED;
	return outcome;
}
