/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/id_file.h"
#include "keyd/key_store.h"
#include "t.h"
#include "wire/json.h"

struct place {
	char *dir;
	struct key_store *store;
};

static struct place
open_at(const char *name, const char *preloaded)
{
	struct err err = ERR_INIT;
	struct place p = { .dir = mem_textf("%s/%s", T_TMPDIR, name) };
	OWN_LIB(json_t) json = preloaded ? json_parse(preloaded, strlen(preloaded), &err) : NULL;

	p.store = key_store_open(&(struct key_store_config){ .dir = p.dir, .preloaded = json }, &err);
	if (!p.store)
		fail_msg("%s", err.text);
	return p;
}

static void
reopen(struct place *p)
{
	struct err err = ERR_INIT;

	key_store_close(p->store);
	p->store = key_store_open(&(struct key_store_config){ .dir = p->dir }, &err);
}

static void
close_place(struct place *p)
{
	key_store_close(p->store);
	mem_free(p->dir);
}

static int
take_bytes(struct symmetric_key *key_take, struct secret *out)
{
	OWN(symmetric_key) key = key_take;
	const struct secret *bytes = key ? symmetric_key_bytes(key) : NULL;

	if (bytes)
		secret_set(out, bytes->bytes, bytes->len);
	return bytes ? 0 : -1;
}

static int
create_secret(struct key_store *store, const char *id, struct secret *out, struct err *err)
{
	return take_bytes(key_store_create_symmetric(store, id, KEY_STORE_SIGN, err), out);
}

static int
load_secret(struct key_store *store, const char *id, struct secret *out, struct err *err)
{
	return take_bytes(key_store_load_symmetric(store, id, err), out);
}

static char *
content_of(const char *path)
{
	struct buf text = BUF_INIT(65536);
	struct err err = ERR_INIT;

	CHECK_OK(file_load(&text, path, &err), err);
	return buf_take_text(&text);
}

TEST("a pair is made once and is the same after a restart")
{
	struct place p = open_at("once", NULL);
	struct err err = ERR_INIT;
	OWN(key) first = key_store_create_pair(p.store, "device-id", "ec-p256", &err);
	OWN(key) second = key_store_create_pair(p.store, "device-id", "rsa-2048", &err);
	OWN(key) third = NULL;

	reopen(&p);
	third = key_store_load_pair(p.store, "device-id", &err);
	CHECK(first && second && third);
	CHECK(EVP_PKEY_eq(key_pkey(first), key_pkey(second)) == 1);
	CHECK(EVP_PKEY_eq(key_pkey(first), key_pkey(third)) == 1);
	close_place(&p);
}

