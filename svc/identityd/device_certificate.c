/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for and what is good enough; the steps are succession.c's, their times renewals.c's. */
#include "identityd/device_certificate.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/client.h"
#include "pki/issue.h"
#include "renewal/succession.h"

#define ID "device-id"
#define KEY_KINDS "ec-p256:rsa-2048:*"
#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 64

static int
request(void *arg, const struct key *key, struct buf *csr, struct err *err)
{
	const struct device_certificate *d = arg;

	return issue_csr_wish(
		csr, key, &(struct csr_wish){ .subject = d->subject, .common_name = d->device_id, .use = CSR_USE_CLIENT }, err);
}

static bool
is_for_device(const struct device_certificate *d, const struct cert *cert)
{
	return text_is(cert_common_name(cert), d->device_id);
}

static int
judge(void *arg, const struct certs *chain, const struct key *key, struct err *err)
{
	const struct device_certificate *d = arg;
	const struct cert *cert = chain->item[0];

	(void)key;
	if (!is_for_device(d, cert))
		return err_set(err, ERR_BROKEN, "what was issued for the device %s is for %s", d->device_id, cert_subject(cert));
	return cert_may_client(cert)
		       ? 0
		       : err_set(err, ERR_BROKEN, "what was issued for the device %s may not be used by a client", d->device_id);
}

/* Where it is known by its thumbprint somebody has to enter the new one. */
static int
test(void *arg, const struct certs *chain, const struct key *key, struct err *err)
{
	const struct device_certificate *d = arg;
	char fingerprint[CERT_FINGERPRINT_LEN];

	if (!d->test || d->test(d->arg, chain, key, err) == 0)
		return 0;
	return err_wrap(err, "the next certificate of this device (SHA-256 %s) %s", cert_fingerprint(chain->item[0], fingerprint),
		err->kind == ERR_UNAVAILABLE ? "could not be tried yet" : "is not taken yet");
}

static struct succession
succession_of(struct device_certificate *d)
{
	return (struct succession){
		.id = ID,
		.key_kinds = KEY_KINDS,
		.keyd = d->keyd,
		.certd = d->certd,
		.rotate_key = d->policy.rotate_key,
		.in_use = &d->in_use,
		.request = request,
		.judge = judge,
		.test = test,
		.arg = d,
	};
}

/* -- Looking and renewing --------------------------------------------------------------------------------------------------------------- */

static int
load_given(const struct device_certificate *d, struct certs *chain, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	if (certd_client_get(d->certd, ID, &pem, err) < 0)
		return -1;
	return certs_parse(chain, buf_text(&pem), pem.len, CHAIN_MAX, err);
}

static int
look_at_given(void *arg, struct renewal_found *out, struct err *err)
{
	CLEAR(certs) chain = { 0 };

	if (load_given(arg, &chain, err) < 0)
		return -1;
	out->current = (struct renewal_life){ cert_not_before(chain.item[0]), cert_not_after(chain.item[0]) };
	memcpy(out->sha256, cert_sha256(chain.item[0]), sizeof(out->sha256));
	return 0;
}

/* One for another device than is configured now is as good as none. */
static int
look(void *arg, struct renewal_found *out, struct err *err)
{
	struct device_certificate *d = arg;
	const struct succession s = succession_of(d);
	struct succession_pair pair = { 0 };
	int status = succession_look(&s, out, err);

	if (status == 0)
		status = succession_load(&s, &pair, err);
	if (status == 0 && !is_for_device(d, pair.chain.item[0]))
		status = err_set(err, ERR_MISSING, "the device's certificate is for %s", cert_subject(pair.chain.item[0]));
	succession_pair_clear(&pair);
	return status;
}

static int
act(void *arg, enum renewal_step step, struct err *err)
{
	const struct succession s = succession_of(arg);

	return succession_act(&s, step, err);
}

/* -- The rest of identityd -------------------------------------------------------------------------------------------------------------- */

int
device_certificate_open(struct device_certificate *d, const char *dir, const json_t *auto_renew, struct err *err)
{
	OWN_TEXT path = file_join(dir, "renewals.json");
	struct renewal_target target = { .id = (char *)(uintptr_t)ID, .look = look_at_given, .arg = d };

	d->policy = (struct renewal_policy)RENEWAL_POLICY_DEFAULT;
	if (renewal_policy_take(&d->policy, auto_renew, err) < 0)
		return err_wrap(err, "auto_renew of the device's certificate");
	succession_lock_init(&d->in_use);
	d->renewals = renewals_new(path);
	target.policy = d->policy;
	if (d->is_issued) {
		target.look = look;
		target.act = act;
	}
	renewals_add(d->renewals, &target);
	return 0;
}

int
device_certificate_start(struct device_certificate *d, struct err *err)
{
	const struct succession s = succession_of(d);
	struct err why = ERR_INIT;

	if (!d->renewals)
		return 0;
	if (d->is_issued && succession_settle(&s, &why) < 0)
		log_warn("what a renewal of the device's certificate left unfinished: %s", why.text);
	return renewals_start(d->renewals, err);
}

void
device_certificate_stop(struct device_certificate *d)
{
	renewals_stop(d->renewals);
}

void
device_certificate_clear(struct device_certificate *d)
{
	X509_NAME_free(d->subject);
	d->subject = NULL;
	if (!d->renewals)
		return;
	renewals_free(d->renewals);
	pthread_rwlock_destroy(&d->in_use);
	d->renewals = NULL;
}

int
device_certificate_ensure(struct device_certificate *d, struct err *err)
{
	if (!d->is_issued)
		return 0;
	return renewals_ensure(d->renewals, ID, err) < 0 ? err_wrap(err, "the device's certificate") : 0;
}

static int
load_issued(struct device_certificate *d, struct certs *chain, struct key **key, struct err *err)
{
	const struct succession s = succession_of(d);
	struct succession_pair pair = { 0 };
	int status;

	pthread_rwlock_rdlock(&d->in_use);
	status = succession_load(&s, &pair, err);
	pthread_rwlock_unlock(&d->in_use);
	if (status == 0) {
		*chain = pair.chain;
		*key = GIVE(pair.key);
		pair.chain = (struct certs){ 0 };
	}
	succession_pair_clear(&pair);
	return status;
}

int
device_certificate_load(struct device_certificate *d, struct certs *chain, struct key **key, struct err *err)
{
	if (d->is_issued)
		return load_issued(d, chain, key, err);
	if (load_given(d, chain, err) < 0)
		return err_wrap(err, "the device identity certificate");
	*key = keyd_client_load_pair(d->keyd, ID, err);
	return *key ? 0 : err_wrap(err, "the device identity key");
}

json_t *
device_certificate_renewals(struct device_certificate *d)
{
	return d->renewals ? renewals_json(d->renewals) : json_pack("{s:i, s:[]}", "version", 1, "renewals");
}
