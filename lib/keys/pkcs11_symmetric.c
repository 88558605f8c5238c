/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric keys in tokens: HMAC-SHA256 by a generic secret, AES-GCM by an AES key.  The token does the work. */
#include <string.h>

#include "base/mem.h"
#include "keys/pkcs11_tokens.h"

#define TAG_LEN 16
#define SECRET_LEN 32
#define BLOB_TAG_LAST 2 /* as in aead.c */
#define BLOB_TAG_FIRST 1
#define DATA_MAX (4 * 1024 * 1024)

struct token_secret {
	struct pkcs11_token *token;
	char *label;
	uint8_t id[PKCS11_ID_MAX];
	size_t id_len;
	CK_OBJECT_HANDLE object;
	unsigned generation;
};

static void
token_secret_free(struct token_secret *s)
{
	if (!s)
		return;
	mem_free(s->label);
	mem_free(s);
}
OWN_DEFINE(token_secret);

static struct token_secret *
token_secret_new(struct pkcs11_token *t, const struct pkcs11_uri *uri)
{
	struct token_secret *s = NEW(token_secret);

	s->token = t;
	s->label = mem_text(uri->text[PKCS11_OBJECT]);
	memcpy(s->id, uri->id, uri->id_len);
	s->id_len = uri->id_len;
	return s;
}

/* 1, 0 or -1. */
static int
find(struct pkcs11_token *t, struct token_secret *s, struct err *err)
{
	CK_OBJECT_HANDLE found[PKCS11_FOUND_MAX];
	int n = pkcs11_token_find(t, CKO_SECRET_KEY, s->label, s->id, s->id_len, found, err);

	if (n > 1)
		return err_set(err, ERR_INVALID, "%d secret keys are called '%.100s'", n, s->label ? s->label : "");
	if (n <= 0)
		return n;
	s->object = found[0];
	s->generation = t->generation;
	return 1;
}

static int
find_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct token_secret *s = arg;
	int n = find(t, s, err);

	return n == 0  ? err_set(err, ERR_MISSING, "the token has no secret key '%.100s'", s->label ? s->label : "")
	       : n < 0 ? -1
		       : 0;
}

static int
ensure(struct pkcs11_token *t, struct token_secret *s, struct err *err)
{
	return s->generation == t->generation ? 0 : find_step(t, s, err);
}

/* -- Using ------------------------------------------------------------------------------------------------------------------------------- */

struct work {
	struct token_secret *secret;
	CK_MECHANISM mechanism;
	const void *data;
	CK_ULONG len;
	uint8_t *out;
	CK_ULONG size, out_len;
	CK_RV refused; /* a decryption that is not about the token */
};

/* An object that another program has deleted meanwhile is looked for once more: it is missing then, or made anew. */
static int
begin(struct pkcs11_token *t, struct work *w, CK_C_SignInit init, const char *doing, struct err *err)
{
	CK_RV rv;

	if (ensure(t, w->secret, err) < 0)
		return -1;
	rv = init(t->session, &w->mechanism, w->secret->object);
	if (pkcs11_module_lost_object(rv)) {
		if (find_step(t, w->secret, err) < 0)
			return -1;
		rv = init(t->session, &w->mechanism, w->secret->object);
	}
	w->out_len = w->size;
	return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, doing);
}

static int
mac_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct work *w = arg;
	CK_RV rv;

	if (begin(t, w, t->module->f->C_SignInit, "HMAC-SHA256", err) < 0)
		return -1;
	rv = t->module->f->C_Sign(t->session, (CK_BYTE *)(uintptr_t)w->data, w->len, w->out, &w->out_len);
	return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, "HMAC-SHA256");
}

static int
encrypt_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct work *w = arg;
	CK_RV rv;

	if (begin(t, w, t->module->f->C_EncryptInit, "AES-GCM", err) < 0)
		return -1;
	rv = t->module->f->C_Encrypt(t->session, (CK_BYTE *)(uintptr_t)w->data, w->len, w->out, &w->out_len);
	return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, "AES-GCM");
}

/* What a token says to a tag that is wrong differs; CKR_GENERAL_ERROR, of SoftHSM, is also what it says when it is away. */
static int
decrypt_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct work *w = arg;
	CK_RV rv;

	if (begin(t, w, t->module->f->C_DecryptInit, "AES-GCM", err) < 0)
		return -1;
	rv = t->module->f->C_Decrypt(t->session, (CK_BYTE *)(uintptr_t)w->data, w->len, w->out, &w->out_len);
	if (rv == CKR_OK || rv == CKR_DEVICE_REMOVED || rv == CKR_TOKEN_NOT_PRESENT)
		return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, "AES-GCM");
	w->refused = rv;
	return 0;
}

