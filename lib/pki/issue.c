/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and CSRs being made.  What goes into a certificate follows from its kind by a table; nothing is copied from a CSR but the public key. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/random.h"
#include "base/rd.h"
#include "base/text.h"
#include "pki/issue.h"
#include "pki/issue_inside.h"
#include "wire/pem.h"
#include "wire/uri.h"

#define SERIAL_LEN 16

struct kind_row {
	bool is_ca;
	const char *key_usage, *extended_key_usage;
};

static const struct kind_row kinds[] = {
	[ISSUE_ROOT] = { true, "critical,keyCertSign,cRLSign", NULL },
	[ISSUE_INTERMEDIATE] = { true, "critical,keyCertSign,cRLSign", NULL },
	[ISSUE_EDGE_CA] = { true, "critical,digitalSignature,keyCertSign", NULL },
	[ISSUE_SERVER] = { false, "critical,digitalSignature,keyEncipherment", "serverAuth" },
	[ISSUE_DEVICE] = { false, "critical,digitalSignature", "clientAuth" },
	[ISSUE_MODULE_IDENTITY] = { false, "critical,digitalSignature", "clientAuth" },
};

bool
issue_gives_use(enum issue_kind kind, int nid)
{
	const struct kind_row *row = &kinds[kind];

	if (row->is_ca)
		return nid == NID_server_auth || nid == NID_client_auth;
	return nid != NID_undef && nid == OBJ_sn2nid(row->extended_key_usage);
}

static int
ssl_failure(struct err *err, const char *what)
{
	char why[120] = "";

	ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
	if (key_remote_failure(err))
		return err_wrap(err, "%s failed", what);
	ERR_clear_error();
	return err_set(err, ERR_BROKEN, "%s failed: %s", what, why);
}

static X509_NAME *
subject_of(const char *common_name, struct err *err)
{
	size_t len = common_name ? strlen(common_name) : 0;
	X509_NAME *name;

	if (len > 0 && (text_has_control(common_name, len) || !text_is_utf8(common_name, len)))
		return err_null(err, ERR_INVALID, "a common name with control characters, or not in UTF-8"); /* not to be shown */
	if (len == 0 || len > ISSUE_COMMON_NAME_MAX)
		return err_null(err, ERR_INVALID, "a common name has 1 to %d characters, and '%.80s' is none",
			ISSUE_COMMON_NAME_MAX, len > 0 ? common_name : "");
	name = X509_NAME_new();
	X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)common_name, -1, -1, 0);
	return name;
}

/* Letters, digits and "_" (module ids have them), hyphens inside; 1 to 63 of them. */
static bool
is_label(struct slice label)
{
	if (label.len == 0 || label.len > 63 || label.text[0] == '-' || label.text[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		char c = label.text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

static bool
is_dns_name(const char *text)
{
	struct slice rest = slice_of(text), label;
	bool more = true;

	if (rest.len > 253)
		return false;
	while (more) {
		more = slice_cut(&rest, '.', &label);
		if (!is_label(label))
			return false;
	}
	return true;
}

bool
issue_is_host(const char *text)
{
	return uri_is_ip(text) || is_dns_name(text);
}

int
issue_check_server_name(const char *text, struct err *err)
{
	if (uri_is_ip(text))
		return 0;
	if (*text && !text[strspn(text, "0123456789.")])
		return err_set(err, ERR_INVALID,
			"'%.100s' is no IPv4 address, and what has digits and dots only is no DNS name (RFC 1123 2.1)", text);
	if (!is_dns_name(text))
		return err_set(err, ERR_INVALID, "'%.100s' is neither a DNS name nor an IP address", text);
	return 0;
}

static bool
is_uri(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return strchr(text, ':') != NULL && len <= 2048;
}

static GENERAL_NAME *
general_name(const char *text, struct err *err)
{
	bool uri = text_starts(text, "URI:");
	const char *value = uri ? text + 4 : text;
	GENERAL_NAME *name;
	ASN1_IA5STRING *ia5;

	if (uri ? !is_uri(value) : !issue_is_host(value))
		return err_null(err, ERR_INVALID, "'%.100s' is neither a DNS name nor an IP address nor \"URI:\" and a URI", text);
	name = GENERAL_NAME_new();
	if (!uri && uri_is_ip(value)) {
		GENERAL_NAME_set0_value(name, GEN_IPADD, a2i_IPADDRESS(value));
		return name;
	}
	ia5 = ASN1_IA5STRING_new();
	ASN1_STRING_set(ia5, value, -1);
	GENERAL_NAME_set0_value(name, uri ? GEN_URI : GEN_DNS, ia5);
	return name;
}

static GENERAL_NAMES *
general_names(const char *const *names, size_t n, struct err *err)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();

	for (size_t i = 0; i < n; i++) {
		GENERAL_NAME *name = general_name(names[i], err);

		if (!name) {
			GENERAL_NAMES_free(list);
			return NULL;
		}
		sk_GENERAL_NAME_push(list, name);
	}
	return list;
}

static int
add_text_extension(X509 *x509, X509 *issuer, int nid, const char *value, struct err *err)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!extension)
		return ssl_failure(err, OBJ_nid2ln(nid));
	ok = X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
	return ok ? 0 : ssl_failure(err, OBJ_nid2ln(nid));
}

