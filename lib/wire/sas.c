/* SPDX-License-Identifier: Apache-2.0 */
/* Shared access signatures: parsed once, strictly; compared in constant time. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/sas.h"

#define PREFIX "SharedAccessSignature "
#define EXPIRY_MAX 253402300799 /* the end of the year 9999 */

enum field { FIELD_SR, FIELD_SIG, FIELD_SE, FIELD_SKN, FIELD_COUNT };
static const char *const field_names[FIELD_COUNT] = { "sr", "sig", "se", "skn" };

static int
split_fields(struct slice *fields, struct slice text, struct err *err)
{
	struct slice pair, name;
	bool more = true;

	while (more) {
		size_t i = 0;

		more = slice_cut(&text, '&', &pair);
		if (!slice_cut(&pair, '=', &name))
			return err_set(err, ERR_INVALID, "a part of the token is not NAME=VALUE");
		while (i < FIELD_COUNT && !slice_is(name, field_names[i]))
			i++;
		if (i == FIELD_COUNT)
			return err_set(err, ERR_INVALID, "the token has a field that is none of sr, sig, se, skn");
		if (fields[i].text)
			return err_set(err, ERR_INVALID, "the token has %s twice", field_names[i]);
		fields[i] = pair; /* what follows the first '=' */
	}
	for (size_t i = 0; i < FIELD_SKN; i++)
		if (!fields[i].text || fields[i].len == 0)
			return err_set(err, ERR_INVALID, "the token has no %s", field_names[i]);
	return 0;
}

static int
take_signature(struct sas_token *token, struct slice field, struct err *err)
{
	struct buf text = BUF_INIT(256), bytes = BUF_INIT(256);
	bool good = percent_decode(&text, field.text, field.len) &&
		    base64_decode(&bytes, buf_text(&text), text.len, BASE64_STRICT) && bytes.len == DIGEST_SHA256_LEN;

	if (good)
		memcpy(token->signature, bytes.data, DIGEST_SHA256_LEN);
	buf_clear(&text);
	buf_clear(&bytes);
	return good ? 0 : err_set(err, ERR_INVALID, "sig is not the base64 of 32 bytes");
}

static int
take_expiry(struct sas_token *token, struct slice field, struct err *err)
{
	OWN_TEXT text = slice_text(field);

	/* The signature covers this text: a number that could also be written otherwise is refused. */
	if (field.text[0] < '1' || field.text[0] > '9' || !text_to_i64(text, 0, EXPIRY_MAX, &token->expiry))
		return err_set(err, ERR_INVALID, "se is not a plain number of seconds since 1970");
	return 0;
}

/* Decoded text without NUL or control bytes, or NULL. */
static char *
decoded(struct slice field)
{
	struct buf text = BUF_INIT(SAS_TOKEN_MAX);

	if (!percent_decode(&text, field.text, field.len) || text_has_control(buf_text(&text), text.len) ||
		!text_is_utf8(buf_text(&text), text.len)) {
		buf_clear(&text);
		return NULL;
	}
	return buf_take_text(&text);
}

