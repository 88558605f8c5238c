/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates that provisioning issues (credential.h): what stands in requests and answers, and whom the issued one lets in. */
#include "hub/provisioning/credential.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/json.h"

#define CSR_TEXT_MAX 16384 /* an RSA 4096 one with many names has 3000 */
#define CHAIN_TEXT_MAX (256 * 1024)

void
credential_clear(struct credential *wish)
{
	csr_free(wish->csr);
	*wish = (struct credential){ 0 };
}

/* -- What the device asks for ----------------------------------------------------------------------------------------------------- */

static struct csr *
read_base64(const char *text, size_t len, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(CSR_TEXT_MAX);

	if (!base64_decode(&der, text, len, BASE64_LAX))
		return err_null(err, ERR_INVALID, "csr is not the base64 of a PKCS #10 request in DER");
	return csr_from_der(der.data, der.len, err);
}

static int
read_text(struct credential *out, const char *text, struct err *err)
{
	size_t len = strlen(text);
	bool is_pem = strstr(text, "-----BEGIN") != NULL;

	if (len > CSR_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "the certificate signing request has more than %d characters", CSR_TEXT_MAX);
	if (is_pem && !out->is_pem)
		return err_set(err, ERR_INVALID, "csr is PEM; it has to be the base64 between its lines alone");
	out->csr = is_pem ? csr_parse(text, len, err) : read_base64(text, len, err);
	return out->csr ? 0 : -1;
}

int
credential_read(struct credential *out, const json_t *body, struct err *err)
{
	const char *now = NULL, *before = NULL;

	*out = (struct credential){ 0 };
	if (json_find_text(body, "csr", &now, err) < 0 || json_find_text(body, "clientCertificateCsr", &before, err) < 0)
		return -1;
	if (now && before)
		return err_set(err, ERR_INVALID, "csr and clientCertificateCsr are the same wish: send one of them");
	if (!now && !before)
		return 0;
	out->is_pem = before != NULL;
	return read_text(out, now ? now : before, err);
}

/* -- Issuing ---------------------------------------------------------------------------------------------------------------------- */

/* NULL: *v says why. */
static const struct ca_profile *
find_policy(const struct issuing *issuing, const struct enrollment *e, struct verdict *v)
{
	const char *name = json_string_value(json_object_get(e->wishes, "credentialPolicyName"));
	const struct ca_profile *policy = issuing && name ? issuing_policy(issuing, name) : NULL;

	if (!issuing)
		verdict_fail(v, CA_ABSENT, "issuing CA", NULL, "one", "none");
	else if (!policy)
		verdict_fail(v, CREDENTIAL_POLICY_UNKNOWN, "credential policy", e->id, "one of this hub", name ? name : "none");
	return policy;
}

static char *
thumbprint_of(const struct cert *cert)
{
	struct buf hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

bool
credential_issue(const struct issuing *issuing, const struct enrollment *e, const char *registration_id,
	const struct credential *wish, struct registration *r, struct verdict *v, struct err *err)
{
	const struct ca_profile *policy;
	struct ca_request request = { .csr = wish->csr, .requester.id = registration_id, .once = true };
	OWN(ca_entry) issued = NULL;
	OWN_TEXT line = NULL;

	mem_free(r->issued);
	r->issued = NULL;
	r->issued_pem = wish->is_pem;
	if (!wish->csr)
		return true;
	policy = find_policy(issuing, e, v);
	if (!policy)
		return false;
	request.profile = policy;
	issued = ca_issue(&issuing->desk, &request, clock_wall(), v, err);
	if (!issued)
		return false;
	line = cert_line(issued->cert);
	verdict_add_chain(v, line);
	r->issued = thumbprint_of(issued->cert);
	return true;
}

/* -- The device ------------------------------------------------------------------------------------------------------------------- */

static void
set_slot(struct identity *device, int i, const char *thumbprint)
{
	char *copy = mem_text(thumbprint);

	mem_free(device->thumbprints[i]);
	device->thumbprints[i] = copy;
}

void
credential_trust(struct identity *device, const char *thumbprint)
{
	device->auth = IDENTITY_AUTH_THUMBPRINT;
	set_slot(device, 0, thumbprint);
}

struct identity *
credential_beside(const struct identity *wanted, const struct identity *there)
{
	struct identity *both = identity_copy(wanted);

	if (wanted->auth == IDENTITY_AUTH_THUMBPRINT && !wanted->thumbprints[1] && there->auth == IDENTITY_AUTH_THUMBPRINT)
		set_slot(both, 1, there->thumbprints[text_is(there->thumbprints[0], wanted->thumbprints[0]) ? 1 : 0]);
	return both;
}

/* -- What the device is told ------------------------------------------------------------------------------------------------------ */

static void
add_base64(json_t *list, const struct cert *cert)
{
	CLEAR(buf) der = BUF_INIT(CHAIN_TEXT_MAX);
	CLEAR(buf) text = BUF_INIT(2 * CHAIN_TEXT_MAX);

	cert_put_der(cert, &der);
	base64_encode(&text, der.data, der.len);
	json_array_append_new(list, json_string(buf_text(&text)));
}

json_t *
credential_chain_json(const struct ca_entry *r)
{
	json_t *list = json_array();

	add_base64(list, r->cert);
	for (size_t i = 0; i < r->chain.n; i++)
		add_base64(list, r->chain.item[i]);
	return list;
}

static json_t *
pem_json(const struct ca_entry *r)
{
	CLEAR(buf) pem = BUF_INIT(CHAIN_TEXT_MAX);

	cert_put_pem(r->cert, &pem);
	certs_put_pem(&r->chain, &pem);
	return json_string(buf_text(&pem));
}

int
credential_tell(const struct issuing *issuing, const struct registration *r, json_t *state, struct err *err)
{
	OWN(ca_entry) found = NULL;

	if (!r->assigned || !r->issued || !issuing)
		return 0;
	if (ca_journal_find(issuing->journal, CA_BY_FINGERPRINT, r->issued, &found, err) < 0)
		return -1;
	if (!found)
		return err_set(err, ERR_BROKEN, "the journal has no certificate %s, which %s was issued", r->issued, r->id);
	json_object_set_new(state, "issuedCertificateChain", credential_chain_json(found));
	if (r->issued_pem)
		json_object_set_new(state, "issuedClientCertificate", pem_json(found));
	return 0;
}