static int
add_names(X509 *x509, const struct profile *profile, struct err *err)
{
	GENERAL_NAMES *names;
	int ok;

	if (profile->n_names == 0)
		return 0;
	names = general_names(profile->names, profile->n_names, err);
	if (!names)
		return -1;
	ok = X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
	GENERAL_NAMES_free(names);
	return ok == 1 ? 0 : ssl_failure(err, "subjectAltName");
}

/* RFC 5280 4.2.1.9: each CA below one with a path length has a smaller one, or it would promise what no verifier grants.  above: the issuer's, -1: any number. */
static void
put_constraints(struct buf *out, const struct profile *profile, long above)
{
	int below = above > 0 && (profile->path_len < 0 || profile->path_len >= above) ? (int)above - 1 : profile->path_len;

	buf_puts(out, kinds[profile->kind].is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (kinds[profile->kind].is_ca && below >= 0)
		buf_putf(out, ",pathlen:%d", below);
}

static int
add_url(X509 *x509, X509 *issuer, int nid, const char *before, const char *url, struct err *err)
{
	OWN_TEXT value = url ? mem_textf("%s%s", before, url) : NULL;

	return value ? add_text_extension(x509, issuer, nid, value, err) : 0;
}

static int
add_extensions(X509 *x509, const struct profile *profile, X509 *issuer, struct err *err)
{
	const struct kind_row *kind = &kinds[profile->kind];
	CLEAR(buf) constraints = BUF_INIT(64);

	put_constraints(&constraints, profile, issuer == x509 ? -1 : X509_get_pathlen(issuer));
	if (add_text_extension(x509, issuer, NID_basic_constraints, buf_text(&constraints), err) < 0 ||
		add_text_extension(x509, issuer, NID_key_usage, kind->key_usage, err) < 0)
		return -1;
	if (kind->extended_key_usage && add_text_extension(x509, issuer, NID_ext_key_usage, kind->extended_key_usage, err) < 0)
		return -1;
	if (add_names(x509, profile, err) < 0 || add_text_extension(x509, issuer, NID_subject_key_identifier, "hash", err) < 0)
		return -1;
	if (add_url(x509, issuer, NID_crl_distribution_points, "URI:", profile->crl_url, err) < 0 ||
		add_url(x509, issuer, NID_info_access, "OCSP;URI:", profile->ocsp_url, err) < 0)
		return -1;
	if (issuer == x509 || !X509_get0_subject_key_id(issuer))
		return 0; /* nothing to point at: an authorityKeyIdentifier without an id would be worse than none */
	return add_text_extension(x509, issuer, NID_authority_key_identifier, "keyid", err);
}

/* A URI may have what means something in a configuration. */
static void
put_value(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (strchr("\\$#\"'", *value))
			buf_putc(out, '\\');
		buf_putc(out, *value);
	}
	buf_putc(out, '\n');
}

