/* SPDX-License-Identifier: Apache-2.0 */
/* Known values come from tpm2_makecredential, which has its own code for all of this.  The way back is the TPM's, step by step, with keys whose private halves the test has;
 * what a TPM itself says to it, a_provisioning_tpm asks. */
#include "keys/tpm_wrap.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "keys/tpm_seed.h"
#include "t.h"
#include "wire/codec.h"
#include "wire/tpm_story.h"

/* A seed, and the name of STORY_SRK. */
#define SEED "94f136b0c229bc489044619dc864b7a3767fb6da0c495cf652c78a075054077c"
#define NAME "000bc62e3896fb270591835188be223bba0148375e8c7e346b4b96b5410c5684f1ee"

TEST("a credential is protected as tpm2_makecredential protects it under the same seed")
{
	struct buf text = BUF_INIT(64), out = BUF_INIT(256), hex = BUF_INIT(512);
	uint8_t seed[DIGEST_SHA256_LEN], name[TPM_NAME_LEN];
	struct err err = ERR_INIT;

	CHECK(hex_decode(seed, sizeof(seed), SEED, strlen(SEED)));
	CHECK(hex_decode(name, sizeof(name), NAME, strlen(NAME)));
	buf_put_u16(&text, 16);
	buf_puts(&text, "0123456789abcdef");
	CHECK_OK(tpm_protect(&out, seed, name, &text, &err), err);
	hex_encode(&hex, out.data, out.len, false);
	CHECK_STR(buf_text(&hex),
		"0020161a3fe52bbe114ef2f7ab95df8c638ae94f98cea774619f817ef6f112b9d81441cf321dac23e5e4692848d55eb4649a5880");
	buf_clear(&text);
	buf_clear(&out);
	buf_clear(&hex);
}

/* -- The TPM's side ----------------------------------------------------------------------------------------------------------------- */

/* A storage key whose private half is here: a real one's public area with another modulus. */
struct owner {
	EVP_PKEY *pkey;
	struct tpm_public seen;
};

static struct owner
new_owner(const char *like)
{
	struct owner o = { .pkey = EVP_RSA_gen(2048) };
	struct buf bytes = BUF_INIT(TPM_PUBLIC_MAX);
	struct err err = ERR_INIT;
	BIGNUM *n = NULL;

	CHECK(base64_decode(&bytes, like, strlen(like), BASE64_STRICT));
	CHECK(EVP_PKEY_get_bn_param(o.pkey, "n", &n) == 1);
	CHECK_INT(BN_bn2binpad(n, bytes.data + bytes.len - TPM_RSA_LEN, TPM_RSA_LEN), TPM_RSA_LEN);
	CHECK_OK(tpm_public_decode(&o.seen, bytes.data, bytes.len, &err), err);
	BN_free(n);
	buf_clear(&bytes);
	return o;
}

static void
owner_clear(struct owner *o)
{
	EVP_PKEY_free(o->pkey);
}

/* False: another key's, or another label. */
static bool
open_seed(uint8_t seed[static TPM_SEED_LEN], const struct owner *o, const char *label, struct slice secret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, o->pkey, NULL);
	uint8_t plain[TPM_RSA_LEN];
	size_t len = sizeof(plain);
	bool good = EVP_PKEY_decrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
		    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_strdup(label), (int)strlen(label) + 1) == 1 &&
		    EVP_PKEY_decrypt(ctx, plain, &len, (const uint8_t *)secret.text, secret.len) == 1 && len == TPM_SEED_LEN;

	if (good)
		memcpy(seed, plain, TPM_SEED_LEN);
	EVP_PKEY_CTX_free(ctx);
	return good;
}

static void
decrypt(struct buf *out, const uint8_t key[static TPM_AES_LEN], struct slice text)
{
	static const uint8_t zeros[TPM_AES_LEN];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *to = buf_extend(out, text.len);
	int n;

	CHECK(EVP_DecryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, zeros) == 1);
	CHECK(EVP_DecryptUpdate(ctx, to, &n, (const uint8_t *)text.text, (int)text.len) == 1);
	EVP_CIPHER_CTX_free(ctx);
}

