/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>

#include "pki/est.h"
#include "pki/est_attributes.h"
#include "pki/story.h"
#include "wire/codec.h"

struct fixture {
	struct made root, device;
	struct certs chain;
	struct buf text; /* the chain as EST has it */
};

static void
begin(struct fixture *f)
{
	struct err err = ERR_INIT;

	*f = (struct fixture){ .text = BUF_INIT(4 * EST_BODY_MAX) };
	f->root = story_root("Root");
	f->device = story_device("TempSensor", &f->root);
	certs_add(&f->chain, f->device.cert);
	certs_add(&f->chain, f->root.cert);
	CHECK_OK(est_put_certs(&f->text, &f->chain, &err), err);
}

static void
end(struct fixture *f)
{
	buf_clear(&f->text);
	certs_clear(&f->chain);
	made_clear(&f->device);
	made_clear(&f->root);
}

/* What is read of this body is the chain. */
static void
check_chain(const struct fixture *f, const void *body, size_t len)
{
	struct err err = ERR_INIT;
	struct certs read = { 0 };

	CHECK_OK(est_take_certs(&read, body, len, &err), err);
	CHECK_INT(read.n, f->chain.n);
	for (size_t i = 0; i < read.n; i++)
		CHECK(cert_is_same(read.item[i], f->chain.item[i]));
	certs_clear(&read);
}

static void
check_refused(const void *body, size_t len, const char *why)
{
	struct err err = ERR_INIT;
	struct certs read = { 0 };

	CHECK(est_take_certs(&read, body, len, &err) < 0);
	CHECK_INT(read.n, 0);
	if (!strstr(err.text, why))
		fail_msg("'%s' does not say '%s'", err.text, why);
}

TEST("certificates are written in lines of 64 with a final line end, and read back in their order")
{
	struct fixture f;
	const char *line, *text;

	begin(&f);
	text = buf_text(&f.text);
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		CHECK(strchr(line, '\n'));
		CHECK(strchr(line, '\n') - line == 64 || !strchr(line, '\n')[1]);
	}
	check_chain(&f, text, f.text.len);
	end(&f);
}

TEST("white space may stand anywhere, or nowhere; PEM and DER are read too")
{
	struct err err = ERR_INIT;
	struct buf one = BUF_INIT(4 * EST_BODY_MAX), der = BUF_INIT(EST_BODY_MAX), pem = BUF_INIT(4 * EST_BODY_MAX);
	struct fixture f;

	begin(&f);
	for (size_t i = 0; i < f.text.len; i++)
		if (!isspace(f.text.data[i]))
			buf_putc(&one, (char)f.text.data[i]);
	check_chain(&f, one.data, one.len);
	CHECK_OK(est_take_der(&der, "PKCS7", one.data, one.len, &err), err);
	check_chain(&f, der.data, der.len);
	buf_reset(&one);
	for (size_t i = 0; i < f.text.len; i++)
		buf_putf(&one, "%c%s", f.text.data[i], i % 7 == 0 ? " \t\r\n" : "");
	check_chain(&f, one.data, one.len);
	buf_puts(&pem, "\n-----BEGIN PKCS7-----\n");
	buf_put(&pem, f.text.data, f.text.len);
	buf_puts(&pem, "-----END PKCS7-----\n");
	check_chain(&f, pem.data, pem.len);
	buf_clear(&pem);
	buf_clear(&one);
	buf_clear(&der);
	end(&f);
}

TEST("what is no message of certificates is refused, each for its reason")
{
	struct err err = ERR_INIT;
	struct buf der = BUF_INIT(EST_BODY_MAX), many = BUF_INIT(4 * EST_BODY_MAX), huge = BUF_INIT(2 * EST_BODY_MAX);
	struct certs crowd = { 0 };
	struct fixture f;

	begin(&f);
	check_refused("", 0, "neither base64 nor DER");
	check_refused("<html>", 6, "neither base64 nor DER");
	check_refused("aGVsbG8=", 8, "not a CMS message");
	check_refused("MAA=", 4, "not a CMS message");
	check_refused("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", 60, "PKCS7 was expected");
	CHECK_OK(est_take_der(&der, "PKCS7", f.text.data, f.text.len, &err), err);
	check_refused(der.data, der.len - 1, "not a CMS message");
	buf_putc(&der, 0);
	check_refused(der.data, der.len, "not a CMS message");
	for (int i = 0; i <= EST_CERTS_MAX; i++)
		certs_add(&crowd, f.root.cert);
	CHECK_OK(est_put_certs(&many, &crowd, &err), err);
	check_refused(many.data, many.len, "more than 32 certificates");
	certs_clear(&crowd);
	buf_reset(&many);
	CHECK_OK(est_put_certs(&many, &crowd, &err), err);
	check_refused(many.data, many.len, "without certificates");
	memset(buf_extend(&huge, EST_BODY_MAX + 1), 'A', EST_BODY_MAX + 1);
	check_refused(huge.data, huge.len, "larger than");
	buf_clear(&huge);
	buf_clear(&many);
	buf_clear(&der);
	end(&f);
}

