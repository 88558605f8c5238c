/* SPDX-License-Identifier: Apache-2.0 */
/* The Edge CA of this device: configured, issued by a local CA or an EST server, or made by itself for a quick start.  Its key lies in keyd, its certificate in certd; here it is said who may
 * sign module certificates, and what follows it asked for.  When: renewals.h; how it takes over: succession.h. */
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/client.h"
#include "common/service.h"
#include "diag/reason.h"
#include "edged/edged.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "renewal/succession.h"
#include "wire/json.h"

#define CA_ID "aziot-edged-ca"
#define BUNDLE_ID "aziot-edged-trust-bundle"
#define PREVIOUS_ID CA_ID "-previous"
#define NEXT_ID CA_ID "-temp"
#define KEY_KINDS "ec-p256:rsa-2048:*"
#define RESERVE_S (7 * 86400) /* so that what it issues on its last day has a week, too */
#define PEM_MAX (1024 * 1024)
#define CN_MAX 64 /* RFC 5280: a longer one is cut */

static int
load(struct certs *out, const char *certd, const char *id, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = certd_client_get(certd, id, &pem, err);

	if (status == 0 && certs_parse(out, buf_text(&pem), pem.len, CERTS_MAX, err) < 0)
		status = err_wrap(err, "%s in certd's store", id);
	buf_clear(&pem);
	return status;
}

/* -- Who may sign module certificates? ----------------------------------------------------------------------------------------------- */

static struct anchors *
roots_of_bundle(struct edged *e, struct err *err)
{
	struct certs bundle = { 0 }, roots = { 0 };
	struct anchors *anchors = NULL;

	if (load(&bundle, e->certd, BUNDLE_ID, err) < 0)
		return NULL;
	for (size_t i = 0; i < bundle.n; i++)
		if (cert_is_self_issued(bundle.item[i]))
			certs_add(&roots, bundle.item[i]);
	anchors = anchors_new(&roots, err);
	certs_clear(&roots);
	certs_clear(&bundle);
	return anchors;
}

static void
judge(struct edged *e, const struct certs *chain, const char *key_id)
{
	const struct cert *ca = chain->item[0];
	struct verdict *v = verdict_new("edge", "Who may sign module certificates?", cert_subject(ca));
	struct err err = ERR_INIT;
	OWN(key) key = keyd_client_load_pair(e->keyd, key_id, &err);
	OWN(anchors) roots = roots_of_bundle(e, &err);

	if (cert_is_ca(ca))
		verdict_pass(v, "CA", cert_subject(ca), "CA:TRUE", "CA:TRUE");
	else
		verdict_fail(v, CERT_NOT_CA, "CA", cert_subject(ca), "CA:TRUE", "CA:FALSE");
	if (key && cert_matches_key(ca, key))
		verdict_pass(v, "key", cert_subject(ca), "the key in keyd", key_describe(key));
	else
		verdict_fail(v, KEY_MISMATCH, "key", cert_subject(ca), "the key in keyd", key ? "another key" : err.text);
	if (roots)
		chain_verify(v, roots,
			&(struct chain_query){ .leaf = ca, .untrusted = chain, .purpose = CHAIN_ANY, .now = clock_wall() });
	else
		verdict_fail(v, TRUST_UNKNOWN_ISSUER, "trust bundle", "", "a trust bundle", err.text);
	if (text_is(e->ca_form, "quickstart"))
		log_warn("the Edge CA is a quickstart one, made by this device itself; it is not for production and ends with its "
			 "certificate (docs: edge_ca)");
	service_log_verdict(v);
	verdict_free(v);
}

/* -- What follows it ------------------------------------------------------------------------------------------------------------------ */

static bool
is_made_here(const struct edged *e)
{
	return !text_is(e->ca_form, "preloaded");
}

static int
request(void *arg, const struct key *key, struct buf *csr, struct err *err)
{
	const struct edged *e = arg;

	return issue_csr_wish(csr, key,
		&(struct csr_wish){ .subject = e->ca_subject, .common_name = e->ca_common_name, .use = CSR_USE_EDGE_CA }, err);
}

