/* SPDX-License-Identifier: Apache-2.0 */
/* TPM keys as files and as URIs. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/pem.h"
#include "wire/tss_key.h"

#define LABEL "TSS2 PRIVATE KEY"
#define SCHEME "tpm:handle="
#define PERSISTENT_FROM 0x81000000u
#define PERSISTENT_TO 0x81ffffffu

enum {
	DER_BOOLEAN = 1,
	DER_INTEGER = 2,
	DER_OCTETS = 4,
	DER_OID = 6,
	DER_SEQUENCE = 0x30,
	DER_EMPTY_AUTH = 0xa0,
	DER_CONTEXT_LAST = 0xa5
};

/* 2.23.133.10.1.x */
static const uint8_t oid_prefix[] = { 0x67, 0x81, 5, 10, 1 };
static const uint8_t oid_last[] = { [TSS_KEY_LOADABLE] = 3, [TSS_KEY_SEALED] = 5 };

bool
tss_key_is(const char *text, size_t len)
{
	return slice_starts((struct slice){ .text = text, .len = len }, "-----BEGIN " LABEL "-----");
}

/* -- DER ---------------------------------------------------------------------------------------------------------------------------------- */

/* One element: its content, or what is bad. */
static struct rd
take(struct rd *in, uint8_t tag)
{
	uint8_t found = rd_u8(in), len = rd_u8(in);
	size_t size = len;
	const uint8_t *at;

	if (len == 0x81)
		size = rd_u8(in);
	else if (len == 0x82)
		size = rd_u16(in);
	else if (len > 0x7f)
		in->bad = true;
	if (found != tag || (len == 0x81 && size < 0x80) || (len == 0x82 && size < 0x100))
		in->bad = true;
	at = in->bad ? NULL : rd_bytes(in, size);
	return at ? rd_over(at, size) : (struct rd){ .bad = true };
}

static bool
next_is(const struct rd *in, uint8_t from, uint8_t to)
{
	return !in->bad && rd_left(in) > 0 && in->at[0] >= from && in->at[0] <= to;
}

static bool
take_type(struct rd *in, enum tss_key_type *type)
{
	struct rd oid = take(in, DER_OID);
	const uint8_t *bytes = rd_left(&oid) == sizeof(oid_prefix) + 1 ? rd_bytes(&oid, sizeof(oid_prefix) + 1) : NULL;

	if (!bytes)
		return false;
	for (size_t i = 0; i < sizeof(oid_prefix); i++)
		if (bytes[i] != oid_prefix[i])
			return false;
	for (size_t i = 0; i < COUNT(oid_last); i++)
		if (bytes[sizeof(oid_prefix)] == oid_last[i]) {
			*type = (enum tss_key_type)i;
			return true;
		}
	return false;
}

/* A positive number of at most 4 bytes, perhaps with a zero in front. */
static bool
take_handle(struct rd *in, uint32_t *handle)
{
	struct rd number = take(in, DER_INTEGER);
	size_t len = rd_left(&number);

	if (number.bad || len == 0 || len > 5 || (number.at[0] & 0x80) || (len == 5 && number.at[0] != 0))
		return false;
	for (*handle = 0; rd_left(&number) > 0;)
		*handle = *handle << 8 | rd_u8(&number);
	return true;
}

static bool
take_blob(struct rd *in, uint8_t out[static TSS_KEY_BLOB_MAX], size_t *len)
{
	struct rd blob = take(in, DER_OCTETS);

	*len = rd_left(&blob);
	if (blob.bad || *len == 0 || *len > TSS_KEY_BLOB_MAX)
		return false;
	memcpy(out, rd_bytes(&blob, *len), *len);
	return true;
}

/* What stands between type and parent: only that no password is needed. */
static int
take_options(struct rd *in, struct err *err)
{
	struct rd outer, inner;

	if (next_is(in, DER_EMPTY_AUTH, DER_EMPTY_AUTH)) {
		outer = take(in, DER_EMPTY_AUTH);
		inner = take(&outer, DER_BOOLEAN);
		if (rd_u8(&inner) == 0 || inner.bad)
			return err_set(err, ERR_INVALID, "TPM key: it has a password, and is no key for a service");
	}
	if (next_is(in, DER_EMPTY_AUTH, DER_CONTEXT_LAST))
		return err_set(
			err, ERR_INVALID, "TPM key: a key with a policy, or one that must be imported first, is not used here");
	return 0;
}

