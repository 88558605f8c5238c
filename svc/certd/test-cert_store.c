/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/cert_store.h"
#include "common/id_file.h"
#include "pki/issue.h"
#include "t.h"
#include "wire/json.h"

static char *
pem_of(const char *common_name)
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	struct profile profile = {
		.kind = ISSUE_ROOT, .common_name = common_name, .path_len = -1, .not_before = 1700000000, .not_after = 2000000000
	};
	OWN(cert) cert = issue_cert(&profile, key_pkey(key), &(struct issuer){ .key = key }, &err);
	struct buf pem = BUF_INIT(65536);

	cert_put_pem(cert, &pem);
	return buf_take_text(&pem);
}

static void
put_file(const char *path, const void *data, size_t len)
{
	struct err err = ERR_INIT;

	CHECK_OK(file_save(path, data, len, 0644, &err), err);
}

static struct cert_store *
open_store(const char *name, const char *preloaded)
{
	struct err err = ERR_INIT;
	OWN_TEXT dir = mem_textf("%s/%s", T_TMPDIR, name);
	OWN_LIB(json_t) json = preloaded ? json_parse(preloaded, strlen(preloaded), &err) : NULL;
	struct cert_store *s = cert_store_open(dir, json, &err);

	if (!s)
		fail_msg("%s", err.text);
	return s;
}

/* What GET would answer; NULL when it is refused. */
static char *
get(struct cert_store *s, const char *id, struct err *err)
{
	struct buf pem = BUF_INIT(1024 * 1024);

	*err = (struct err)ERR_INIT;
	if (cert_store_load(s, id, &pem, err) < 0) {
		buf_clear(&pem);
		return NULL;
	}
	return buf_take_text(&pem);
}

