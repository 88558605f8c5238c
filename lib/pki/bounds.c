/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what may be there (bounds.h): what is not known is more. */
#include "pki/bounds.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* One RDN with one entry. */
static bool
is_common_name(const X509_NAME *name)
{
	return X509_NAME_entry_count(name) == 1 && X509_NAME_get_index_by_NID(name, NID_commonName, -1) == 0;
}

/* -- Extensions --------------------------------------------------------------------------------------------------------------------- */

enum uses { USES_ABSENT, USES_WITHIN, USES_BEYOND };

static enum uses
uses_of(const STACK_OF(X509_EXTENSION) * extensions, enum issue_kind kind)
{
	int why = -1;
	EXTENDED_KEY_USAGE *found = X509V3_get_d2i(extensions, NID_ext_key_usage, &why, NULL);
	enum uses uses = found ? USES_WITHIN : why == -1 ? USES_ABSENT : USES_BEYOND;

	for (int i = 0; i < sk_ASN1_OBJECT_num(found); i++)
		if (!issue_gives_use(kind, OBJ_obj2nid(sk_ASN1_OBJECT_value(found, i))))
			uses = USES_BEYOND;
	EXTENDED_KEY_USAGE_free(found);
	ERR_clear_error();
	return uses;
}

static bool
is_known(int nid)
{
	return nid == NID_subject_alt_name || nid == NID_key_usage || nid == NID_basic_constraints || nid == NID_ext_key_usage;
}

/* Each of them once: of two, another reader may take the other one. */
static bool
are_known(const STACK_OF(X509_EXTENSION) * extensions)
{
	for (int i = 0; i < sk_X509_EXTENSION_num(extensions); i++) {
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(sk_X509_EXTENSION_value(extensions, i)));

		if (!is_known(nid) || X509v3_get_ext_by_NID(extensions, nid, i) >= 0)
			return false;
	}
	return true;
}

/* -- A request -------------------------------------------------------------------------------------------------------------------------- */

/* Extensions in one place only, for the same reason; Microsoft's attribute would be a second one. */
static bool
has_known_attributes(const X509_REQ *req)
{
	int n_extensions = 0;

	for (int i = 0; i < X509_REQ_get_attr_count(req); i++) {
		X509_ATTRIBUTE *attribute = X509_REQ_get_attr(req, i);
		int nid = OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute));

		if (nid == NID_ext_req && X509_ATTRIBUTE_count(attribute) == 1)
			n_extensions++;
		else if (nid != NID_pkcs9_challengePassword)
			return false;
	}
	return n_extensions <= 1;
}

static const char *
excess_of(X509_REQ *req, enum issue_kind kind)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(req);
	bool is_unread = !extensions && X509_REQ_get_attr_by_NID(req, NID_ext_req, -1) >= 0;
	const char *excess = NULL;

	if (!is_common_name(X509_REQ_get_subject_name(req)))
		excess = "a subject with more";
	else if (!has_known_attributes(req))
		excess = "an attribute more";
	else if (is_unread || !are_known(extensions))
		excess = "an extension more";
	else if (uses_of(extensions, kind) == USES_BEYOND)
		excess = "an extended use more";
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	ERR_clear_error();
	return excess;
}

void
bounds_judge_request(struct verdict *v, const struct csr *csr, enum issue_kind kind)
{
	static const char wanted[] = "a CN, and what the profile gives";
	CLEAR(buf) der = BUF_INIT(65536);
	const uint8_t *at;
	const char *excess;
	X509_REQ *req;

	csr_put_der(csr, &der); /* what goes on, and not what was read of it */
	at = der.data;
	req = der.failed ? NULL : d2i_X509_REQ(NULL, &at, (long)der.len);
	excess = req ? excess_of(req, kind) : "what can't be read";
	if (excess)
		verdict_fail(v, CSR_ASKS_MORE, "bounds of the request", csr_common_name(csr), wanted, excess);
	else
		verdict_pass(v, "bounds of the request", csr_common_name(csr), wanted, "no more");
	X509_REQ_free(req);
}

/* -- A certificate -------------------------------------------------------------------------------------------------------------------- */

void
bounds_judge_cert(struct verdict *v, const struct cert *cert, enum issue_kind kind)
{
	const char *subject = cert_subject(cert);
	enum uses uses = uses_of(X509_get0_extensions(cert_x509(cert)), kind);

	if (is_common_name(X509_get_subject_name(cert_x509(cert))))
		verdict_pass(v, "subject", subject, "a CN alone", "the same");
	else
		verdict_fail(v, CERT_MORE_NAMES, "subject", subject, "a CN alone", subject);
	if (uses == USES_WITHIN || (uses == USES_ABSENT && cert_is_ca(cert)))
		verdict_pass(v, "extended uses", subject, "the profile's", "no more");
	else
		verdict_fail(v, CERT_MORE_USES, "extended uses", subject, "the profile's", uses == USES_ABSENT ? "all" : "more");
}
