/* SPDX-License-Identifier: Apache-2.0 */
/* Judging who fetched, and writing it down (est_holding.h). */
#include "est/est_holding.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pki/root_line.h"
#include "wire/codec.h"

#define ROOTS_MAX 16

struct noting {
	struct job job;
	struct est_holding_desk desk;
	struct est_config *config;
	const struct est_label *label;
	struct certs peer;
	bool says; /* these itself; else they are among what it was sent */
	char roots[ROOTS_MAX][EST_DIGEST_LEN];
	size_t n_roots;
};

static void
noting_free(struct noting *n)
{
	est_config_free(n->config);
	certs_clear(&n->peer);
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
	struct est_holding list[ROOTS_MAX];

	for (size_t i = 0; i < n->n_roots; i++)
		list[i] = (struct est_holding){ id, n->roots[i], clock_wall(), n->says };
	return est_store_hold(n->desk.store, list, n->n_roots, err);
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

static void
add_root(struct noting *n, const uint8_t sha256[static DIGEST_SHA256_LEN])
{
	CLEAR(buf) hex = BUF_INIT(EST_DIGEST_LEN);

	if (n->n_roots == ROOTS_MAX)
		return;
	hex_encode(&hex, sha256, DIGEST_SHA256_LEN, true);
	memcpy(n->roots[n->n_roots++], buf_text(&hex), EST_DIGEST_LEN);
}

static void
take_said(struct noting *n, const char *said)
{
	uint8_t list[ROOT_LINE_MAX][DIGEST_SHA256_LEN];
	size_t n_list;

	n->says = true;
	if (!root_line_parse_fingerprints(said, list, &n_list))
		return;
	for (size_t i = 0; i < n_list; i++)
		add_root(n, list[i]);
}

static void
take_sent(struct noting *n, const struct certs *sent)
{
	for (size_t i = 0; i < sent->n; i++)
		if (cert_is_self_issued(sent->item[i]))
			add_root(n, cert_sha256(sent->item[i]));
}

void
est_holding_note(const struct est_holding_desk *desk, const struct est_holding_visit *visit, struct owner *owner)
{
	struct noting *n = NEW(noting);

	*n = (struct noting){ .desk = *desk, .config = visit->config, .label = visit->label, .peer = visit->peer };
	if (visit->said)
		take_said(n, visit->said);
	else
		take_sent(n, visit->sent);
	n->job = (struct job){ .run = run, .done = done, .owner = owner };
	if (!desk->workers || !pool_try(desk->workers, &n->job))
		noting_free(n);
}
