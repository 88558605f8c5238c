/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate for people and for programs: what decides about trust, and nothing that only a debugger of ASN.1 wants. */
#include <stdio.h>

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pki/cert.h"
#include "pki/chain.h"
#include "wire/json.h"

#define LIST_MAX 1024

struct bit {
	uint32_t bit;
	const char *name;
};

static const struct bit usages[] = {
	{ KU_DIGITAL_SIGNATURE, "digitalSignature" },
	{ KU_NON_REPUDIATION, "nonRepudiation" },
	{ KU_KEY_ENCIPHERMENT, "keyEncipherment" },
	{ KU_DATA_ENCIPHERMENT, "dataEncipherment" },
	{ KU_KEY_AGREEMENT, "keyAgreement" },
	{ KU_KEY_CERT_SIGN, "keyCertSign" },
	{ KU_CRL_SIGN, "cRLSign" },
};

static const struct bit extended_usages[] = {
	{ XKU_SSL_SERVER, "serverAuth" },
	{ XKU_SSL_CLIENT, "clientAuth" },
	{ XKU_CODE_SIGN, "codeSigning" },
	{ XKU_SMIME, "emailProtection" },
	{ XKU_TIMESTAMP, "timeStamping" },
	{ XKU_OCSP_SIGN, "OCSPSigning" },
	{ XKU_ANYEKU, "anyExtendedKeyUsage" },
};

/* NULL when the extension is absent. */
static char *
list_bits(const struct bit *bits, size_t n, uint32_t set)
{
	struct buf list = BUF_INIT(LIST_MAX);

	if (set == UINT32_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++)
		if (set & bits[i].bit)
			buf_putf(&list, "%s%s", list.len > 0 ? ", " : "", bits[i].name);
	return buf_take_text(&list);
}

static char *
key_usage(const struct cert *cert)
{
	return list_bits(usages, COUNT(usages), X509_get_key_usage(cert_x509(cert)));
}

char *
cert_uses(const struct cert *cert)
{
	return list_bits(extended_usages, COUNT(extended_usages), X509_get_extended_key_usage(cert_x509(cert)));
}

static char *
constraints(const struct cert *cert)
{
	long path_len = X509_get_pathlen(cert_x509(cert));

	if (!cert_is_ca(cert))
		return mem_text("no");
	if (path_len == 0)
		return mem_text("yes, with no CA below it");
	return path_len > 0 ? mem_textf("yes, with at most %ld CAs below each other under it", path_len) : mem_text("yes");
}

static char *
hex_of(const uint8_t *bytes, size_t len)
{
	struct buf hex = BUF_INIT(LIST_MAX);

	for (size_t i = 0; i < len; i++)
		buf_putf(&hex, "%02X%s", bytes[i], i + 1 < len ? ":" : "");
	return buf_take_text(&hex);
}

char *
cert_serial(const struct cert *cert)
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(cert_x509(cert));

	return hex_of(ASN1_STRING_get0_data(number), (size_t)ASN1_STRING_length(number));
}

char *
cert_serial_hex(const struct cert *cert)
{
	char *text = cert_serial(cert), *to = text;

	for (const char *from = text; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	return text;
}

static char *
key_id(const ASN1_OCTET_STRING *id)
{
	return id ? hex_of(ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id)) : NULL;
}

static const char *
signature_name(const struct cert *cert)
{
	const char *name = OBJ_nid2ln(X509_get_signature_nid(cert_x509(cert)));

	return name ? name : "unknown";
}

static char *
remaining(const struct cert *cert, int64_t now)
{
	int64_t left = cert_not_after(cert) - now;

	if (now < cert_not_before(cert))
		return mem_text("not yet valid");
	if (left <= 0)
		return mem_text("expired");
	if (left < 2 * 86400)
		return mem_textf("%lld hours left", (long long)(left / 3600));
	return mem_textf("%lld days left", (long long)(left / 86400));
}