static bool
unprotect(struct buf *out, const uint8_t *seed, const uint8_t *name, struct slice part)
{
	struct rd in = rd_over(part.text, part.len);
	struct slice mac = rd_slice16(&in);
	struct slice hidden = rd_slice(&in, rd_left(&in));
	struct buf all = BUF_INIT(1024);
	uint8_t key[DIGEST_SHA256_LEN], wanted[DIGEST_SHA256_LEN];

	tpm_kdf_a(key, sizeof(key), seed, TPM_SEED_LEN, "INTEGRITY", NULL, 0);
	buf_put(&all, hidden.text, hidden.len);
	buf_put(&all, name, TPM_NAME_LEN);
	digest_hmac_sha256(key, sizeof(key), all.data, all.len, wanted);
	buf_clear(&all);
	if (mac.len != sizeof(wanted) || memcmp(mac.text, wanted, sizeof(wanted)) != 0)
		return false;
	tpm_kdf_a(key, TPM_AES_LEN, seed, TPM_SEED_LEN, "STORAGE", name, TPM_NAME_LEN);
	decrypt(out, key, hidden);
	return true;
}

struct parts {
	struct slice credential, credential_seed, object, object_seed, area;
};

static struct parts
parts_of(const struct buf *blob)
{
	struct rd in = rd_over(blob->data, blob->len);
	struct parts p;

	p.credential = rd_slice16(&in);
	p.credential_seed = rd_slice16(&in);
	p.object = rd_slice16(&in);
	p.object_seed = rd_slice16(&in);
	p.area = rd_slice16(&in);
	CHECK(!in.bad);
	CHECK_INT(rd_left(&in), 0);
	return p;
}

static bool
activate(uint8_t inner_key[static TPM_AES_LEN], const struct parts *p, const struct owner *ek, const struct owner *srk)
{
	struct buf plain = BUF_INIT(256);
	uint8_t seed[TPM_SEED_LEN];
	bool good = open_seed(seed, ek, "IDENTITY", p->credential_seed) && unprotect(&plain, seed, srk->seen.name, p->credential);

	if (good) {
		CHECK_INT(plain.len, 2 + TPM_AES_LEN);
		memcpy(inner_key, plain.data + 2, TPM_AES_LEN);
	}
	buf_wipe(&plain);
	return good;
}

static void
import(struct secret *out, const struct parts *p, const uint8_t *inner_key, const struct owner *srk)
{
	struct buf inner = BUF_INIT(512), plain = BUF_INIT(512), all = BUF_INIT(512);
	uint8_t seed[TPM_SEED_LEN], name[TPM_NAME_LEN] = { 0, 0x0b }, digest[DIGEST_SHA256_LEN];
	struct slice given, sensitive, obfuscation, key;
	struct rd in;

	digest_sha256(p->area.text, p->area.len, name + 2);
	CHECK(open_seed(seed, srk, "DUPLICATE", p->object_seed));
	CHECK(unprotect(&inner, seed, name, p->object));
	decrypt(&plain, inner_key, (struct slice){ .text = buf_text(&inner), .len = inner.len });
	in = rd_over(plain.data, plain.len);
	given = rd_slice16(&in);
	buf_put(&all, in.at, rd_left(&in));
	buf_put(&all, name, TPM_NAME_LEN);
	digest_sha256(all.data, all.len, digest);
	CHECK_INT(given.len, sizeof(digest));
	CHECK_MEM(given.text, digest, sizeof(digest));
	sensitive = rd_slice16(&in);
	CHECK(!in.bad && rd_left(&in) == 0);
	in = rd_over(sensitive.text, sensitive.len);
	CHECK_INT(rd_u16(&in), 8); /* a keyed hash */
	CHECK_INT(rd_u16(&in), 0); /* without authorisation */
	obfuscation = rd_slice16(&in);
	key = rd_slice16(&in);
	CHECK(!in.bad && rd_left(&in) == 0);
	secret_set(out, key.text, key.len);
	/* The public area is that of this key. */
	buf_reset(&all);
	buf_put(&all, obfuscation.text, obfuscation.len);
	buf_put(&all, key.text, key.len);
	digest_sha256(all.data, all.len, digest);
	CHECK_MEM(p->area.text + p->area.len - sizeof(digest), digest, sizeof(digest));
	buf_wipe(&inner);
	buf_wipe(&plain);
	buf_wipe(&all);
}