static int
secret_hmac(void *arg, const void *data, size_t len, uint8_t out[static SYMMETRIC_MAC_LEN], struct err *err)
{
	struct token_secret *s = arg;
	struct work w = { .secret = s,
		.mechanism = { CKM_SHA256_HMAC, NULL, 0 },
		.data = data,
		.len = len,
		.out = out,
		.size = SYMMETRIC_MAC_LEN };

	if (pkcs11_token_do(s->token, mac_step, &w, err) < 0)
		return -1;
	return w.out_len == SYMMETRIC_MAC_LEN ? 0 : err_set(err, ERR_BROKEN, "the token's HMAC has %lu bytes", w.out_len);
}

static int
check_message(const struct symmetric_message *m, struct err *err)
{
	if (m->iv_size == 0 || m->iv_size > 1024 || m->aad_size > DATA_MAX || m->size > DATA_MAX)
		return err_set(err, ERR_INVALID, "AES-GCM takes an IV of 1 to 1024 bytes and at most %d bytes of data", DATA_MAX);
	return 0;
}

static CK_GCM_PARAMS
gcm_of(const struct symmetric_message *m)
{
	return (CK_GCM_PARAMS){ .iv_ptr = (CK_BYTE *)(uintptr_t)m->iv,
		.iv_len = m->iv_size,
		.iv_bits = m->iv_size * 8,
		.aad_ptr = (CK_BYTE *)(uintptr_t)m->aad,
		.aad_len = m->aad_size,
		.tag_bits = TAG_LEN * 8 };
}

static int
secret_encrypt(void *arg, const struct symmetric_message *m, struct buf *out, struct err *err)
{
	struct token_secret *s = arg;
	CK_GCM_PARAMS gcm = gcm_of(m);
	struct work w = { .secret = s, .mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) }, .data = m->data, .len = m->size };
	int status;

	if (check_message(m, err) < 0)
		return -1;
	w.size = m->size + 2 * TAG_LEN; /* some want room for a block more */
	w.out = mem_new(w.size);
	status = pkcs11_token_do(s->token, encrypt_step, &w, err);
	if (status == 0 && w.out_len != m->size + TAG_LEN)
		status = err_set(err, ERR_BROKEN, "the token's AES-GCM gives %lu bytes for %zu", w.out_len, m->size);
	if (status == 0) {
		buf_put_u8(out, BLOB_TAG_LAST);
		buf_put(out, w.out, w.out_len);
	}
	mem_free(w.out);
	return status;
}

/* The ciphertext and then its tag, of either layout; the caller owns it. */
static uint8_t *
tag_last(const struct symmetric_message *m, struct err *err)
{
	const uint8_t *blob = m->data;
	size_t len = m->size - 1;
	uint8_t *text;

	if (m->size < 1 + TAG_LEN || (blob[0] != BLOB_TAG_LAST && blob[0] != BLOB_TAG_FIRST))
		return err_null(err, ERR_INVALID, "not something that was encrypted here");
	text = mem_dup(blob + 1, len);
	if (blob[0] == BLOB_TAG_FIRST) {
		memcpy(text, blob + 1 + TAG_LEN, len - TAG_LEN);
		memcpy(text + len - TAG_LEN, blob + 1, TAG_LEN);
	}
	return text;
}

static int
secret_decrypt(void *arg, const struct symmetric_message *m, struct buf *out, struct err *err)
{
	struct token_secret *s = arg;
	CK_GCM_PARAMS gcm = gcm_of(m);
	uint8_t *text = check_message(m, err) < 0 ? NULL : tag_last(m, err);
	struct work w = { .secret = s, .mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) }, .data = text, .len = m->size - 1 };
	int status;

	if (!text)
		return -1;
	w.size = m->size + TAG_LEN;
	w.out = mem_new(w.size);
	status = pkcs11_token_do(s->token, decrypt_step, &w, err);
	if (status == 0 && w.refused)
		status = err_set(err, ERR_DENIED, "decryption failed: another key, IV or identity, or the data was changed (0x%lx)",
			w.refused);
	if (status == 0)
		buf_put(out, w.out, w.out_len);
	mem_wipe(w.out, w.size);
	mem_free(w.out);
	mem_free(text);
	return status;
}

static void
secret_release(void *arg)
{
	token_secret_free(arg);
}

static const struct symmetric_key_ops secret_ops = { secret_hmac, secret_encrypt, secret_decrypt, secret_release };

/* -- Loading, making, deleting ---------------------------------------------------------------------------------------------------------- */

struct use_row {
	CK_MECHANISM_TYPE work, generation;
	CK_FLAGS uses;
	CK_KEY_TYPE type;
};

static const struct use_row use_rows[] = {
	[PKCS11_SIGN] = { CKM_SHA256_HMAC, CKM_GENERIC_SECRET_KEY_GEN, CKF_SIGN, CKK_GENERIC_SECRET },
	[PKCS11_ENCRYPT] = { CKM_AES_GCM, CKM_AES_KEY_GEN, CKF_ENCRYPT | CKF_DECRYPT, CKK_AES },
};

struct question {
	const struct use_row *use;
	bool can;
};

static int
can_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct question *q = arg;

	(void)err;
	q->can = pkcs11_token_has(t, q->use->work, q->use->uses, 0);
	return 0;
}