TEST("a request is read as base64, PEM or DER, and its proof of possession is verified")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct buf pem = BUF_INIT(EST_BODY_MAX), der = BUF_INIT(EST_BODY_MAX), text = BUF_INIT(EST_BODY_MAX);

	CHECK_OK(issue_csr(&pem, key, "TempSensor", NULL, 0, &err), err);
	CHECK_OK(est_take_der(&der, "CERTIFICATE REQUEST", pem.data, pem.len, &err), err);
	est_put_der(&text, der.data, der.len);
	for (int i = 0; i < 3; i++) {
		const struct buf *body = (const struct buf *[]){ &pem, &der, &text }[i];
		OWN(csr) csr = est_take_csr(body->data, body->len, &err);

		CHECK(csr);
		CHECK_STR(csr_common_name(csr), "TempSensor");
	}
	der.data[der.len - 1] ^= 1;
	CHECK(!est_take_csr(der.data, der.len, &err));
	CHECK(!est_take_csr("", 0, &err));
	buf_clear(&text);
	buf_clear(&der);
	buf_clear(&pem);
}

/* est.md: challengePassword, EC secp384r1, extensionRequest macAddress, ecdsa-with-SHA384 (RFC 7030 4.5.2). */
static const char rfc[] = "MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==";

TEST("the attributes of RFC 7030's example are understood, the unknown one is overlooked")
{
	struct err err = ERR_INIT;
	struct est_attributes wishes;

	CHECK_OK(est_take_attributes(&wishes, rfc, strlen(rfc), &err), err);
	CHECK(wishes.challenge_password && wishes.has_key);
	CHECK_INT(wishes.key, KEY_EC_P384);
	CHECK_INT(wishes.digest_bits, 384);
}

TEST("attributes are read as they were written, for every kind of key")
{
	static const int digests[] = { 0, 256, 384, 512 };

	for (int key = KEY_EC_P256; key <= KEY_ED25519; key++)
		for (size_t i = 0; i < COUNT(digests); i++) {
			struct est_attributes wishes = { i % 2, true, (enum key_alg)key, key == KEY_ED25519 ? 0 : digests[i] },
					      read;
			struct buf text = BUF_INIT(EST_BODY_MAX);
			struct err err = ERR_INIT;

			CHECK_OK(est_put_attributes(&text, &wishes, &err), err);
			CHECK_OK(est_take_attributes(&read, text.data, text.len, &err), err);
			CHECK(read.challenge_password == wishes.challenge_password && read.has_key);
			CHECK_INT(read.key, key);
			CHECK_INT(read.digest_bits, wishes.digest_bits);
			buf_clear(&text);
		}
}

TEST("no wishes, and what is no sequence of them")
{
	static const char *const bad[] = { "MA", "AgEB", "MAMCAQE=", "MIIB",
		"MBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWAA==", "MAkwBwYFK4EEACI=", "?" };
	struct est_attributes wishes = { true, true, KEY_RSA_4096, 512 };
	struct err err = ERR_INIT;

	CHECK_OK(est_take_attributes(&wishes, "", 0, &err), err);
	CHECK(!wishes.challenge_password && !wishes.has_key && wishes.digest_bits == 0);
	CHECK_OK(est_take_attributes(&wishes, "MAA=\n", 5, &err), err);
	CHECK(!wishes.has_key);
	CHECK_OK(est_take_attributes(&wishes, "0\0", 2, &err), err);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (est_take_attributes(&wishes, bad[i], strlen(bad[i]), &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
}