TEST("the TPM that has both keys gets the HMAC key out, with all digests in order")
{
	CLEAR(owner) ek = new_owner(STORY_EK);
	CLEAR(owner) srk = new_owner(STORY_SRK);
	struct buf blob = BUF_INIT(TPM_WRAPPED_MAX);
	struct secret key = { 0 }, got = { 0 };
	uint8_t inner_key[TPM_AES_LEN];
	struct err err = ERR_INIT;
	struct parts p;

	secret_set(&key, "0123456789abcdef0123456789abcdef", 32);
	CHECK_OK(tpm_wrap_key(&blob, &ek.seen, &srk.seen, &key, &err), err);
	p = parts_of(&blob);
	CHECK(activate(inner_key, &p, &ek, &srk));
	import(&got, &p, inner_key, &srk);
	CHECK_INT(got.len, key.len);
	CHECK_MEM(got.bytes, key.bytes, key.len);
	buf_clear(&blob);
}

TEST("another endorsement key opens nothing, and another storage root key does not activate")
{
	CLEAR(owner) ek = new_owner(STORY_EK);
	CLEAR(owner) srk = new_owner(STORY_SRK);
	CLEAR(owner) other = new_owner(STORY_SRK);
	struct buf blob = BUF_INIT(TPM_WRAPPED_MAX);
	uint8_t inner_key[TPM_AES_LEN], seed[TPM_SEED_LEN];
	struct secret key = { .len = 32 };
	struct err err = ERR_INIT;
	struct parts p;

	CHECK_OK(tpm_wrap_key(&blob, &ek.seen, &srk.seen, &key, &err), err);
	p = parts_of(&blob);
	CHECK(!activate(inner_key, &p, &other, &srk));
	CHECK(!activate(inner_key, &p, &ek, &other));
	CHECK(!open_seed(seed, &other, "DUPLICATE", p.object_seed));
	CHECK(!open_seed(seed, &srk, "IDENTITY", p.object_seed));
	buf_clear(&blob);
}

TEST("each blob is another one, of the same shape, for every mix of RSA and P-256")
{
	static const char *const eks[] = { STORY_EK, STORY_EK_P256 }, *const srks[] = { STORY_SRK, STORY_SRK_P256 };
	struct secret key = { .len = 32 };
	struct err err = ERR_INIT;

	for (size_t i = 0; i < 4; i++) {
		struct buf one = BUF_INIT(TPM_WRAPPED_MAX), two = BUF_INIT(TPM_WRAPPED_MAX);
		struct tpm_public ek, srk;
		struct parts a, b;

		CHECK_OK(tpm_public_parse(&ek, eks[i / 2], &err), err);
		CHECK_OK(tpm_public_parse(&srk, srks[i % 2], &err), err);
		CHECK_OK(tpm_wrap_key(&one, &ek, &srk, &key, &err), err);
		CHECK_OK(tpm_wrap_key(&two, &ek, &srk, &key, &err), err);
		a = parts_of(&one);
		b = parts_of(&two);
		CHECK_INT(a.credential_seed.len, i / 2 ? 68 : 256);
		CHECK_INT(a.object_seed.len, i % 2 ? 68 : 256);
		CHECK_INT(one.len, two.len);
		CHECK(memcmp(a.credential.text, b.credential.text, a.credential.len) != 0);
		CHECK(memcmp(a.object.text, b.object.text, a.object.len) != 0);
		buf_clear(&one);
		buf_clear(&two);
	}
}

TEST("a point that is not on the curve is refused")
{
	struct buf blob = BUF_INIT(TPM_WRAPPED_MAX);
	struct secret key = { .len = 32 };
	struct tpm_public ek, srk;
	struct err err = ERR_INIT;

	CHECK_OK(tpm_public_parse(&ek, STORY_EK_P256, &err), err);
	CHECK_OK(tpm_public_parse(&srk, STORY_SRK, &err), err);
	ek.point[64] ^= 1;
	CHECK(tpm_wrap_key(&blob, &ek, &srk, &key, &err) < 0);
	CHECK_CONTAINS(err.text, "no point");
	buf_clear(&blob);
}
