/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate objects as clients send and see them (hub 8). */
#include "base/clock.h"
#include "hub/registry/ca.h"
#include "wire/codec.h"
#include "wire/json.h"

static json_t *
hex_json(const uint8_t *bytes, size_t len)
{
	CLEAR(buf) text = BUF_INIT(128);

	hex_encode(&text, bytes, len, true);
	return json_string(buf_text(&text));
}

static json_t *
der_json(const struct cert *cert)
{
	CLEAR(buf) text = BUF_INIT(128 * 1024);
	uint8_t *der = NULL;
	int len = i2d_X509(cert_x509(cert), &der);

	if (len > 0)
		base64_encode(&text, der, (size_t)len);
	OPENSSL_free(der);
	return json_string(buf_text(&text));
}

static void
put_date(json_t *properties, const char *name, int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(properties, name, json_string(clock_text_http(wall, text)));
}

json_t *
ca_to_json(const struct ca_record *ca, const char *type, bool with_scope, bool with_code)
{
	json_t *p = json_pack("{s:s, s:o, s:b, s:o}", "subject",
		cert_common_name(ca->cert) ? cert_common_name(ca->cert) : cert_subject(ca->cert), "thumbprint",
		hex_json(cert_sha1(ca->cert), DIGEST_SHA1_LEN), "isVerified", ca->is_verified, "certificate", der_json(ca->cert));

	put_date(p, "expiry", cert_not_after(ca->cert));
	put_date(p, "created", ca->created);
	put_date(p, "updated", ca->updated);
	if (with_scope)
		json_object_set_new(p, "scope", authority_scope_to_json(&ca->scope));
	if (with_code && ca->code)
		json_object_set_new(p, "verificationCode", json_string(ca->code));
	return json_pack("{s:s, s:s, s:o, s:s}", "name", ca->name, "type", type, "properties", p, "etag", ca->etag);
}

int
ca_call_from_json(struct ca_call *call, const json_t *body, struct err *err)
{
	json_t *properties = NULL, *scope = NULL;
	const char *text = NULL;

	if (json_find_object(body, "properties", &properties, err) < 0)
		return -1;
	properties = properties ? properties : (json_t *)(uintptr_t)body;
	call->has_verified = json_is_boolean(json_object_get(properties, "isVerified"));
	if (json_find_text(properties, "certificate", &text, err) < 0 ||
		json_find_bool(properties, "isVerified", &call->is_verified, err) < 0 ||
		json_find_object(properties, "scope", &scope, err) < 0)
		return -1;
	/* null takes the scope away; what is left out stays. */
	call->has_scope = json_object_get(properties, "scope") != NULL;
	if (scope && authority_scope_from_json(&call->scope, scope, err) < 0)
		return -1;
	call->cert = text ? ca_read_cert(text, call->op == CA_VERIFY ? CA_CHAIN_MAX : 1, err) : NULL;
	return text && !call->cert ? -1 : 0;
}
