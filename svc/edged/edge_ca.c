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
	int status = issue_csr(&csr, key, e->ca_common_name, NULL, 0, err);

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

/* Why the certificate that is there will not do any longer; NULL: it will.  With four fifths of its life over, what it issues would soon end with it. */
static const char *
reason_to_renew(const struct edged *e, const struct cert *ca, const struct key *key)
{
	int64_t from = cert_not_before(ca), until = cert_not_after(ca), now = clock_wall();
	const char *cn = cert_common_name(ca);

	if (!cert_matches_key(ca, key))
		return "it is for another key";
	if (!cn || strncmp(cn, e->ca_common_name, CN_MAX) != 0)
		return "another name is configured";
	if (now < from)
		return "it has not begun, the clock was set back";
	return now >= from + (until - from) / 5 * 4 ? "four fifths of its life are over" : NULL;
}

/* The same key again: what was issued before stays good as long as the certificate that it was issued under. */
static int
ensure_certificate(struct edged *e, const struct key *key, struct certs *chain, struct err *err)
{
	int status = load(chain, e->certd, CA_ID, err);
	const char *why;

	if (!is_made_here(e) || (status < 0 && err->kind != ERR_MISSING))
		return status;
	why = status == 0 ? reason_to_renew(e, chain->item[0], key) : NULL;
	if (status == 0 && !why)
		return 0;
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