TEST("keys are files that only their owner can read, in a folder that only its owner can enter")
{
	struct place p = open_at("modes", NULL);
	struct err err = ERR_INIT;
	struct secret secret;
	OWN(key) key = key_store_create_pair(p.store, "pair", "ec-p256", &err);
	struct stat st;

	CHECK(key != NULL);
	CHECK_OK(create_secret(p.store, "secret", &secret, &err), err);
	CHECK(stat(p.dir, &st) == 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	for (size_t i = 0; i < 2; i++) {
		OWN_TEXT path = id_file_path(p.dir, i ? "pair" : "secret", ".key", &err);

		CHECK(stat(path, &st) == 0);
		CHECK_INT(st.st_mode & 07777, 0600);
	}
	secret_clear(&secret);
	close_place(&p);
}

TEST("a key file that can't be read is an error that names it, and stays as it is")
{
	struct place p = open_at("malformed", NULL);
	struct err err = ERR_INIT;
	OWN_TEXT path = id_file_path(p.dir, "device-id", ".key", &err);
	OWN_TEXT after = NULL;

	CHECK_OK(file_save(path, "half a key", 10, 0600, &err), err);
	CHECK(!key_store_create_pair(p.store, "device-id", "", &err));
	CHECK_ERR(err, ERR_INVALID, path);
	after = content_of(path);
	CHECK_STR(after, "half a key");
	close_place(&p);
}

TEST("an empty symmetric key is an error, not an empty key")
{
	struct place p = open_at("empty", NULL);
	struct err err = ERR_INIT;
	OWN_TEXT path = id_file_path(p.dir, "master", ".key", &err);
	struct secret secret;
	struct stat st;

	CHECK_OK(file_save(path, "", 0, 0600, &err), err);
	CHECK(create_secret(p.store, "master", &secret, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, "an empty key");
	CHECK(stat(path, &st) == 0 && st.st_size == 0);
	close_place(&p);
}

TEST("a key that isn't there is missing, and deleting one makes it so")
{
	struct place p = open_at("missing", NULL);
	struct err err = ERR_INIT;
	OWN(key) key = NULL;

	CHECK(!key_store_load_pair(p.store, "a", &err));
	CHECK_INT(err.kind, ERR_MISSING);
	key = key_store_create_pair(p.store, "a", "ec-p256", &err);
	CHECK(key);
	CHECK_OK(key_store_delete_pair(p.store, "a", &err), err);
	CHECK(!key_store_load_pair(p.store, "a", &err));
	close_place(&p);
}

TEST("moving a pair overwrites the other one and leaves nothing behind")
{
	struct place p = open_at("move", NULL);
	struct err err = ERR_INIT;
	OWN(key) old = key_store_create_pair(p.store, "aziot-edged-ca", "ec-p256", &err);
	OWN(key) new = key_store_create_pair(p.store, "aziot-edged-ca-temp", "ec-p256", &err);
	OWN(key) now = NULL;

	CHECK(old && new);
	CHECK_OK(key_store_move_pair(p.store, "aziot-edged-ca-temp", "aziot-edged-ca", &err), err);
	now = key_store_load_pair(p.store, "aziot-edged-ca", &err);
	CHECK(EVP_PKEY_eq(key_pkey(now), key_pkey(new)) == 1);
	CHECK(!key_store_load_pair(p.store, "aziot-edged-ca-temp", &err));
	close_place(&p);
}

TEST("a preloaded key comes from where the operator says and is never made")
{
	OWN_TEXT path = mem_textf("%s/own.key", T_TMPDIR);
	OWN_TEXT preloaded = mem_textf("{\"mine\":\"%s\",\"absent\":\"%s/absent.key\"}", path, T_TMPDIR);
	struct err err = ERR_INIT;
	OWN(key) own = key_generate(KEY_EC_P256, &err);
	OWN(key) loaded = NULL;
	struct place p;

	CHECK_OK(key_save(own, path, &err), err);
	p = open_at("preloaded", preloaded);
	loaded = key_store_load_pair(p.store, "mine", &err);
	CHECK(loaded && EVP_PKEY_eq(key_pkey(own), key_pkey(loaded)) == 1);
	CHECK(!key_store_create_pair(p.store, "absent", "", &err));
	CHECK_ERR(err, ERR_MISSING, "absent.key");
	close_place(&p);
}

TEST("an imported key has 1 to SECRET_MAX bytes")
{
	struct place p = open_at("import", NULL);
	struct err err = ERR_INIT;
	struct secret secret;
	uint8_t bytes[SECRET_MAX + 1] = { 1 };

	CHECK(key_store_import_symmetric(p.store, "k", KEY_STORE_SIGN, bytes, 0, &err) < 0);
	CHECK(key_store_import_symmetric(p.store, "k", KEY_STORE_SIGN, bytes, sizeof(bytes), &err) < 0);
	CHECK_OK(key_store_import_symmetric(p.store, "k", KEY_STORE_SIGN, bytes, SECRET_MAX, &err), err);
	CHECK_OK(load_secret(p.store, "k", &secret, &err), err);
	CHECK_INT(secret.len, SECRET_MAX);
	CHECK_MEM(secret.bytes, bytes, SECRET_MAX);
	close_place(&p);
}

TEST("atk-15: a symbolic link planted in the store is refused, for reading and for writing")
{
	struct place p = open_at("planted", NULL);
	struct err err = ERR_INIT;
	OWN_TEXT elsewhere = mem_textf("%s/elsewhere", T_TMPDIR);
	OWN_TEXT path = id_file_path(p.dir, "k", ".key", &err);
	OWN_TEXT after = NULL;
	struct secret secret;

	CHECK_OK(file_save(elsewhere, "known to all", 12, 0644, &err), err);
	CHECK(symlink(elsewhere, path) == 0);
	CHECK(load_secret(p.store, "k", &secret, &err) < 0);
	CHECK_ERR(err, ERR_BROKEN, "symbolic link");
	CHECK(!key_store_create_pair(p.store, "k", "", &err));
	CHECK(key_store_import_symmetric(p.store, "k", KEY_STORE_SIGN, "mine", 4, &err) < 0);
	after = content_of(elsewhere);
	CHECK_STR(after, "known to all");
	close_place(&p);
}

TEST("no crash point leaves an id with an empty or half-written key")
{
	for (int n = 1; n <= 4; n++) {
		OWN_TEXT name = mem_textf("crash%d", n);
		struct place p = open_at(name, NULL);
		struct err err = ERR_INIT;
		struct secret made = { 0 }, found = { 0 };
		int status;

		file_fault_after = n;
		status = create_secret(p.store, "master", &made, &err);
		file_fault_after = 0;
		reopen(&p);
		err = (struct err)ERR_INIT;
		if (load_secret(p.store, "master", &found, &err) == 0)
			CHECK_INT(found.len, 32);
		else
			CHECK_INT(err.kind, ERR_MISSING);
		if (status == 0)
			CHECK_MEM(found.bytes, made.bytes, 32);
		close_place(&p);
	}
}

TEST("a pair is no symmetric key, and none is put in its place")
{
	struct place p = open_at("kinds", NULL);
	struct err err = ERR_INIT;
	struct secret secret = { 0 };
	OWN(key) pair = key_store_create_pair(p.store, "ca", "ec-p256", &err);
	OWN(key) after = NULL;

	CHECK(pair != NULL);
	CHECK(load_secret(p.store, "ca", &secret, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "key pair");
	CHECK(create_secret(p.store, "ca", &secret, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "key pair");
	CHECK(key_store_import_symmetric(p.store, "ca", KEY_STORE_SIGN, "0123456789abcdef", 16, &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "key pair");
	reopen(&p);
	err = (struct err)ERR_INIT;
	after = key_store_load_pair(p.store, "ca", &err);
	CHECK(after && EVP_PKEY_eq(key_pkey(pair), key_pkey(after)) == 1);
	close_place(&p);
}
