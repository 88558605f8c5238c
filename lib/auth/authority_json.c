/* SPDX-License-Identifier: Apache-2.0 */
/* A set of CAs as JSON: what the hub hands down to its gateways with their scope, and what they keep of it. */
#include <string.h>

#include "auth/authority.h"
#include "base/mem.h"
#include "wire/codec.h"
#include "wire/json.h"

#define DER_MAX (64 * 1024)
#define NAME_MAX_BYTES 128

static json_t *
one_json(const struct authority *authority)
{
	CLEAR(buf) text = BUF_INIT(2 * DER_MAX);
	uint8_t *der = NULL;
	int len = i2d_X509(cert_x509(authority->cert), &der);

	if (len > 0)
		base64_encode(&text, der, (size_t)len);
	OPENSSL_free(der);
	return json_pack("{s:s, s:s, s:o}", "name", authority->name, "certificate", buf_text(&text), "scope",
		authority_scope_to_json(&authority->scope));
}

json_t *
authorities_to_json(const struct authorities *set)
{
	json_t *list = json_array();

	for (size_t i = 0; i < authorities_count(set); i++)
		if (authorities_item(set, i)->is_verified)
			json_array_append_new(list, one_json(authorities_item(set, i)));
	return list;
}

static struct cert *
read_cert(const char *text, struct err *err)
{
	CLEAR(buf) der = BUF_INIT(DER_MAX);

	if (!base64_decode(&der, text, strlen(text), BASE64_STRICT))
		return err_null(err, ERR_INVALID, "the certificate is not base64");
	return cert_from_der(der.data, der.len, err);
}

static int
add_one(struct authorities *set, const json_t *json, struct err *err)
{
	struct authority_scope scope = { 0 };
	const char *name, *text;
	json_t *scope_json = NULL;
	OWN(cert) cert = NULL;
	int done;

	if (json_get_text(json, "name", &name, err) < 0 || json_get_text(json, "certificate", &text, err) < 0 ||
		json_find_object(json, "scope", &scope_json, err) < 0)
		return -1;
	cert = strlen(name) <= NAME_MAX_BYTES ? read_cert(text, err) : err_null(err, ERR_LIMIT, "a CA's name is too long");
	if (!cert || authority_check_cert(cert, err) < 0)
		return -1;
	/* Without a scope that is understood it would speak for more than it may. */
	if (!scope_json)
		return err_set(err, ERR_INVALID, "the CA %s has no scope", name);
	if (authority_scope_from_json(&scope, scope_json, err) < 0)
		return -1;
	done = authorities_add(set, name, cert, &scope, true, err);
	authority_scope_clear(&scope);
	return done;
}

struct authorities *
authorities_from_json(const json_t *list, struct err *err)
{
	OWN(authorities) set = authorities_new();
	const json_t *item;
	size_t at;

	if (!json_is_array(list) || json_array_size(list) > AUTHORITIES_MAX)
		return err_null(err, ERR_INVALID, "the CAs are not a list of at most %d", AUTHORITIES_MAX);
	json_array_foreach(list, at, item)
		if (add_one(set, item, err) < 0)
			return err_wrap_null(err, "CA %zu", at + 1);
	return GIVE(set);
}

static bool
is_same(const struct authority *a, const struct authority *b)
{
	OWN_LIB(json_t) one = authority_scope_to_json(&a->scope);
	OWN_LIB(json_t) other = authority_scope_to_json(&b->scope);

	return strcmp(a->name, b->name) == 0 && a->is_verified == b->is_verified && cert_is_same(a->cert, b->cert) &&
	       json_equal(one, other);
}

bool
authorities_equal(const struct authorities *a, const struct authorities *b)
{
	size_t n = a ? authorities_count(a) : 0;

	if (n != (b ? authorities_count(b) : 0))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_same(authorities_item(a, i), authorities_item(b, i)))
			return false;
	return true;
}
