/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/revocations.h"

#include "base/file.h"
#include "pki/crl.h"
#include "pki/story.h"
#include "wire/pem.h"

static void
list(struct buf *out, const struct made *ca, const struct made *const *revoked, size_t n)
{
	OWN(crl) crl = crl_new(7, STORY_NOW, STORY_NOW + 7 * STORY_DAY);
	struct err err = ERR_INIT;

	for (size_t i = 0; i < n; i++) {
		OWN_TEXT serial = cert_serial_hex(revoked[i]->cert);

		CHECK_OK(crl_add(crl, serial, STORY_NOW, CRL_KEY_COMPROMISE, &err), err);
	}
	CHECK_OK(crl_sign(crl, ca->cert, ca->key, out, &err), err);
}

TEST("a list of a CA revokes what it names, of that CA alone, and holds as a file in DER and in PEM")
{
	struct made root = story_root("plant CA"), other = story_root("other CA"), bad = story_device("dev-1", &root),
		    good = story_device("dev-2", &root);
	struct made twin = story_device("dev-1", &other);
	struct certs cas = { .item = &root.cert, .n = 1 };
	CLEAR(buf) der = BUF_INIT(65536);
	CLEAR(buf) pem = BUF_INIT(65536);
	struct err err = ERR_INIT;

	list(&der, &root, (const struct made *[]){ &bad }, 1);
	pem_put(&pem, "X509 CRL", der.data, der.len);
	for (int i = 0; i < 2; i++) {
		OWN(revocations) set = revocations_new();
		const struct buf *file = i == 0 ? &der : &pem;

		CHECK_OK(revocations_add(set, file->data, file->len, &cas, &err), err);
		CHECK(revocations_have(set, bad.cert) && !revocations_have(set, good.cert) && !revocations_have(set, twin.cert));
		CHECK_INT(revocations_count(set), 1);
		CHECK_INT(revocations_next(set), STORY_NOW + 7 * STORY_DAY);
	}
	CHECK(!revocations_have(NULL, bad.cert));
	made_clear(&root);
	made_clear(&other);
	made_clear(&bad);
	made_clear(&good);
	made_clear(&twin);
}

TEST("a list that no known CA has signed, or a CA of the same name with another key, adds nothing; a CA in the file itself counts")
{
	struct made root = story_root("plant CA"), forger = story_root("plant CA"), device = story_device("dev-1", &root);
	struct certs cas = { .item = &root.cert, .n = 1 };
	CLEAR(buf) der = BUF_INIT(65536);
	CLEAR(buf) pem = BUF_INIT(65536);
	OWN(revocations) set = revocations_new();
	struct err err = ERR_INIT;

	list(&der, &forger, (const struct made *[]){ &device }, 1);
	CHECK(revocations_add(set, der.data, der.len, &cas, &err) < 0);
	CHECK_ERR(err, ERR_DENIED, "plant CA");
	err = (struct err)ERR_INIT;
	CHECK(revocations_add(set, der.data, der.len, NULL, &err) < 0);
	CHECK_INT(revocations_count(set), 0);
	buf_reset(&der);
	list(&der, &root, (const struct made *[]){ &device }, 1);
	pem_put(&pem, "X509 CRL", der.data, der.len);
	cert_put_pem(root.cert, &pem);
	err = (struct err)ERR_INIT;
	CHECK_OK(revocations_add(set, pem.data, pem.len, NULL, &err), err);
	CHECK(revocations_have(set, device.cert));
	made_clear(&root);
	made_clear(&forger);
	made_clear(&device);
}

TEST("no byte of a list may change, none may be missing, and what is no list is none")
{
	static const char *const crooked[] = { "", "0", "rubbish", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n",
		"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n" };
	struct made root = story_root("plant CA"), device = story_device("dev-1", &root);
	struct certs cas = { .item = &root.cert, .n = 1 };
	CLEAR(buf) der = BUF_INIT(65536);
	OWN(revocations) set = revocations_new();
	struct err err = ERR_INIT;

	list(&der, &root, (const struct made *[]){ &device }, 1);
	for (size_t i = 0; i < der.len; i++) {
		der.data[i] ^= 1;
		if (revocations_add(set, der.data, der.len, &cas, &err) == 0)
			fail_msg("byte %zu may change", i);
		der.data[i] ^= 1;
	}
	CHECK(revocations_add(set, der.data, der.len - 1, &cas, &err) < 0);
	for (size_t i = 0; i < COUNT(crooked); i++)
		CHECK(revocations_add(set, crooked[i], strlen(crooked[i]), &cas, &err) < 0);
	CHECK_INT(revocations_count(set), 0);
	made_clear(&root);
	made_clear(&device);
}

TEST("a set in a file of its own is the same, no byte of it may change, and it is written only where it says something else")
{
	struct made root = story_root("plant CA"), a = story_device("dev-1", &root), b = story_device("dev-2", &root);
	struct certs cas = { .item = &root.cert, .n = 1 };
	CLEAR(buf) der = BUF_INIT(65536);
	CLEAR(buf) saved = BUF_INIT(65536);
	OWN(revocations) set = revocations_new();
	OWN(revocations) again = revocations_new();
	OWN_TEXT path = file_join(T_TMPDIR, "revoked");
	struct file_version first, then;
	struct err err = ERR_INIT;

	CHECK(revocations_load(again, path, &err) < 0 && err.kind == ERR_MISSING);
	list(&der, &root, (const struct made *[]){ &a, &b }, 2);
	CHECK(revocations_add(set, der.data, der.len, &cas, &err) == 0);
	CHECK(revocations_add(set, der.data, der.len, &cas, &err) == 0);
	CHECK_INT(revocations_count(set), 2);
	CHECK(revocations_save(set, path, &err) == 0);
	first = file_version(path);
	CHECK(revocations_load(again, path, &err) == 0);
	CHECK(revocations_count(again) == 2 && revocations_have(again, a.cert) && revocations_have(again, b.cert));
	CHECK(revocations_save(again, path, &err) == 0);
	then = file_version(path);
	CHECK(file_version_is(&then, &first));
	CHECK(file_load(&saved, path, &err) == 0);
	for (size_t i = 0; i <= saved.len; i++) {
		OWN(revocations) none = revocations_new();

		if (i < saved.len)
			saved.data[i] ^= 1;
		CHECK(file_save_unsynced(path, saved.data, i < saved.len ? saved.len : saved.len - 1, 0600, &err) == 0);
		CHECK(revocations_load(none, path, &err) < 0 && revocations_count(none) == 0);
		if (i < saved.len)
			saved.data[i] ^= 1;
	}
	made_clear(&root);
	made_clear(&a);
	made_clear(&b);
}
