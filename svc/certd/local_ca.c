/* SPDX-License-Identifier: Apache-2.0 */
/* Its key and the first certificate of its file. */
#include "certd/local_ca.h"

#include <string.h>

#include "pki/cert.h"
#include "pki/subject.h"
#include "wire/json.h"

#define KEY_KINDS "ec-p256:rsa-2048:*"
#define PEM_MAX (1024 * 1024)
#define CHAIN_MAX 64

static int
look(void *arg, struct renewal_found *out, struct err *err)
{
	const struct issuance *i = arg;
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	CLEAR(certs) chain = { 0 };

	if (cert_store_load(i->store, LOCAL_CA_ID, &pem, err) < 0 ||
		certs_parse(&chain, buf_text(&pem), pem.len, CHAIN_MAX, err) < 0)
		return -1;
	out->current = (struct renewal_life){ cert_not_before(chain.item[0]), cert_not_after(chain.item[0]) };
	memcpy(out->sha256, cert_sha256(chain.item[0]), sizeof(out->sha256));
	return 0;
}

static int
request(struct buf *csr, const struct issuance *i, struct err *err)
{
	const json_t *config = json_object_get(i->config, LOCAL_CA_ID), *table = json_object_get(config, "subject");
	OWN(key) key = keyd_client_create_pair(i->keyd, LOCAL_CA_ID, KEY_KINDS, err);
	struct csr_wish wish = { .common_name = json_string_value(json_object_get(config, "common_name")), .use = CSR_USE_CA };
	int status;

	if (!key || (table && !(wish.subject = subject_from_json(table, err))))
		return -1;
	status = issue_csr_wish(csr, key, &wish, err);
	X509_NAME_free(wish.subject);
	return status;
}

/* With the key that it has. */
static int
make(const struct issuance *i, struct err *err)
{
	CLEAR(buf) csr = BUF_INIT(65536);
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	if (request(&csr, i, err) < 0)
		return -1;
	return issuance_create(i, &(struct issuance_request){ .id = LOCAL_CA_ID, .csr = buf_text(&csr) }, &pem, err);
}

static int
act(void *arg, enum renewal_step step, struct err *err)
{
	(void)step;
	return make(arg, err);
}

int
local_ca_ensure(const struct issuance *i, struct err *err)
{
	struct renewal_found found;
	int status = 0;

	if (!json_object_get(i->config, LOCAL_CA_ID))
		return 0;
	if (look((void *)(uintptr_t)i, &found, err) == 0)
		status = renewals_ensure(i->renewals, LOCAL_CA_ID, err);
	else if (err->kind == ERR_MISSING)
		status = make(i, err);
	else
		status = -1;
	if (status == 0) {
		*err = (struct err)ERR_INIT;
		return 0;
	}
	err->kind = ERR_BROKEN;
	return err_wrap(err, "the local CA");
}

int
local_ca_watch(const struct issuance *i, struct renewals *renewals, struct err *err)
{
	const json_t *config = json_object_get(i->config, LOCAL_CA_ID);
	struct renewal_target target = { .id = (char *)(uintptr_t)LOCAL_CA_ID,
		.policy = RENEWAL_POLICY_DEFAULT,
		.look = look,
		.act = config ? act : NULL,
		.waits_to_be_asked = true,
		.arg = (void *)(uintptr_t)i };

	if (config && renewal_policy_take(&target.policy, json_object_get(config, "auto_renew"), err) < 0)
		return err_wrap(err, "auto_renew of the local CA");
	renewals_add(renewals, &target);
	return 0;
}