static void
put_row(struct buf *out, const char *name, const char *value)
{
	if (value && *value)
		buf_putf(out, "  %-14s %s\n", name, value);
}

static void
put_row_take(struct buf *out, const char *name, char *value)
{
	put_row(out, name, value);
	mem_free(value);
}

static void
put_validity(const struct cert *cert, int64_t now, struct buf *out, bool colour)
{
	char from[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN];
	OWN_TEXT left = remaining(cert, now);
	const char *paint = !colour ? "" : validity_is_good(cert, now) ? "\033[32m" : "\033[1;31m";

	buf_putf(out, "  %-14s %s to %s (%s%s%s)\n", "valid", clock_text(cert_not_before(cert), from),
		clock_text(cert_not_after(cert), until), paint, left, colour ? "\033[0m" : "");
}

void
cert_print(const struct cert *cert, int64_t now, struct buf *out, bool colour)
{
	char fingerprint[CERT_FINGERPRINT_LEN];

	buf_putf(out, "%s%s%s\n", colour ? "\033[1m" : "", *cert_subject(cert) ? cert_subject(cert) : "(no subject)",
		colour ? "\033[0m" : "");
	put_row(out, "issued by", cert_is_self_issued(cert) ? "itself" : cert_issuer(cert));
	put_validity(cert, now, out, colour);
	put_row_take(out, "names", cert_names(cert));
	put_row_take(out, "CA", constraints(cert));
	put_row_take(out, "key usage", key_usage(cert));
	put_row_take(out, "for", cert_uses(cert));
	put_row_take(out, "key", cert_key_text(cert));
	put_row(out, "signed with", signature_name(cert));
	put_row_take(out, "serial", cert_serial(cert));
	put_row_take(out, "key id", key_id(X509_get0_subject_key_id(cert_x509(cert))));
	put_row_take(out, "issuer key id", key_id(X509_get0_authority_key_id(cert_x509(cert))));
	put_row(out, "SHA-256", cert_fingerprint(cert, fingerprint));
	put_row_take(out, "SHA-1", hex_of(cert_sha1(cert), DIGEST_SHA1_LEN));
}

static void
set_text(json_t *object, const char *key, const char *value)
{
	if (value && json_object_set_new(object, key, json_string(value)) < 0)
		json_object_set_new(object, key, json_string("(not UTF-8)"));
}

static void
set_text_take(json_t *object, const char *key, char *value)
{
	set_text(object, key, value);
	mem_free(value);
}

char *
cert_json(const struct cert *cert)
{
	char from[CLOCK_TEXT_LEN], until[CLOCK_TEXT_LEN], fingerprint[CERT_FINGERPRINT_LEN];
	OWN_LIB(json_t) object = json_object();

	set_text(object, "subject", cert_subject(cert));
	set_text(object, "issuer", cert_issuer(cert));
	set_text(object, "commonName", cert_common_name(cert));
	set_text(object, "notBefore", clock_text(cert_not_before(cert), from));
	set_text(object, "notAfter", clock_text(cert_not_after(cert), until));
	set_text_take(object, "names", cert_names(cert));
	json_object_set_new(object, "ca", json_boolean(cert_is_ca(cert)));
	if (X509_get_pathlen(cert_x509(cert)) >= 0)
		json_object_set_new(object, "pathLen", json_integer(X509_get_pathlen(cert_x509(cert))));
	set_text_take(object, "keyUsage", key_usage(cert));
	set_text_take(object, "extendedKeyUsage", cert_uses(cert));
	set_text_take(object, "key", cert_key_text(cert));
	set_text(object, "signature", signature_name(cert));
	set_text_take(object, "serial", cert_serial(cert));
	set_text(object, "sha256", cert_fingerprint(cert, fingerprint));
	set_text_take(object, "sha1", hex_of(cert_sha1(cert), DIGEST_SHA1_LEN));
	return json_line(object);
}
