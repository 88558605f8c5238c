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

int
edge_ca_ensure(struct edged *e, struct err *err)
{
	OWN(key) key = text_is(e->ca_form, "preloaded") ? keyd_client_load_pair(e->keyd, CA_ID, err)
							: keyd_client_create_pair(e->keyd, CA_ID, KEY_KIND, err);
	struct certs chain = { 0 };
	int status;

	if (!key)
		return err_wrap(err, "the key of the Edge CA");
	status = load(&chain, e->certd, CA_ID, err);
	if (status < 0 && err->kind == ERR_MISSING && !text_is(e->ca_form, "preloaded")) {
		status = make_certificate(e, key, err);
		if (status == 0)
			status = load(&chain, e->certd, CA_ID, err);
	}
	if (status < 0)
		return err_wrap(err, "the certificate of the Edge CA");
	judge(e, &chain, key);
	certs_clear(&chain);
	return 0;
}

int
edge_ca_issue(struct edged *e, const struct leaf_request *request, struct buf *chain_pem, struct err *err)
{
	OWN_TEXT handle = keyd_client_pair_handle(e->keyd, CA_ID, err);

	if (!handle)
		return err_wrap(err, "failed to get edge CA key");
	if (certd_client_create(e->certd, request->cert_id, request->csr, CA_ID, handle, chain_pem, err) < 0)
		return err_wrap(err, "failed to create cert %s", request->cert_id);
	return 0;
}
