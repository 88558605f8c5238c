/* SPDX-License-Identifier: Apache-2.0 */
/* The device's certificate, made when there is none that does, and made again ahead of its end. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "certd/client.h"
#include "identityd/device_certificate.h"
#include "pki/chain.h"
#include "pki/issue.h"

#define ID "device-id"
#define KEY_KINDS "ec-p256:rsa-2048:*"
#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 64

static const struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;

static int
load(struct certs *out, const struct device_certificate *d, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	if (certd_client_get(d->certd, ID, &pem, err) < 0)
		return -1;
	return certs_parse(out, buf_text(&pem), pem.len, CHAIN_MAX, err);
}

static int
make(const struct device_certificate *d, const struct key *key, struct err *err)
{
	CLEAR(buf) csr = BUF_INIT(65536);
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	if (issue_csr_wish(&csr, key, &(struct csr_wish){ .common_name = d->device_id, .use = CSR_USE_CLIENT }, err) < 0)
		return -1;
	return certd_client_create(d->certd, ID, buf_text(&csr), NULL, NULL, &pem, err);
}

static bool
does(const struct device_certificate *d, const struct cert *cert, const struct key *key, int64_t now)
{
	return cert_matches_key(cert, key) && text_is(cert_common_name(cert), d->device_id) && validity_is_good(cert, now);
}

/* The certificate that is there still does. */
static void
renew_ahead(struct device_certificate *d, const struct key *key, const struct cert *cert, int64_t now)
{
	int64_t from = cert_not_before(cert), until = cert_not_after(cert), next;
	struct err err = ERR_INIT;

	if (now < renewal_due(&policy, from, until) || renewal_waits(&d->pace, now))
		return;
	if (make(d, key, &err) == 0) {
		log_info("the device's certificate was renewed");
		return;
	}
	next = renewal_failed(&d->pace, &policy, from, until, now);
	log_warn("the device's certificate can't be renewed, the next attempt is in %lld s: %s", (long long)(next - now), err.text);
}

static int
ensure(struct device_certificate *d, struct err *err)
{
	OWN(key) key = keyd_client_create_pair(d->keyd, ID, KEY_KINDS, err);
	CLEAR(certs) chain = { 0 };
	int64_t now = clock_wall();
	int status = key ? load(&chain, d, err) : -1;

	if (!key || (status < 0 && err->kind != ERR_MISSING && err->kind != ERR_INVALID))
		return -1;
	if (status == 0 && does(d, chain.item[0], key, now)) {
		renew_ahead(d, key, chain.item[0], now);
		return 0;
	}
	*err = (struct err)ERR_INIT;
	if (make(d, key, err) < 0)
		return -1;
	log_info("the device's certificate was issued");
	return 0;
}

int
device_certificate_ensure(struct device_certificate *d, struct err *err)
{
	int status;

	pthread_mutex_lock(&d->lock);
	status = ensure(d, err);
	pthread_mutex_unlock(&d->lock);
	return status < 0 ? err_wrap(err, "the device's certificate") : 0;
}