static bool
has_configured_name(const struct edged *e, const struct cert *ca)
{
	const char *cn = cert_common_name(ca);

	return cn && strncmp(cn, e->ca_common_name, CN_MAX) == 0;
}

static int
judge_successor(void *arg, const struct certs *chain, const struct key *key, struct err *err)
{
	const struct edged *e = arg;

	(void)key;
	if (!cert_is_ca(chain->item[0]))
		return err_set(err, ERR_BROKEN, "%s: what was issued for the Edge CA may not issue", reason_row(CERT_NOT_CA)->code);
	if (!has_configured_name(e, chain->item[0]))
		return err_set(err, ERR_BROKEN, "what was issued for the Edge CA is for %s", cert_subject(chain->item[0]));
	return 0;
}

static void
set_key_id(struct edged *e, const char *id)
{
	pthread_mutex_lock(&e->ca_lock);
	mem_free(e->ca_key_id);
	e->ca_key_id = mem_text(id);
	pthread_mutex_unlock(&e->ca_lock);
}

static void
on_swap(void *arg)
{
	set_key_id(arg, NULL);
}

static struct succession
succession_of(struct edged *e)
{
	return (struct succession){
		.id = CA_ID,
		.key_kinds = KEY_KINDS,
		.keyd = e->keyd,
		.certd = e->certd,
		.rotate_key = e->ca_policy.rotate_key,
		.in_use = &e->ca_in_use,
		.request = request,
		.judge = judge_successor,
		.on_swap = on_swap,
		.arg = e,
	};
}

/* -- Looking and renewing --------------------------------------------------------------------------------------------------------------- */

/* The operator's: whether the key belongs to it is for the verdict. */
static int
load_preloaded(struct edged *e, struct succession_pair *out, struct err *err)
{
	if (load(&out->chain, e->certd, CA_ID, err) < 0)
		return -1;
	out->key_id = mem_text(CA_ID);
	return 0;
}

static int
load_in_force(struct edged *e, struct succession_pair *out, struct err *err)
{
	const struct succession s = succession_of(e);

	return is_made_here(e) ? succession_load(&s, out, err) : load_preloaded(e, out, err);
}

static bool
has_replaced(struct edged *e)
{
	CLEAR(certs) kept = { 0 };
	struct err ignored = ERR_INIT;

	return load(&kept, e->certd, PREVIOUS_ID, &ignored) == 0;
}

/* Whoever changed it: its key may lie elsewhere now, and who may sign is another. */
static void
note_change(struct edged *e, const struct succession_pair *pair)
{
	set_key_id(e, pair->key_id);
	if (e->ca_is_starting)
		return; /* whoever looks first after the start has the time to judge */
	if (memcmp(e->ca_sha256, cert_sha256(pair->chain.item[0]), sizeof(e->ca_sha256)) == 0)
		return;
	memcpy(e->ca_sha256, cert_sha256(pair->chain.item[0]), sizeof(e->ca_sha256));
	atomic_store(&e->ca_has_replaced, has_replaced(e));
	judge(e, &pair->chain, pair->key_id);
}

static int
look(void *arg, struct renewal_found *out, struct err *err)
{
	struct edged *e = arg;
	const struct succession s = succession_of(e);
	struct succession_pair pair = { 0 };
	int status = load_in_force(e, &pair, err);

	if (status == 0) {
		const struct cert *ca = pair.chain.item[0];

		note_change(e, &pair);
		out->current = (struct renewal_life){ cert_not_before(ca), cert_not_after(ca) };
		memcpy(out->sha256, cert_sha256(ca), sizeof(out->sha256));
		if (is_made_here(e) && !has_configured_name(e, ca))
			status = err_set(err, ERR_MISSING, "another name is configured for the Edge CA");
		else if (is_made_here(e) && !renewal_is_good(&out->current, clock_wall()))
			status = succession_look(&s, out, err);
	}
	succession_pair_clear(&pair);
	return status;
}

