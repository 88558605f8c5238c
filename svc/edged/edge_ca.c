/* SPDX-License-Identifier: Apache-2.0 */
/* The Edge CA of this device: configured, issued by a local CA, or made by itself for a quick start.  Its key lies in keyd, its certificate in certd; here it is ensured that
 * both exist, and said who may sign module certificates. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/client.h"
#include "common/service.h"
#include "edged/edged.h"
#include "pki/chain.h"
#include "pki/issue.h"

#define CA_ID "aziot-edged-ca"
#define BUNDLE_ID "aziot-edged-trust-bundle"
#define KEY_KIND "ec-p256:rsa-2048:*"
#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 16
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

static int
make_certificate(struct edged *e, const struct key *key, struct err *err)
{
	struct buf csr = BUF_INIT(65536), pem = BUF_INIT(PEM_MAX);
	int status = issue_csr_wish(&csr, key, &(struct csr_wish){ .common_name = e->ca_common_name, .use = CSR_USE_EDGE_CA }, err);

	if (status == 0)
		status = certd_client_create(e->certd, CA_ID, buf_text(&csr), NULL, NULL, &pem, err);
	buf_clear(&csr);
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
judge(struct edged *e, const struct certs *chain, const struct key *key)
{
	const struct cert *ca = chain->item[0];
	struct verdict *v = verdict_new("edge", "Who may sign module certificates?", cert_subject(ca));
	struct err err = ERR_INIT;
	OWN(anchors) roots = roots_of_bundle(e, &err);

	if (cert_is_ca(ca))
		verdict_pass(v, "CA", cert_subject(ca), "CA:TRUE", "CA:TRUE");
	else
		verdict_fail(v, CERT_NOT_CA, "CA", cert_subject(ca), "CA:TRUE", "CA:FALSE");
	if (cert_matches_key(ca, key))
		verdict_pass(v, "key", cert_subject(ca), "the key in keyd", key_describe(key));
	else
		verdict_fail(v, KEY_MISMATCH, "key", cert_subject(ca), "the key in keyd", "another key");
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

/* -- Making it, and making it again ---------------------------------------------------------------------------------------------------- */

static bool
is_made_here(const struct edged *e)
{
	return !text_is(e->ca_form, "preloaded");
}

static const struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;

/* Why the certificate that is there does not do; NULL: it does. */
static const char *
reason_to_replace(const struct edged *e, const struct cert *ca, const struct key *key)
{
	const char *cn = cert_common_name(ca);

	if (!cert_matches_key(ca, key))
		return "it is for another key";
	if (!cn || strncmp(cn, e->ca_common_name, CN_MAX) != 0)
		return "another name is configured";
	if (clock_wall() < cert_not_before(ca))
		return "it has not begun, the clock was set back";
	return clock_wall() >= cert_not_after(ca) ? "it has ended" : NULL;
}

/* With four fifths of its life over, what it issues would soon end with it. */
static bool
is_due(const struct cert *ca)
{
	return clock_wall() >= renewal_due(&policy, cert_not_before(ca), cert_not_after(ca));
}

/* A certificate that still does goes on until there is the next one: whoever issues it may be out of reach. */
static void
renew_ahead(struct edged *e, const struct key *key, const struct cert *ca)
{
	int64_t now = clock_wall(), next;
	struct err err = ERR_INIT;

	if (!is_due(ca) || renewal_waits(&e->ca_pace, now))
		return;
	if (make_certificate(e, key, &err) == 0) {
		log_info("the Edge CA is made again: four fifths of its life are over");
		return;
	}
	next = renewal_failed(&e->ca_pace, &policy, cert_not_before(ca), cert_not_after(ca), now);
	log_warn("the Edge CA can't be renewed, the next attempt is in %lld s: %s", (long long)(next - now), err.text);
}

/* The same key again: what was issued before stays good as long as the certificate that it was issued under. */
static int
ensure_certificate(struct edged *e, const struct key *key, struct certs *chain, struct err *err)
{
	int status = load(chain, e->certd, CA_ID, err);
	const char *why;

	if (!is_made_here(e) || (status < 0 && err->kind != ERR_MISSING))
		return status;
	why = status == 0 ? reason_to_replace(e, chain->item[0], key) : NULL;
	if (status == 0 && !why) {
		if (!is_due(chain->item[0]))
			return 0;
		renew_ahead(e, key, chain->item[0]);
		certs_clear(chain);
		return load(chain, e->certd, CA_ID, err);
	}
	if (why)
		log_info("the Edge CA is made again: %s", why);
	*err = (struct err)ERR_INIT;
	certs_clear(chain);
	return make_certificate(e, key, err) < 0 ? -1 : load(chain, e->certd, CA_ID, err);
}

static struct key *
ca_key(struct edged *e, struct err *err)
{
	struct key *key = is_made_here(e) ? keyd_client_create_pair(e->keyd, CA_ID, KEY_KIND, err)
					  : keyd_client_load_pair(e->keyd, CA_ID, err);

	return key ? key : err_wrap_null(err, "the key of the Edge CA");
}

int
edge_ca_ensure(struct edged *e, struct err *err)
{
	OWN(key) key = ca_key(e, err);
	CLEAR(certs) chain = { 0 };

	if (!key)
		return -1;
	if (ensure_certificate(e, key, &chain, err) < 0)
		return err_wrap(err, "the certificate of the Edge CA");
	judge(e, &chain, key);
	return 0;
}

/* Looked at before each use, so that a device that runs for years needs no restart. */
static int
renew_if_due(struct edged *e, struct err *err)
{
	OWN(key) key = is_made_here(e) ? ca_key(e, err) : NULL;
	CLEAR(certs) chain = { 0 };

	if (!is_made_here(e))
		return 0;
	return key ? ensure_certificate(e, key, &chain, err) : -1;
}

int
edge_ca_issue(struct edged *e, const struct leaf_request *request, struct buf *chain_pem, struct err *err)
{
	OWN_TEXT handle = NULL;

	if (renew_if_due(e, err) < 0)
		return err_wrap(err, "failed to renew the edge CA");
	handle = keyd_client_pair_handle(e->keyd, CA_ID, err);
	if (!handle)
		return err_wrap(err, "failed to get edge CA key");
	if (certd_client_create(e->certd, request->cert_id, request->csr, CA_ID, handle, chain_pem, err) < 0)
		return err_wrap(err, "failed to create cert %s", request->cert_id);
	return 0;
}
