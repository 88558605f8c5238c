/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/trust_dir.h"

#include <unistd.h>

#include "base/file.h"
#include "pki/story.h"

struct site {
	struct made root;
	char *path, *key_path, *new_key_path;
};

static void
site_clear(struct site *s)
{
	made_clear(&s->root);
	mem_free(s->path);
	mem_free(s->key_path);
	mem_free(s->new_key_path);
}

static struct site
begun(const char *name)
{
	struct site s = { .root = story_root("plant root") };
	CLEAR(trust_dir) dir = { .lock = -1 };
	struct err err = ERR_INIT;

	s.path = mem_textf("%s/%s", T_TMPDIR, name);
	s.key_path = mem_textf("%s/%s.key", T_TMPDIR, name);
	s.new_key_path = mem_textf("%s/%s.new.key", T_TMPDIR, name);
	CHECK_OK(key_save(s.root.key, s.key_path, &err), err);
	CHECK_OK(trust_dir_open(&dir, s.path, &err), err);
	CHECK_OK(rollover_begin(&dir.roots, s.root.cert, STORY_NOW, &err), err);
	CHECK_OK(trust_dir_save(&dir, &err), err);
	return s;
}

static int
announce(struct trust_dir *dir, const struct site *s, struct err *err)
{
	return trust_dir_announce(dir,
		&(struct trust_wish){ "plant root 2", s->new_key_path, s->key_path, "ec-p256", STORY_NOW + 30 * STORY_DAY },
		STORY_NOW, err);
}

static size_t
count_bundle(const struct site *s)
{
	OWN_TEXT path = file_join(s->path, "bundle.pem");
	CLEAR(certs) certs = { 0 };
	struct err err = ERR_INIT;

	CHECK_OK(certs_load(&certs, path, 16, &err), err);
	return certs.n;
}

TEST("what is saved is read again, by who changes it and by who only reads: roots, states, cross certificates and the bundle")
{
	CLEAR(site) s = begun("again");
	CLEAR(trust_dir) dir = { .lock = -1 };
	CLEAR(trust_dir) reader = { .lock = -1 };
	struct err err = ERR_INIT;

	CHECK_OK(trust_dir_open(&dir, s.path, &err), err);
	CHECK_OK(announce(&dir, &s, &err), err);
	CHECK_OK(trust_dir_save(&dir, &err), err);
	CHECK_OK(trust_dir_read(&reader, s.path, &err), err);
	CHECK_INT(reader.roots.n, 2);
	CHECK_INT(reader.roots.generation, 2);
	CHECK(cert_is_same(rollover_find(&reader.roots, ROLLOVER_ACTIVE)->cert, s.root.cert));
	CHECK_STR(cert_subject(rollover_find(&reader.roots, ROLLOVER_ANNOUNCED)->cert), "CN=plant root 2");
	CHECK_INT(rollover_find(&reader.roots, ROLLOVER_ANNOUNCED)->since, STORY_NOW);
	CHECK_INT(reader.roots.cross.n, 2);
	CHECK(cert_is_issued_by(reader.roots.cross.item[0], s.root.cert));
	CHECK_INT(count_bundle(&s), 2);
}

TEST("two tools at a time don't change it, and readers don't wait")
{
	CLEAR(site) s = begun("two");
	CLEAR(trust_dir) one = { .lock = -1 };
	CLEAR(trust_dir) other = { .lock = -1 };
	CLEAR(trust_dir) reader = { .lock = -1 };
	struct err err = ERR_INIT;

	CHECK_OK(trust_dir_open(&one, s.path, &err), err);
	CHECK_INT(trust_dir_open(&other, s.path, &err), -1);
	CHECK_INT(err.kind, ERR_CONFLICT);
	err = (struct err)ERR_INIT;
	CHECK_OK(trust_dir_read(&reader, s.path, &err), err);
}

TEST("a disk that fails at any write leaves the state of before or of after, a bundle that fits one of them, and the same "
     "announcement succeeds then with the same key")
{
	for (int n = 1; n < 40; n++) {
		OWN_TEXT name = mem_textf("fault%d", n);
		CLEAR(site) s = begun(name);
		CLEAR(trust_dir) dir = { .lock = -1 };
		CLEAR(trust_dir) after = { .lock = -1 };
		struct err err = ERR_INIT;
		bool failed;

		CHECK_OK(trust_dir_open(&dir, s.path, &err), err);
		file_fault_after = n;
		failed = announce(&dir, &s, &err) < 0 || trust_dir_save(&dir, &err) < 0;
		file_fault_after = 0;
		trust_dir_clear(&dir);
		err = (struct err)ERR_INIT;
		CHECK_OK(trust_dir_open(&after, s.path, &err), err);
		CHECK_INT(count_bundle(&s), after.roots.n);
		if (after.roots.n == 1)
			CHECK_OK(announce(&after, &s, &err) == 0 ? trust_dir_save(&after, &err) : -1, err);
		CHECK_INT(count_bundle(&s), 2);
		if (!failed)
			return;
	}
	fail_msg("it never got through");
}