static int
act(void *arg, enum renewal_step step, struct err *err)
{
	struct edged *e = arg;
	const struct succession s = succession_of(e);
	int status;

	pthread_mutex_lock(&e->ca_acting);
	status = succession_act(&s, step, err);
	pthread_mutex_unlock(&e->ca_acting);
	return status;
}

/* -- Who follows a root --------------------------------------------------------------------------------------------------------------- */

/* A quickstart CA is its own root, and who trusts the one before trusts nothing of the next.  So the next one is made when the one in force would be due, stands in the trust bundle from then
 * on, and takes over as late as can be: whoever looks at the bundle meanwhile trusts both. */
static bool
overlaps(const struct edged *e)
{
	return text_is(e->ca_form, "quickstart") && e->ca_policy.rotate_key;
}

static int
look_at_next(void *arg, struct renewal_found *out, struct err *err)
{
	const struct succession s = succession_of(arg);
	struct err why = ERR_INIT;

	if (succession_look_at_next(&s, out, &why) == 0)
		return 0;
	if (why.kind != ERR_MISSING) {
		*err = why;
		return -1;
	}
	if (succession_look(&s, out, err) < 0)
		return -1;
	out->previous = (struct renewal_life){ 0 };
	return renewal_is_good(&out->current, clock_wall()) ? 0 : err_set(err, ERR_MISSING, "nobody to follow");
}

static int
make_next(void *arg, enum renewal_step step, struct err *err)
{
	struct edged *e = arg;
	const struct succession s = succession_of(e);
	struct renewal_found found;
	int64_t now = clock_wall();
	int status;

	(void)step;
	pthread_mutex_lock(&e->ca_acting);
	status = succession_look(&s, &found, err);
	if (status == 0 && now >= renewal_due(&e->ca_policy, found.current.from, found.current.until))
		status = succession_prepare(&s, err);
	pthread_mutex_unlock(&e->ca_acting);
	return status;
}

/* -- The rest of edged ------------------------------------------------------------------------------------------------------------------ */

int
edge_ca_take_subject(struct edged *e, const json_t *config, struct err *err)
{
	json_t *subject = NULL;

	if (json_find_object(config, "edge_ca_subject", &subject, err) < 0)
		return -1;
	e->ca_subject = subject ? subject_from_json(subject, err) : NULL;
	return subject && !e->ca_subject ? -1 : 0;
}

int
edge_ca_open(struct edged *e, const char *dir, const json_t *auto_renew, struct err *err)
{
	OWN_TEXT path = dir ? file_join(dir, "renewals.json") : NULL;
	struct renewal_target target = {
		.id = (char *)(uintptr_t)CA_ID, .look = look, .act = is_made_here(e) ? act : NULL, .arg = e
	};

	e->ca_policy = (struct renewal_policy)RENEWAL_POLICY_DEFAULT;
	e->ca_policy.reserve_s = RESERVE_S;
	pthread_mutex_init(&e->ca_lock, NULL);
	pthread_mutex_init(&e->ca_acting, NULL);
	succession_lock_init(&e->ca_in_use);
	if (renewal_policy_take(&e->ca_policy, auto_renew, err) < 0)
		return err_wrap(err, "edge_ca.auto_renew");
	target.policy = e->ca_policy;
	target.policy.overlaps = overlaps(e);
	e->renewals = renewals_new(path);
	renewals_add(e->renewals, &target);
	if (overlaps(e))
		renewals_add(e->renewals, &(struct renewal_target){ .id = (char *)(uintptr_t)NEXT_ID,
						  .policy = e->ca_policy,
						  .look = look_at_next,
						  .act = make_next,
						  .waits_to_be_asked = true,
						  .arg = e });
	return 0;
}