static int
parse_der(struct tss_key *out, const struct buf *der, struct err *err)
{
	struct rd whole = rd_over(der->data, der->len), in = take(&whole, DER_SEQUENCE);

	if (in.bad || rd_left(&whole) > 0 || !take_type(&in, &out->type))
		return err_set(err, ERR_INVALID, "TPM key: neither a loadable key nor sealed data");
	if (take_options(&in, err) < 0)
		return -1;
	if (!take_handle(&in, &out->parent) || !take_blob(&in, out->public_blob, &out->public_len) ||
		!take_blob(&in, out->private_blob, &out->private_len) || rd_left(&in) > 0)
		return err_set(err, ERR_INVALID, "TPM key: parent, public or private part is malformed");
	if (out->parent != TSS_KEY_OWNER && (out->parent < PERSISTENT_FROM || out->parent > PERSISTENT_TO))
		return err_set(err, ERR_INVALID, "TPM key: its parent 0x%x is neither the owner's storage key nor a persistent one",
			out->parent);
	return 0;
}

int
tss_key_parse(struct tss_key *out, const char *pem_text, size_t len, struct err *err)
{
	struct pem pem;
	int n, status = -1;

	pem_init(&pem, pem_text, len);
	n = pem_next(&pem, err);
	if (n == 0 || (n > 0 && !slice_is(pem.label, LABEL)))
		err_set(err, ERR_INVALID, "TPM key: no " LABEL " in PEM");
	else if (n > 0)
		status = parse_der(out, &pem.der, err);
	pem_clear(&pem);
	return status;
}

static void
put_head(struct buf *out, uint8_t tag, size_t len)
{
	buf_put_u8(out, tag);
	if (len > 0xff) {
		buf_put_u8(out, 0x82);
		buf_put_u16(out, (uint16_t)len);
		return;
	}
	if (len > 0x7f)
		buf_put_u8(out, 0x81);
	buf_put_u8(out, (uint8_t)len);
}

void
tss_key_put_pem(const struct tss_key *key, struct buf *out)
{
	static const uint8_t empty_auth[] = { DER_EMPTY_AUTH, 3, DER_BOOLEAN, 1, 0xff };
	struct buf body = BUF_INIT(2 * TSS_KEY_BLOB_MAX + 64), der = BUF_INIT(2 * TSS_KEY_BLOB_MAX + 128);

	put_head(&body, DER_OID, sizeof(oid_prefix) + 1);
	buf_put(&body, oid_prefix, sizeof(oid_prefix));
	buf_put_u8(&body, oid_last[key->type]);
	buf_put(&body, empty_auth, sizeof(empty_auth));
	put_head(&body, DER_INTEGER, key->parent >> 31 ? 5 : 4);
	if (key->parent >> 31)
		buf_put_u8(&body, 0);
	buf_put_u32(&body, key->parent);
	put_head(&body, DER_OCTETS, key->public_len);
	buf_put(&body, key->public_blob, key->public_len);
	put_head(&body, DER_OCTETS, key->private_len);
	buf_put(&body, key->private_blob, key->private_len);
	put_head(&der, DER_SEQUENCE, body.len);
	buf_put(&der, body.data, body.len);
	pem_put(out, LABEL, der.data, der.len);
	buf_clear(&body);
	buf_clear(&der);
}

/* -- URIs ---------------------------------------------------------------------------------------------------------------------------------- */

bool
tss_key_is_uri(const char *text)
{
	return text_starts(text, "tpm:");
}

int
tss_key_parse_uri(const char *text, uint32_t *handle, struct err *err)
{
	const char *digits = text_starts(text, SCHEME "0x") ? text + strlen(SCHEME "0x") : "";
	uint8_t bytes[4];
	uint32_t value = 0;
	struct rd in = rd_over(bytes, sizeof(bytes));

	if (hex_decode(bytes, sizeof(bytes), digits, strlen(digits)))
		value = rd_u32(&in);
	if (value < PERSISTENT_FROM || value > PERSISTENT_TO)
		return err_set(err, ERR_INVALID, "a key in the TPM is tpm:handle=0x81......, the handle of a persistent key");
	*handle = value;
	return 0;
}