TEST("what was saved under an id is read byte for byte, in the file that the original gives it, and deleting makes it missing")
{
	struct cert_store *s = open_store("plain", NULL);
	struct err err = ERR_INIT;
	OWN_TEXT path =
		mem_textf("%s/plain/deviceid-bd732105ef89cf8edd2606a5309c8a26b7b5599a4e124a0fe6199b6b2f60e655.cer", T_TMPDIR);
	OWN_TEXT got = NULL;

	CHECK(!get(s, "device-id", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	CHECK_OK(cert_store_save(s, "device-id", "any text\n", 9, &err), err);
	got = get(s, "device-id", &err);
	CHECK_STR(got, "any text\n");
	CHECK(file_exists(path));
	CHECK_OK(cert_store_delete(s, "device-id", &err), err);
	CHECK_OK(cert_store_delete(s, "device-id", &err), err);
	CHECK(!get(s, "device-id", &err));
	cert_store_close(s);
}

TEST("a list is what its members have, one after the other; members that are not there are left out, and it can't be written")
{
	struct cert_store *s =
		open_store("list", "{\"bundle\":[\"a\",\"absent\",\"b\"],\"none\":[\"absent\"],\"loop\":[\"loop\"]}");
	struct err err = ERR_INIT;
	OWN_TEXT got = NULL;

	CHECK_OK(cert_store_save(s, "a", "A", 1, &err), err);
	CHECK_OK(cert_store_save(s, "b", "B\n", 2, &err), err);
	got = get(s, "bundle", &err);
	CHECK_STR(got, "A\nB\n");
	CHECK(!get(s, "none", &err));
	CHECK_ERR(err, ERR_MISSING, "none");
	CHECK(!get(s, "loop", &err));
	CHECK(cert_store_save(s, "bundle", "x", 1, &err) < 0);
	cert_store_close(s);
}

TEST("atk-08: while a trust bundle's file is broken, the bundle that was good before stays in force")
{
	OWN_TEXT path = mem_textf("%s/bundle.pem", T_TMPDIR);
	OWN_TEXT other = mem_textf("%s/other.pem", T_TMPDIR);
	OWN_TEXT preloaded = mem_textf(
		"{\"trust-bundle-user\":\"%s\",\"aziot-edged-trust-bundle\":[\"aziot-edged-ca\",\"trust-bundle-user\"]}", path);
	OWN_TEXT old = pem_of("old root");
	OWN_TEXT new = pem_of("new root");
	OWN_TEXT half = mem_textf("%s-----BEGIN CERTIFICATE-----\nMIIB!\n-----END CERTIFICATE-----\n", new);
	OWN_TEXT huge = mem_new(2 * 1024 * 1024 + 1);
	const struct {
		const char *data;
		size_t len;
	} broken[] = { { "", 0 }, { "nothing", 7 }, { half, strlen(half) }, { "\x30\x82\x01\x00", 4 }, { huge, 2 * 1024 * 1024 } };
	struct cert_store *s;
	struct err err = ERR_INIT;
	struct rlimit before;
	OWN_TEXT got = NULL;

	memset(huge, 'x', 2 * 1024 * 1024);
	log_set(LOG_ERROR, LOG_TEXT);
	put_file(path, old, strlen(old));
	s = open_store("bundle", preloaded);
	got = get(s, "trust-bundle-user", &err); /* the store reads it by itself, too, aside and in a moment */
	CHECK_STR(got, old);
	mem_free(GIVE(got));
	for (size_t i = 0; i < COUNT(broken); i++) {
		OWN_TEXT still = NULL;

		put_file(path, broken[i].data, broken[i].len);
		still = get(s, "aziot-edged-trust-bundle", &err);
		CHECK_STR(still, old);
	}
	put_file(path, new, strlen(new));
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0 && setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }) == 0);
	got = get(s, "trust-bundle-user", &err);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK_STR(got, old); /* no descriptor left to read it by */
	mem_free(GIVE(got));
	CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
	got = get(s, "trust-bundle-user", &err);
	CHECK_STR(got, old);
	mem_free(GIVE(got));
	CHECK(rmdir(path) == 0);
	got = get(s, "trust-bundle-user", &err);
	CHECK_STR(got, old);
	mem_free(GIVE(got));
	put_file(path, new, strlen(new));
	got = get(s, "aziot-edged-trust-bundle", &err);
	CHECK_STR(got, new);
	mem_free(GIVE(got));
	put_file(other, old, strlen(old)); /* a link to a file is as good as the file */
	CHECK(unlink(path) == 0 && symlink(other, path) == 0);
	got = get(s, "trust-bundle-user", &err);
	CHECK_STR(got, old);
	cert_store_close(s);
}

TEST("atk-08: a bundle that never was good is an error that names its file, not an empty bundle")
{
	OWN_TEXT path = mem_textf("%s/never.pem", T_TMPDIR);
	OWN_TEXT preloaded = mem_textf("{\"trust-bundle-user\":\"%s\",\"bundle\":[\"trust-bundle-user\"]}", path);
	struct cert_store *s;
	struct err err = ERR_INIT;

	put_file(path, "my diary", 8);
	s = open_store("never", preloaded);
	CHECK(!get(s, "trust-bundle-user", &err));
	CHECK_ERR(err, ERR_INVALID, path);
	CHECK(!get(s, "bundle", &err));
	CHECK_ERR(err, ERR_INVALID, path);
	cert_store_close(s);
}

TEST("atk-15: a symbolic link planted in the store is refused")
{
	struct cert_store *s = open_store("planted", NULL);
	struct err err = ERR_INIT;
	OWN_TEXT dir = mem_textf("%s/planted", T_TMPDIR);
	OWN_TEXT place = id_file_path(dir, "a", ".cer", &err);

	CHECK(symlink("/etc/passwd", place) == 0);
	CHECK(!get(s, "a", &err));
	CHECK_ERR(err, ERR_BROKEN, "symbolic link");
	CHECK(cert_store_save(s, "a", "x", 1, &err) < 0);
	cert_store_close(s);
}