TEST("the stamp changes with the state, and a folder without one has none")
{
	CLEAR(site) s = begun("stamp");
	CLEAR(trust_dir) dir = { .lock = -1 };
	char before[TRUST_DIR_STAMP_LEN], after[TRUST_DIR_STAMP_LEN], none[TRUST_DIR_STAMP_LEN];
	struct err err = ERR_INIT;

	trust_dir_stamp(s.path, before);
	CHECK_OK(trust_dir_open(&dir, s.path, &err), err);
	CHECK_OK(announce(&dir, &s, &err), err);
	CHECK_OK(trust_dir_save(&dir, &err), err);
	trust_dir_stamp(s.path, after);
	trust_dir_stamp(T_TMPDIR, none);
	CHECK(*before && *after && strcmp(before, after) != 0);
	CHECK_STR(none, "");
}

TEST("another root's key, a name that was here and a kind of key that is none are refused, and no key is made for them")
{
	CLEAR(site) s = begun("refused");
	CLEAR(made) other = story_root("other");
	OWN_TEXT other_key = mem_textf("%s.other", s.key_path);
	CLEAR(trust_dir) dir = { .lock = -1 };
	const struct {
		struct trust_wish wish;
		const char *part;
	} cases[] = {
		{ { "plant root 2", s.new_key_path, other_key, "ec-p256", STORY_NOW + STORY_DAY },
			"is not the key of CN=plant root" },
		{ { "plant root", s.new_key_path, s.key_path, "ec-p256", STORY_NOW + STORY_DAY }, "needs a name of its own" },
		{ { "plant root 2", s.new_key_path, s.key_path, "dsa", STORY_NOW + STORY_DAY }, "there are no 'dsa' keys" },
		{ { "plant root 2", s.new_key_path, s.new_key_path, "ec-p256", STORY_NOW + STORY_DAY },
			"the key of CN=plant root" },
	};
	struct err err = ERR_INIT;

	CHECK_OK(key_save(other.key, other_key, &err), err);
	CHECK_OK(trust_dir_open(&dir, s.path, &err), err);
	for (size_t i = 0; i < COUNT(cases); i++) {
		err = (struct err)ERR_INIT;
		CHECK_INT(trust_dir_announce(&dir, &cases[i].wish, STORY_NOW, &err), -1);
		CHECK_CONTAINS(err.text, cases[i].part);
		CHECK(!file_exists(s.new_key_path));
	}
	CHECK_INT(dir.roots.n, 1);
}

TEST("the key of a root that is or was here makes no other root, under whatever name")
{
	CLEAR(site) s = begun("same key");
	CLEAR(trust_dir) dir = { .lock = -1 };
	const struct trust_wish of_active = { "plant root 2", s.key_path, s.key_path, "ec-p256", STORY_NOW + STORY_DAY },
				of_retired = { "plant root 3", s.new_key_path, s.key_path, "ec-p256", STORY_NOW + STORY_DAY };
	struct err err = ERR_INIT;

	CHECK_OK(trust_dir_open(&dir, s.path, &err), err);
	CHECK_INT(trust_dir_announce(&dir, &of_active, STORY_NOW, &err), -1);
	CHECK_ERR(err, ERR_CONFLICT, "is the key of CN=plant root:");
	err = (struct err)ERR_INIT;
	CHECK_OK(announce(&dir, &s, &err), err);
	CHECK_OK(rollover_retire(&dir.roots, STORY_NOW, &err), err);
	CHECK_INT(trust_dir_announce(&dir, &of_retired, STORY_NOW, &err), -1);
	CHECK_ERR(err, ERR_CONFLICT, "is the key of CN=plant root 2:");
}

TEST("a state that is no state, of a later version, cut off, or with two active roots is refused by name, and left as it is")
{
	static const char *const bad[] = { "", "{", "[]", "{\"version\":2}", "{\"version\":1}", "{\"version\":1,\"roots\":[{}]}",
		"{\"version\":1,\"roots\":[{\"certificate\":\"x\",\"state\":\"active\",\"since\":\"2026-01-01T00:00:00Z\"}]}" };
	CLEAR(site) s = begun("bad");
	OWN_TEXT path = file_join(s.path, "trust.json");

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEAR(trust_dir) dir = { .lock = -1 };
		CLEAR(buf) text = BUF_INIT(1024);
		struct err err = ERR_INIT;

		CHECK_OK(file_save(path, bad[i], strlen(bad[i]), 0644, &err), err);
		CHECK_INT(trust_dir_open(&dir, s.path, &err), -1);
		CHECK_CONTAINS(err.text, "trust.json");
		err = (struct err)ERR_INIT;
		CHECK_OK(file_load(&text, path, &err), err);
		CHECK_STR(buf_text(&text), bad[i]);
	}
}