static int
take_resource(struct sas_token *token, struct slice field, struct err *err)
{
	token->resource_text = slice_text(field);
	token->resource = decoded(field);
	if (!token->resource || !*token->resource)
		return err_set(err, ERR_INVALID, "sr is not a percent-encoded resource");
	for (char *c = token->resource; *c && *c != '/'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return 0;
}

static bool
has_prefix(const char *text)
{
	OWN_TEXT head = mem_textn(text, strnlen(text, strlen(PREFIX)));

	return text_is_nocase(head, PREFIX);
}

struct sas_token *
sas_parse(const char *text, struct err *err)
{
	OWN(sas_token) token = NEW(sas_token);
	struct slice fields[FIELD_COUNT] = { 0 };

	if (strnlen(text, SAS_TOKEN_MAX + 1) > SAS_TOKEN_MAX)
		return err_null(err, ERR_LIMIT, "the token is longer than %d bytes", SAS_TOKEN_MAX);
	if (!has_prefix(text))
		return err_null(err, ERR_INVALID, "the token does not begin with '" PREFIX "'");
	if (split_fields(fields, slice_of(text + strlen(PREFIX)), err) < 0 || take_resource(token, fields[FIELD_SR], err) < 0 ||
		take_signature(token, fields[FIELD_SIG], err) < 0 || take_expiry(token, fields[FIELD_SE], err) < 0)
		return NULL;
	if (fields[FIELD_SKN].text) {
		token->policy = decoded(fields[FIELD_SKN]);
		if (!token->policy)
			return err_null(err, ERR_INVALID, "skn is not a percent-encoded name");
	}
	return GIVE(token);
}

void
sas_token_free(struct sas_token *token)
{
	if (!token)
		return;
	mem_free(token->resource_text);
	mem_free(token->resource);
	mem_free(token->policy);
	mem_wipe(token, sizeof(*token));
	mem_free(token);
}

bool
sas_signature_matches(const struct sas_token *token, const struct secret *key)
{
	OWN_TEXT signed_text = mem_textf("%s\n%" PRId64, token->resource_text, token->expiry);
	uint8_t mac[DIGEST_SHA256_LEN];
	bool same;

	if (key->len == 0)
		return false;
	digest_hmac_sha256(key->bytes, key->len, signed_text, strlen(signed_text), mac);
	same = mem_equal_ct(mac, token->signature, sizeof(mac));
	mem_wipe(mac, sizeof(mac));
	return same;
}

/* Is `covered` the path `of` or below it? */
static bool
is_below(const char *covered, const char *of, bool in_any_case)
{
	size_t len = strlen(of);
	int differs = in_any_case ? strncasecmp(covered, of, len) : strncmp(covered, of, len);

	return differs == 0 && (covered[len] == '\0' || covered[len] == '/');
}

/* "HostName=hub:8883" in a connection string ends up as "hub:8883" here (hub 9).  A bare IPv6 address has several colons. */
static void
drop_port(char *host)
{
	char *colon = strrchr(host, ':');

	if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")])
		return;
	if (colon == strchr(host, ':') || (colon > host && colon[-1] == ']'))
		*colon = '\0';
}

/* Old clients end the resource with "/api-version=..." (hub 4.2).  Ids may hold "=" too, so it only counts where a word of the
 * path stands, never where an id does: of "devices/ID/modules/ID" the first, third and fifth part. */
static void
drop_api_version(char *path)
{
	bool is_id = false;

	for (char *part = path; part; is_id = !is_id) {
		char *slash = strchr(part, '/');

		if (!slash && !is_id && text_starts(part, "api-version="))
			part[part > path ? -1 : 0] = '\0';
		part = slash ? slash + 1 : NULL;
	}
}

/* The address in "[2001:db8::7]". */
static char *
drop_brackets(char *host)
{
	size_t len = strlen(host);

	if (host[0] != '[' || host[len - 1] != ']')
		return host;
	host[len - 1] = '\0';
	return host + 1;
}

static bool
is_host(const struct sas_audience *audience, const char *host)
{
	return text_is_nocase(host, audience->host) || (audience->is_own_name && audience->is_own_name(audience->arg, host));
}

bool
sas_resource_covers(const struct sas_token *token, const struct sas_audience *audience, const char *path)
{
	OWN_TEXT resource = mem_text(token->resource);
	char *slash = strchr(resource, '/');

	if (slash) {
		*slash++ = '\0';
		drop_api_version(slash);
	}
	drop_port(resource);
	return is_host(audience, drop_brackets(resource)) &&
	       (!slash || !*slash || is_below(path, slash, audience->ids_in_any_case));
}

int
sas_format(struct buf *out, const char *resource, int64_t expiry, const char *policy,
	int (*hmac)(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err), void *arg,
	struct err *err)
{
	struct buf sr = BUF_INIT(SAS_TOKEN_MAX), text = BUF_INIT(SAS_TOKEN_MAX), sig = BUF_INIT(64);
	uint8_t mac[DIGEST_SHA256_LEN];
	int status;

	percent_encode(&sr, resource, strlen(resource));
	buf_putf(&text, "%s\n%" PRId64, buf_text(&sr), expiry);
	if (sr.failed || text.failed)
		status = err_set(err, ERR_LIMIT, "a token for a resource of more than %d bytes", SAS_TOKEN_MAX);
	else
		status = hmac(arg, buf_text(&text), text.len, mac, err);
	if (status == 0) {
		base64_encode(&sig, mac, sizeof(mac));
		buf_putf(out, PREFIX "sr=%s&sig=", buf_text(&sr));
		percent_encode(out, buf_text(&sig), sig.len);
		buf_putf(out, "&se=%" PRId64, expiry);
		if (policy) {
			buf_puts(out, "&skn=");
			percent_encode(out, policy, strlen(policy));
		}
	}
	buf_clear(&sr);
	buf_clear(&text);
	buf_clear(&sig);
	return status;
}

static int
hmac_with_secret(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err)
{
	const struct secret *key = arg;

	(void)err;
	digest_hmac_sha256(key->bytes, key->len, data, len, out);
	return 0;
}

void
sas_sign(struct buf *out, const char *resource, int64_t expiry, const char *policy, const struct secret *key)
{
	struct err err = ERR_INIT;
	struct secret copy = *key;

	if (sas_format(out, resource, expiry, policy, hmac_with_secret, &copy, &err) < 0)
		out->failed = true;
	secret_clear(&copy);
}