void
issue_put_names(struct buf *out, const struct profile *profile)
{
	if (profile->n_names > 0)
		buf_puts(out, "subjectAltName = @names\n[names]\n");
	for (size_t i = 0; i < profile->n_names; i++) {
		const char *name = profile->names[i];
		bool uri = text_starts(name, "URI:");

		buf_putf(out, "%s.%zu = ", uri ? "URI" : uri_is_ip(name) ? "IP" : "DNS", i);
		put_value(out, uri ? name + 4 : name);
	}
}

void
issue_put_extensions(struct buf *out, const struct profile *profile, const struct cert *issuer)
{
	const struct kind_row *kind = &kinds[profile->kind];

	buf_puts(out, "basicConstraints = ");
	put_constraints(out, profile, issuer ? cert_path_len(issuer) : -1);
	buf_putf(out, "\nkeyUsage = %s\n", kind->key_usage);
	if (kind->extended_key_usage)
		buf_putf(out, "extendedKeyUsage = %s\n", kind->extended_key_usage);
	buf_puts(out, "subjectKeyIdentifier = hash\n");
	buf_puts(out, issuer && X509_get0_subject_key_id(cert_x509(issuer)) ? "authorityKeyIdentifier = keyid\n"
									    : "authorityKeyIdentifier = none\n");
	issue_put_names(out, profile);
}

void
issue_set_serial(X509 *x509)
{
	uint8_t bytes[SERIAL_LEN];
	BIGNUM *number;

	random_bytes(bytes, sizeof(bytes));
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and always of full length */
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
	BN_free(number);
}

/* X509_set_pubkey of OpenSSL 3.0 encodes the key by its encoders and decodes that again, which costs more than ten signatures.  The fields of an EC key are two, its curve and its point: false when
 * it is another kind.  What it is put into has no decoded key then, and only gives its bytes. */
static bool
put_ec_key(X509_PUBKEY *to, EVP_PKEY *pkey)
{
	char curve[64];
	uint8_t *point = NULL;
	size_t len = 0;

	if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) == 1)
		len = EVP_PKEY_get1_encoded_public_key(pkey, &point);
	if (len > 0 && X509_PUBKEY_set0_param(to, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
			       OBJ_nid2obj(OBJ_txt2nid(curve)), point, (int)len) == 1)
		return true;
	OPENSSL_free(point);
	return false;
}

/* bytes_only: nobody is going to ask the certificate for its key. */
static int
fill(X509 *x509, const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, bool bytes_only,
	struct err *err)
{
	X509 *issuer_x509 = issuer->cert ? cert_x509(issuer->cert) : x509;
	int64_t not_after = profile->not_after;
	X509_NAME *subject = profile->subject ? X509_NAME_dup(profile->subject) : subject_of(profile->common_name, err);

	if (!subject)
		return -1;
	if (issuer->cert && not_after > cert_not_after(issuer->cert))
		not_after = cert_not_after(issuer->cert);
	X509_set_version(x509, X509_VERSION_3);
	issue_set_serial(x509);
	X509_set_subject_name(x509, subject);
	X509_set_issuer_name(x509, issuer->cert ? X509_get_subject_name(issuer_x509) : subject);
	X509_NAME_free(subject);
	if (!ASN1_TIME_set(X509_getm_notBefore(x509), (time_t)profile->not_before) ||
		!ASN1_TIME_set(X509_getm_notAfter(x509), (time_t)not_after))
		return err_set(err, ERR_INVALID, "a date that a certificate can't hold");
	if (not_after <= profile->not_before)
		return err_set(err, ERR_INVALID, "the certificate would end before it begins%s",
			issuer->cert ? " (its issuer ends too early)" : "");
	if (!bytes_only || !put_ec_key(X509_get_X509_PUBKEY(x509), subject_public))
		X509_set_pubkey(x509, subject_public);
	return add_extensions(x509, profile, issuer_x509, err);
}