int
edge_ca_start(struct edged *e, struct err *err)
{
	const struct succession s = succession_of(e);
	struct err why = ERR_INIT;

	if (is_made_here(e) && succession_settle(&s, &why) < 0)
		log_warn("what a renewal of the Edge CA left unfinished: %s", why.text);
	why = (struct err)ERR_INIT;
	e->ca_is_starting = true;
	if (renewals_ensure(e->renewals, CA_ID, &why) < 0) {
		if (!is_made_here(e)) {
			*err = why;
			return err_wrap(err, "the Edge CA");
		}
		log_error("no module gets a certificate until there is an Edge CA: %s", why.text);
	}
	e->ca_is_starting = false;
	return renewals_start(e->renewals, err);
}

void
edge_ca_close(struct edged *e)
{
	X509_NAME_free(e->ca_subject);
	if (!e->renewals)
		return;
	renewals_free(e->renewals);
	pthread_mutex_destroy(&e->ca_lock);
	pthread_mutex_destroy(&e->ca_acting);
	pthread_rwlock_destroy(&e->ca_in_use);
	mem_free(e->ca_key_id);
}

static char *
id_of_key(struct edged *e, struct err *err)
{
	struct succession_pair pair = { 0 };
	char *id;

	pthread_mutex_lock(&e->ca_lock);
	id = mem_text(e->ca_key_id);
	pthread_mutex_unlock(&e->ca_lock);
	if (id || load_in_force(e, &pair, err) < 0)
		return id;
	set_key_id(e, pair.key_id);
	id = GIVE(pair.key_id);
	succession_pair_clear(&pair);
	return id;
}

/* The caller holds ca_in_use. */
static char *
handle_of_key(struct edged *e, struct err *err)
{
	OWN_TEXT id = id_of_key(e, err);

	return id ? keyd_client_pair_handle(e->keyd, id, err) : NULL;
}

bool
edge_ca_is_ready(struct edged *e)
{
	return renewals_has_good(e->renewals, CA_ID);
}

int
edge_ca_issue(struct edged *e, const struct leaf_request *request, struct buf *chain_pem, struct err *err)
{
	OWN_TEXT handle = NULL;
	int status;

	if (renewals_ensure(e->renewals, CA_ID, err) < 0)
		return err_wrap(err, "failed to renew the edge CA");
	pthread_rwlock_rdlock(&e->ca_in_use);
	handle = handle_of_key(e, err);
	if (!handle)
		status = err_wrap(err, "failed to get edge CA key");
	else if (certd_client_create(e->certd, request->cert_id, request->csr, CA_ID, handle, chain_pem, err) < 0)
		status = err_wrap(err, "failed to create cert %s", request->cert_id);
	else
		status = 0;
	pthread_rwlock_unlock(&e->ca_in_use);
	return status;
}

/* -- The trust bundle ------------------------------------------------------------------------------------------------------------------- */

static bool
is_in(const struct certs *list, const struct cert *cert)
{
	for (size_t i = 0; i < list->n; i++)
		if (cert_is_same(list->item[i], cert))
			return true;
	return false;
}

/* An Edge CA that was replaced is trusted until its end, for what it issued; certd keeps it longer, because it is our clock that may be wrong about that. */
int
edge_ca_trust_bundle(struct edged *e, struct buf *pem, struct err *err)
{
	CLEAR(certs) all = { 0 };
	CLEAR(certs) kept = { 0 };
	CLEAR(certs) given = { 0 };
	struct err ignored = ERR_INIT;

	if (load(&all, e->certd, BUNDLE_ID, err) < 0)
		return -1;
	if (atomic_load(&e->ca_has_replaced))
		load(&kept, e->certd, PREVIOUS_ID, &ignored);
	for (size_t i = 0; i < all.n; i++)
		if (!is_in(&given, all.item[i]) && !(is_in(&kept, all.item[i]) && clock_wall() >= cert_not_after(all.item[i])))
			certs_add(&given, all.item[i]);
	certs_put_pem(given.n > 0 ? &given : &all, pem);
	return 0;
}