int
pkcs11_can(struct pkcs11 *p, const struct pkcs11_uri *uri, enum pkcs11_use use, struct err *err)
{
	struct pkcs11_token *t = pkcs11_tokens_get(p, uri, err);
	struct question q = { .use = &use_rows[use] };

	return t && pkcs11_token_do(t, can_step, &q, err) == 0 ? q.can : -1;
}

struct symmetric_key *
pkcs11_load_symmetric(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_token *t = pkcs11_tokens_get(p, uri, err);
	OWN(token_secret) s = t ? token_secret_new(t, uri) : NULL;

	if (!s || pkcs11_token_do(t, find_step, s, err) < 0)
		return NULL;
	return symmetric_key_remote(&secret_ops, GIVE(s));
}

struct making {
	struct token_secret *secret;
	const struct use_row *use;
	const struct secret *bytes;
};

#define FLAG(type, value)                                                                                                          \
	{                                                                                                                          \
		type, &(value), sizeof(value)                                                                                      \
	}

static int
create(struct pkcs11_token *t, const struct making *m, CK_OBJECT_HANDLE *object, struct err *err)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = m->use->type;
	CK_MECHANISM mechanism = { m->use->generation, NULL, 0 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE, encrypts = type == CKK_AES, signs = !encrypts;
	CK_ULONG len = SECRET_LEN, n = 11;
	CK_ATTRIBUTE template[12] = { FLAG(CKA_CLASS, class), FLAG(CKA_KEY_TYPE, type), FLAG(CKA_TOKEN, yes),
		FLAG(CKA_PRIVATE, yes), FLAG(CKA_SENSITIVE, yes), FLAG(CKA_EXTRACTABLE, no), FLAG(CKA_SIGN, signs),
		FLAG(CKA_VERIFY, signs), FLAG(CKA_ENCRYPT, encrypts), FLAG(CKA_DECRYPT, encrypts),
		{ CKA_LABEL, m->secret->label, strlen(m->secret->label) } };
	CK_RV rv;

	if (m->bytes) {
		template[n++] = (CK_ATTRIBUTE){ CKA_VALUE, (void *)(uintptr_t)m->bytes->bytes, m->bytes->len };
		rv = t->module->f->C_CreateObject(t->session, template, n, object);
	} else {
		template[n++] = (CK_ATTRIBUTE)FLAG(CKA_VALUE_LEN, len);
		rv = t->module->f->C_GenerateKey(t->session, &mechanism, template, n, object);
	}
	return rv == CKR_OK ? 0 : pkcs11_module_fail(err, rv, m->bytes ? "taking a key in" : "making a key");
}

/* The old one makes room, and goes when the new one is there. */
static int
replace(struct pkcs11_token *t, const struct making *m, CK_OBJECT_HANDLE *made, struct err *err)
{
	OWN_TEXT replaced = mem_textf("%s (replaced)", m->secret->label);
	struct err ignored = ERR_INIT;

	if (pkcs11_token_relabel(t, m->secret->object, replaced, err) < 0)
		return -1;
	if (create(t, m, made, err) < 0) {
		pkcs11_token_relabel(t, m->secret->object, m->secret->label, &ignored);
		return -1;
	}
	return pkcs11_token_destroy(t, m->secret->object, err);
}

static int
make_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	const struct making *m = arg;
	CK_OBJECT_HANDLE made;
	int n = find(t, m->secret, err);

	if (n < 0 || (n > 0 && !m->bytes))
		return n < 0 ? -1 : 0;
	if ((n > 0 ? replace(t, m, &made, err) : create(t, m, &made, err)) < 0)
		return -1;
	m->secret->object = made;
	m->secret->generation = t->generation;
	return 0;
}

struct symmetric_key *
pkcs11_make_symmetric(
	struct pkcs11 *p, const struct pkcs11_uri *uri, enum pkcs11_use use, const struct secret *bytes, struct err *err)
{
	struct pkcs11_token *t = pkcs11_tokens_get(p, uri, err);
	OWN(token_secret) s = t && uri->text[PKCS11_OBJECT] ? token_secret_new(t, uri) : NULL;
	struct making m = { s, &use_rows[use], bytes };

	if (t && !s)
		return err_null(err, ERR_INVALID, "the PKCS #11 URI names no object to make");
	if (!s || pkcs11_token_do(t, make_step, &m, err) < 0)
		return NULL;
	return symmetric_key_remote(&secret_ops, GIVE(s));
}

static int
delete_step(struct pkcs11_token *t, void *arg, struct err *err)
{
	struct token_secret *s = arg;
	int n = find(t, s, err);

	return n <= 0 ? n : pkcs11_token_destroy(t, s->object, err);
}

int
pkcs11_delete_symmetric(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err)
{
	struct pkcs11_token *t = pkcs11_tokens_get(p, uri, err);
	OWN(token_secret) s = t ? token_secret_new(t, uri) : NULL;

	return s ? pkcs11_token_do(t, delete_step, s, err) : -1;
}