const EVP_MD *
issue_digest(const EVP_PKEY *signer)
{
	if (EVP_PKEY_is_a(signer, "ED25519"))
		return NULL;
	return EVP_PKEY_is_a(signer, "EC") && EVP_PKEY_get_bits(signer) >= 384 ? EVP_sha384() : EVP_sha256();
}

static int
check_issuer(const struct profile *profile, const struct issuer *issuer, struct err *err)
{
	if (!issuer->cert)
		return 0;
	if (!cert_is_ca(issuer->cert) || !(X509_get_key_usage(cert_x509(issuer->cert)) & KU_KEY_CERT_SIGN))
		return err_set(
			err, ERR_INVALID, "%s is no CA: it needs CA:TRUE and keyCertSign to issue", cert_subject(issuer->cert));
	if (kinds[profile->kind].is_ca && X509_get_pathlen(cert_x509(issuer->cert)) == 0)
		return err_set(err, ERR_INVALID, "%s may issue no CA: its path length is 0", cert_subject(issuer->cert));
	if (!cert_matches_key(issuer->cert, issuer->key))
		return err_set(err, ERR_INVALID, "the key does not belong to the CA certificate %s", cert_subject(issuer->cert));
	return 0;
}

static X509 *
issue(const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, bool bytes_only, struct err *err)
{
	EVP_PKEY *signer = key_pkey(issuer->key);
	X509 *x509;
	int status;

	if (check_issuer(profile, issuer, err) < 0)
		return NULL;
	x509 = X509_new();
	status = fill(x509, profile, subject_public, issuer, bytes_only, err);
	if (status == 0 && X509_sign(x509, signer, issue_digest(signer)) <= 0)
		status = ssl_failure(err, "signing a certificate");
	if (status == 0)
		return x509;
	X509_free(x509);
	return NULL;
}

static struct cert *
cert_of(X509 *x509_take)
{
	struct cert *cert = x509_take ? cert_from_x509(x509_take) : NULL;

	X509_free(x509_take);
	return cert;
}

struct cert *
issue_cert(const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, struct err *err)
{
	return cert_of(issue(profile, subject_public, issuer, false, err));
}

struct cert *
issue_cert_bytes(const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, struct err *err)
{
	return cert_of(issue(profile, subject_public, issuer, true, err));
}

