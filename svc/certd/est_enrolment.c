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
	const struct certs *cas, struct err *err)
{
	OWN(verdict) v = verdict_new("certd", "Is this the certificate that was asked for?", server->client.url);
	OWN_TEXT sentence = NULL;

	issued_judge(chain, v,
		&(struct issued_query){ .csr = x->csr, .use = x->use, .answer = answer, .cas = cas, .now = clock_wall() });
	service_log_verdict(v);
	if (verdict_accepted(v))
		return 0;
	sentence = verdict_sentence(v);
	return err_set(err, ERR_BROKEN, "the certificate that the EST server %s gave for %s is not used: %s", server->client.url,
		x->id, sentence);
}

/* A server without re-enrolment enrols anew. */
static enum est_outcome
ask(const struct est_client *client, const struct est_enrolment *x, const struct csr *csr, struct certs *answer, int64_t *wait,
	struct err *err)
{
	enum est_outcome outcome = est_client_enroll(client, x->operation, csr, answer, wait, err);

	if (outcome != EST_NO_OPERATION || !text_is(x->operation, "simplereenroll"))
		return outcome;
	*err = (struct err)ERR_INIT;
	return est_client_enroll(client, "simpleenroll", csr, answer, wait, err);
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

enum est_outcome
est_enrol(const struct est_context *ctx, const struct est_server *server, const struct est_enrolment *x, struct certs *chain,
	struct err *err)
{
	const struct est_pending pending = { .dir = ctx->dir, .id = x->id, .url = server->client.url };
	int64_t not_before, wait = 0, now = clock_wall();
	OWN(csr) known = est_pending_find(&pending, x->csr, now, &not_before);
	const struct csr *csr = known ? known : x->csr;
	CLEAR(certs) cas = { 0 };
	CLEAR(certs) answer = { 0 };
	enum est_outcome outcome;

	if (known && now < not_before) {
		err_set(err, ERR_UNAVAILABLE, "the EST server %s has not decided about %s yet and is asked again in %lld s",
			pending.url, x->id, (long long)(not_before - now));
		return EST_PENDING;
	}
	if (est_client_cas(&server->client, &cas, err) < 0)
		return EST_FAILED;
	outcome = ask(&server->client, x, csr, &answer, &wait, err);
	remember(&pending, outcome, csr, wait);
	if (outcome == EST_ISSUED && judge(chain, server, x, &answer, &cas, err) < 0)
		return EST_FAILED;
	return outcome;
}
