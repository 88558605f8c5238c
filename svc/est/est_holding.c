/* SPDX-License-Identifier: Apache-2.0 */
/* Judging who fetched, and writing it down (est_holding.h). */
#include "est/est_holding.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/codec.h"

#define ROOTS_MAX 16

struct noting {
	struct job job;
	struct est_holding_desk desk;
	struct est_config *config;
	const struct est_label *label;
	struct certs peer, roots; /* roots: those that it was sent */
};

static void
noting_free(struct noting *n)
{
	est_config_free(n->config);
	certs_clear(&n->peer);
	certs_clear(&n->roots);
	mem_free(n);
}

/* As for a renewal: of the issuing CA itself, not revoked, and at most as long past its end as the label lets it renew itself. */
static char *
judge(const struct noting *n, struct err *err)
{
	OWN(verdict) v = verdict_new("est", "Whose is this certificate?", NULL);
	OWN(revocations) revoked = est_revocation_current(n->desk.revocation);
	CLEAR(est_who) who = { 0 };
	struct est_visit visit = { .label = n->label, .renewing = true, .now = clock_wall(), .revoked = revoked };

	if (est_judge_who(v, &who, &visit, &(struct est_credentials){ .peer = &n->peer }, n->desk.store, err) < 0 ||
		!verdict_accepted(v) || who.by != EST_BY_CURRENT)
		return NULL;
	return GIVE(who.name);
}

static int
write_down(const struct noting *n, const char *id, struct err *err)
{
	char roots[ROOTS_MAX][EST_DIGEST_LEN];
	struct est_holding list[ROOTS_MAX];

	for (size_t i = 0; i < n->roots.n; i++) {
		CLEAR(buf) hex = BUF_INIT(EST_DIGEST_LEN);

		hex_encode(&hex, cert_sha256(n->roots.item[i]), DIGEST_SHA256_LEN, true);
		memcpy(roots[i], buf_text(&hex), EST_DIGEST_LEN);
		list[i] = (struct est_holding){ id, roots[i], clock_wall() };
	}
	return est_store_hold(n->desk.store, list, n->roots.n, err);
}

static void
run(struct job *job)
{
	struct noting *n = CONTAINER_OF(job, struct noting, job);
	struct err err = ERR_INIT;
	OWN_TEXT id = judge(n, &err);

	if (id)
		(void)write_down(n, id, &err);
	if (err.kind != ERR_NONE)
		log_warn("who has fetched the roots was not written down: %s", err.text);
}

static void
done(struct job *job)
{
	noting_free(CONTAINER_OF(job, struct noting, job));
}

void
est_holding_note(const struct est_holding_desk *desk, const struct est_holding_visit *visit, struct owner *owner)
{
	struct noting *n = NEW(noting);

	*n = (struct noting){ .desk = *desk, .config = visit->config, .label = visit->label, .peer = visit->peer };
	for (size_t i = 0; i < visit->sent->n && n->roots.n < ROOTS_MAX; i++)
		if (cert_is_self_issued(visit->sent->item[i]))
			certs_add(&n->roots, visit->sent->item[i]);
	n->job = (struct job){ .run = run, .done = done, .owner = owner };
	if (!desk->workers || !pool_try(desk->workers, &n->job))
		noting_free(n);
}