int
issue_pem(const struct profile *profile, EVP_PKEY *subject_public, const struct issuer *issuer, struct buf *out, struct err *err)
{
	X509 *x509 = issue(profile, subject_public, issuer, true, err);
	uint8_t *der = NULL;
	int len = x509 ? i2d_X509(x509, &der) : 0;

	X509_free(x509);
	if (len <= 0)
		return -1;
	pem_put(out, "CERTIFICATE", der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

/* What a CA is asked to put into the certificate beside the names (edge-services 8.4). */
static const struct use_row {
	const char *key_usage, *constraints, *extended_key_usage;
} uses[] = {
	[CSR_USE_ANY] = { NULL, NULL, NULL },
	[CSR_USE_CA] = { "critical,keyCertSign,cRLSign", "critical,CA:TRUE", NULL },
	[CSR_USE_EDGE_CA] = { "critical,digitalSignature,keyCertSign", "critical,CA:TRUE,pathlen:0", NULL },
	[CSR_USE_CLIENT] = { NULL, NULL, "clientAuth" },
};

static bool
add_wish(STACK_OF(X509_EXTENSION) * list, int nid, const char *value)
{
	X509_EXTENSION *extension = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	if (!value)
		return true;
	if (extension && sk_X509_EXTENSION_push(list, extension) > 0)
		return true;
	X509_EXTENSION_free(extension);
	return false;
}

static bool
add_wished_names(STACK_OF(X509_EXTENSION) * *list, const struct csr_wish *wish, struct err *err)
{
	GENERAL_NAMES *names = wish->n_names > 0 ? general_names(wish->names, wish->n_names, err) : NULL;
	bool ok = wish->n_names == 0 || (names && X509V3_add1_i2d(list, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) == 1);

	GENERAL_NAMES_free(names);
	return ok;
}

/* RFC 7030 4.2.2: what is renewed keeps its names as they are, byte for byte. */
static bool
add_names_of(STACK_OF(X509_EXTENSION) * list, const struct cert *cert)
{
	int at = cert ? X509_get_ext_by_NID(cert_x509(cert), NID_subject_alt_name, -1) : -1;
	X509_EXTENSION *names = at < 0 ? NULL : X509_EXTENSION_dup(X509_get_ext(cert_x509(cert), at));

	if (at < 0 || (names && sk_X509_EXTENSION_push(list, names) > 0))
		return true;
	X509_EXTENSION_free(names);
	return false;
}

static int
add_challenge(X509_REQ *req, const char *challenge, struct err *err)
{
	if (!challenge ||
		X509_REQ_add1_attr_by_NID(req, NID_pkcs9_challengePassword, MBSTRING_ASC, (const uint8_t *)challenge, -1) == 1)
		return 0;
	return ssl_failure(err, "the challenge of a CSR");
}

static int
add_wishes(X509_REQ *req, const struct csr_wish *wish, struct err *err)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	const struct use_row *use = &uses[wish->use];
	bool ok = list && add_wish(list, NID_key_usage, use->key_usage) &&
		  add_wish(list, NID_basic_constraints, use->constraints) &&
		  add_wish(list, NID_ext_key_usage, use->extended_key_usage) && add_names_of(list, wish->as) &&
		  add_wished_names(&list, wish, err);

	if (ok && sk_X509_EXTENSION_num(list) > 0)
		ok = X509_REQ_add_extensions(req, list) == 1;
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	if (ok)
		return 0;
	return err->kind == ERR_NONE ? ssl_failure(err, "the extensions of a CSR") : -1;
}

static const EVP_MD *
digest_wished(const EVP_PKEY *signer, int bits)
{
	if (bits == 0 || EVP_PKEY_is_a(signer, "ED25519"))
		return issue_digest(signer);
	return bits >= 512 ? EVP_sha512() : bits >= 384 ? EVP_sha384() : EVP_sha256();
}

static int
set_subject(X509_REQ *req, const struct csr_wish *wish, struct err *err)
{
	X509_NAME *given = wish->as ? X509_get_subject_name(cert_x509(wish->as)) : wish->subject;
	X509_NAME *made = given ? NULL : subject_of(wish->common_name, err);
	bool ok = (given || made) && X509_REQ_set_subject_name(req, given ? given : made) == 1;

	X509_NAME_free(made);
	if (ok)
		return 0;
	return err->kind == ERR_NONE ? ssl_failure(err, "the subject of a CSR") : -1;
}

int
issue_csr_wish(struct buf *out, const struct key *key, const struct csr_wish *wish, struct err *err)
{
	X509_REQ *req = X509_REQ_new();
	uint8_t *der = NULL;
	int status, len;

	X509_REQ_set_version(req, X509_REQ_VERSION_1);
	if (!put_ec_key(X509_REQ_get_X509_PUBKEY(req), key_pkey(key)))
		X509_REQ_set_pubkey(req, key_pkey(key));
	status = set_subject(req, wish, err);
	if (status == 0)
		status = add_wishes(req, wish, err);
	if (status == 0)
		status = add_challenge(req, wish->challenge, err);
	if (status == 0 && X509_REQ_sign(req, key_pkey(key), digest_wished(key_pkey(key), wish->digest_bits)) <= 0)
		status = ssl_failure(err, "signing a CSR");
	len = status == 0 ? i2d_X509_REQ(req, &der) : 0;
	if (len > 0)
		pem_put(out, "CERTIFICATE REQUEST", der, (size_t)len);
	OPENSSL_free(der);
	X509_REQ_free(req);
	return status;
}

int
issue_csr(
	struct buf *out, const struct key *key, const char *common_name, const char *const *names, size_t n_names, struct err *err)
{
	return issue_csr_wish(out, key, &(struct csr_wish){ .common_name = common_name, .names = names, .n_names = n_names }, err);
}
