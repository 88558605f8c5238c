/* SPDX-License-Identifier: Apache-2.0 */
/* Packing (registry_pack.h).  Each text is preceded by the form that it is in; a form is chosen only when it gives back the very same text. */
#include "hub/registry/registry_pack.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/registry/registry_record.h"
#include "wire/codec.h"

#define PACK_MAX (16 << 10)
#define GENERATION_LEN 18
#define ETAG_LEN 12
#define ETAG_BYTES 8
#define DIGEST_MAX 32

enum { IS_MODULE = 1, IS_ENABLED = 2, IS_EDGE = 4 };

struct registry_pack {
	uint32_t len; /* of the bytes */
	uint16_t name_len;
	uint8_t device_len; /* of the name, IDENTITY_ID_MAX at most */
	uint8_t bits;
	uint8_t bytes[]; /* the name, then the fields */
};

/* -- Forms of a text -------------------------------------------------------------------------------------------------------------- */

static bool
put_generation(struct buf *out, const char *text)
{
	uint64_t number = 0;

	if (strlen(text) != GENERATION_LEN)
		return false;
	for (const char *c = text; *c; c++) {
		if (*c < '0' || *c > '9')
			return false;
		number = number * 10 + (uint64_t)(*c - '0');
	}
	buf_put_u64(out, number);
	return true;
}

static char *
get_generation(struct rd *in)
{
	return mem_textf("%018llu", (unsigned long long)rd_u64(in));
}

static char *
etag_text(const void *bytes)
{
	CLEAR(buf) text = BUF_INIT(32);

	base64_encode(&text, bytes, ETAG_BYTES);
	return buf_take_text(&text);
}

static bool
put_etag(struct buf *out, const char *text)
{
	CLEAR(buf) bytes = BUF_INIT(ETAG_BYTES);
	OWN_TEXT again = NULL;

	if (strlen(text) != ETAG_LEN || !base64_decode(&bytes, text, ETAG_LEN, BASE64_STRICT) || bytes.len != ETAG_BYTES)
		return false;
	again = etag_text(bytes.data);
	if (!text_is(again, text))
		return false;
	buf_put(out, bytes.data, ETAG_BYTES);
	return true;
}

static char *
get_etag(struct rd *in)
{
	const uint8_t *bytes = rd_bytes(in, ETAG_BYTES);

	return bytes ? etag_text(bytes) : NULL;
}

static bool
put_digest(struct buf *out, const char *text, size_t len)
{
	uint8_t digest[DIGEST_MAX];

	if (strlen(text) != 2 * len || !hex_decode(digest, len, text, 2 * len))
		return false;
	for (const char *c = text; *c; c++)
		if (*c >= 'a' && *c <= 'f')
			return false;
	buf_put(out, digest, len);
	return true;
}

static char *
get_digest(struct rd *in, size_t len)
{
	CLEAR(buf) text = BUF_INIT(2 * DIGEST_MAX);
	const uint8_t *bytes = rd_bytes(in, len);

	if (bytes)
		hex_encode(&text, bytes, len, true);
	return buf_take_text(&text);
}

static bool
put_sha1(struct buf *out, const char *text)
{
	return put_digest(out, text, 20);
}

static char *
get_sha1(struct rd *in)
{
	return get_digest(in, 20);
}

static bool
put_sha256(struct buf *out, const char *text)
{
	return put_digest(out, text, 32);
}

static char *
get_sha256(struct rd *in)
{
	return get_digest(in, 32);
}

static bool
put_plain(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT16_MAX)
		return false;
	buf_put_u16(out, (uint16_t)len);
	buf_put(out, text, len);
	return true;
}

static char *
get_plain(struct rd *in)
{
	return slice_text(rd_slice16(in));
}

/* Children of a gateway share a scope: what is the same in all of them is left out. */
static bool
put_scope(struct buf *out, const char *text)
{
	return text_starts(text, RECORD_SCOPE_PREFIX) && put_plain(out, text + strlen(RECORD_SCOPE_PREFIX));
}

static char *
get_scope(struct rd *in)
{
	struct slice rest = rd_slice16(in);

	return mem_textf(RECORD_SCOPE_PREFIX "%.*s", SLICE_FMT(rest));
}

enum { FORM_NONE, FORM_SAME, FORM_FIRST }; /* NULL; the same as the text before; the first of the table */

static const struct form {
	bool (*put)(struct buf *out, const char *text); /* false: it isn't of this form */
	char *(*get)(struct rd *in);
} forms[] = {
	{ put_generation, get_generation },
	{ put_etag, get_etag },
	{ put_sha256, get_sha256 },
	{ put_sha1, get_sha1 },
	{ put_scope, get_scope },
	{ put_plain, get_plain },
};

static void
put_text(struct buf *out, const char *text, const char *before)
{
	size_t at = out->len;

	buf_put_u8(out, text ? FORM_SAME : FORM_NONE);
	if (!text || text_is(text, before))
		return;
	for (size_t i = 0; i < COUNT(forms); i++)
		if (forms[i].put(out, text)) {
			if (!out->failed)
				out->data[at] = (uint8_t)(FORM_FIRST + i);
			return;
		}
	out->failed = true;
}

static char *
get_text(struct rd *in, const char *before)
{
	uint8_t form = rd_u8(in);

	if (form < FORM_FIRST)
		return form == FORM_SAME ? mem_text(before) : NULL;
	assert(form - FORM_FIRST < (int)COUNT(forms));
	return forms[form - FORM_FIRST].get(in);
}

/* -- A record ------------------------------------------------------------------------------------------------------------------------- */

/* Every text but the ids, those that may be the same beside each other: a leaf's scope is that of its parent. */
static const size_t texts[] = {
	offsetof(struct identity, generation_id),
	offsetof(struct identity, etag),
	offsetof(struct identity, thumbprints[0]),
	offsetof(struct identity, thumbprints[1]),
	offsetof(struct identity, status_reason),
	offsetof(struct identity, managed_by),
	offsetof(struct identity, parents[3]),
	offsetof(struct identity, parents[2]),
	offsetof(struct identity, parents[1]),
	offsetof(struct identity, parents[0]),
	offsetof(struct identity, scope),
};

static char **
text_at(const struct identity *identity, size_t i)
{
	return (char **)(void *)((char *)(uintptr_t)identity + texts[i]);
}

static void
put_texts(struct buf *out, const struct identity *identity)
{
	const char *before = NULL;

	for (size_t i = 0; i < COUNT(texts); i++) {
		put_text(out, *text_at(identity, i), before);
		before = *text_at(identity, i);
	}
}

static void
get_texts(struct identity *identity, struct rd *in)
{
	const char *before = NULL;

	for (size_t i = 0; i < COUNT(texts); i++) {
		*text_at(identity, i) = get_text(in, before);
		before = *text_at(identity, i);
	}
}

/* Both at once and last of all, so that no growing of the buffer leaves a copy of one behind. */
static void
put_keys(struct buf *out, const struct identity *identity)
{
	uint8_t both[2 + 2 * SECRET_MAX], *at = both;

	for (int i = 0; i < 2; i++) {
		*at++ = (uint8_t)identity->keys[i].len;
		memcpy(at, identity->keys[i].bytes, identity->keys[i].len);
		at += identity->keys[i].len;
	}
	buf_put(out, both, (size_t)(at - both));
	mem_wipe(both, sizeof(both));
}

static void
get_keys(struct identity *identity, struct rd *in)
{
	for (int i = 0; i < 2; i++) {
		size_t len = rd_u8(in);
		const uint8_t *key = rd_bytes(in, len);

		if (len > 0 && key)
			secret_set(&identity->keys[i], key, len);
	}
}

static void
put_fields(struct buf *out, const struct identity *identity)
{
	buf_put_u8(out, (uint8_t)identity->auth);
	buf_put_u8(out, (uint8_t)identity->n_parents);
	buf_put_u64(out, (uint64_t)identity->created);
	buf_put_u64(out, (uint64_t)identity->status_updated);
	put_texts(out, identity);
	put_keys(out, identity);
}

static void
get_fields(struct identity *identity, struct rd *in)
{
	identity->auth = (enum identity_auth)rd_u8(in);
	identity->n_parents = rd_u8(in);
	identity->created = (int64_t)rd_u64(in);
	identity->status_updated = (int64_t)rd_u64(in);
	get_texts(identity, in);
	get_keys(identity, in);
}

struct registry_pack *
registry_pack_new(const struct identity *identity)
{
	size_t device_len = strlen(identity->device_id);
	size_t name_len = device_len + (identity->module_id ? 1 + strlen(identity->module_id) : 0);
	struct registry_pack head = { .name_len = (uint16_t)name_len, .device_len = (uint8_t)device_len };
	struct registry_pack *pack = NULL;
	struct buf bytes = BUF_INIT(PACK_MAX);

	if (device_len > IDENTITY_ID_MAX || name_len > 2 * IDENTITY_ID_MAX + 1)
		return NULL;
	head.bits = (uint8_t)((identity->module_id ? IS_MODULE : 0) | (identity->enabled ? IS_ENABLED : 0) |
			      (identity->is_edge ? IS_EDGE : 0));
	buf_puts(&bytes, identity->device_id);
	if (identity->module_id)
		buf_putf(&bytes, "/%s", identity->module_id);
	put_fields(&bytes, identity);
	if (!bytes.failed) {
		head.len = (uint32_t)bytes.len;
		pack = mem_new(sizeof(*pack) + bytes.len);
		*pack = head;
		memcpy(pack->bytes, bytes.data, bytes.len);
	}
	buf_wipe(&bytes);
	return pack;
}

void
registry_pack_free(struct registry_pack *pack)
{
	if (!pack)
		return;
	mem_wipe(pack, sizeof(*pack) + pack->len);
	mem_free(pack);
}

struct identity *
registry_pack_identity(const struct registry_pack *pack)
{
	struct rd in = rd_over(pack->bytes, pack->len);
	struct slice name = rd_slice(&in, pack->name_len), device;
	bool is_module = slice_cut(&name, '/', &device);
	OWN_TEXT device_id = slice_text(device);
	OWN_TEXT module_id = is_module ? slice_text(name) : NULL;
	struct identity *identity = identity_new(device_id, module_id);

	identity->enabled = registry_pack_is_enabled(pack);
	identity->is_edge = pack->bits & IS_EDGE;
	get_fields(identity, &in);
	assert(!in.bad && rd_left(&in) == 0);
	return identity;
}

struct slice
registry_pack_name(const struct registry_pack *pack)
{
	return (struct slice){ .text = (const char *)pack->bytes, .len = pack->name_len };
}

bool
registry_pack_is_module(const struct registry_pack *pack)
{
	return pack->bits & IS_MODULE;
}

bool
registry_pack_is_enabled(const struct registry_pack *pack)
{
	return pack->bits & IS_ENABLED;
}
