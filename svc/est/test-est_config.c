/* SPDX-License-Identifier: Apache-2.0 */
#include "est/est_story.h"
#include "pki/root_line.h"

#define LABEL "[[label]]\nprofile = \"device\"\n"

TEST("a label that says nothing but its profile has the profile's days and keys, gives everybody his own name, and takes neither "
     "passwords nor bootstrap certificates")
{
	CLEAR(est_story) s = est_story_new();
	OWN(est_config) c = est_story_config(&s, LABEL);
	const struct est_label *l = est_config_label(c, "");

	CHECK(l && est_config_n_labels(c) == 1);
	CHECK_STR(l->profile.name, "est");
	CHECK_STR(l->issuer->name, "plant");
	CHECK_INT(l->profile.lifetime_s, 30 * (int64_t)STORY_DAY);
	CHECK_INT(l->profile.keys, CA_KEY(KEY_EC_P256) | CA_KEY(KEY_EC_P384));
	CHECK(l->may.n == 1 && l->bootstrap_may.n == 1);
	CHECK_STR(l->may.item[0], "{id}");
	CHECK(!l->bootstrap && !l->takes_passwords && !l->demands_linking && !l->demands_approval && !l->announces_key);
	CHECK_INT(l->expired_s, 0);
	CHECK(!est_config_label(c, "other"));
}

TEST("what a label says is what it has")
{
	CLEAR(est_story) s = est_story_new();
	OWN(est_config) c = est_story_config(&s, "[[label]]\nname = \"gates\"\nprofile = \"edge-ca\"\nissuer = \"plant\"\ndays = "
						 "7\npath_length = 2\nkeys = [\"rsa-3072\", \"ec-p384\"]\n"
						 "may = [\"aziot-edge CA {id}\", \"{id}\"]\nbootstrap = "
						 "\"plant.pem\"\nbootstrap_may = [\"dev-*\"]\npasswords = true\nexpired_days = 3\n"
						 "linking = \"required\"\napproval = \"manual\"\n");
	const struct est_label *l = est_config_label(c, "gates");

	CHECK(l);
	CHECK_STR(l->profile.name, "gates");
	CHECK(l->profile.kind == CA_EDGE_CA && l->profile.path_len == 2);
	CHECK_INT(l->profile.lifetime_s, 7 * (int64_t)STORY_DAY);
	CHECK_INT(l->profile.keys, CA_KEY(KEY_RSA_3072) | CA_KEY(KEY_EC_P384));
	CHECK(l->announces_key && l->key == KEY_RSA_3072);
	CHECK(l->may.n == 2 && est_names_hold(&l->bootstrap_may, "dev-1") && l->bootstrap);
	CHECK(l->takes_passwords && l->demands_linking && l->demands_approval);
	CHECK_INT(l->expired_s, 3 * (int64_t)STORY_DAY);
}

TEST("/cacerts shows the CA, those above it to the root, and what is rolling over")
{
	CLEAR(est_story) s = est_story_new();
	struct made line = story_intermediate("line CA", &s.ca), next = story_root("plant CA 2");
	struct err err = ERR_INIT;
	OWN_TEXT key = file_join(s.dir, "line.key");
	OWN(est_config) c = NULL;
	const struct certs *shown;

	est_story_save_cert(&s, "line.pem", line.cert);
	est_story_save_cert(&s, "next.pem", next.cert);
	CHECK_OK(key_save(line.key, key, &err), err);
	c = est_story_try(&s,
		"[issuer.line]\ncertificate = \"line.pem\"\nkey = \"line.key\"\nroot = \"plant.pem\"\nrollover = "
		"\"next.pem\"\n" LABEL,
		&err);
	CHECK(c);
	shown = &est_config_label(c, "")->issuer->shown;
	CHECK_INT(shown->n, 3);
	CHECK(cert_is_same(shown->item[0], line.cert) && cert_is_same(shown->item[1], s.ca.cert) &&
		cert_is_same(shown->item[2], next.cert));
	est_config_free(c);
	c = est_story_try(&s, "[issuer.line]\ncertificate = \"line.pem\"\nkey = \"line.key\"\n" LABEL, &err);
	CHECK(!c);
	CHECK_ERR(err, ERR_INVALID, "no root");
	err = (struct err)ERR_INIT;
	c = est_story_try(&s, "[issuer.line]\ncertificate = \"line.pem\"\nkey = \"line.key\"\nroot = \"next.pem\"\n" LABEL, &err);
	CHECK(!c);
	CHECK_ERR(err, ERR_INVALID, "was not issued by");
	made_clear(&line);
	made_clear(&next);
}

static struct est_config *
with_trust(struct est_story *s, struct err *err)
{
	return est_story_try(s, "[issuer.line]\ncertificate = \"line.pem\"\nkey = \"line.key\"\ntrust = \"trust\"\n" LABEL, err);
}

static struct trust_dir
open_trust(const struct est_story *s)
{
	OWN_TEXT path = file_join(s->dir, "trust");
	struct trust_dir dir;
	struct err err = ERR_INIT;

	CHECK_OK(trust_dir_open(&dir, path, &err), err);
	return dir;
}

TEST("while roots roll over /cacerts shows the CA, the roots and each signed by the other; the configuration is stale after each "
     "step, a CA whose root has retired goes on with those that are left, and one of no root is refused")
{
	CLEAR(est_story) s = est_story_new();
	struct made line = story_intermediate("line CA", &s.ca), other = story_root("other"), stranger;
	struct err err = ERR_INIT;
	OWN_TEXT line_path = file_join(s.dir, "line.pem");
	CLEAR(certs) chain = { 0 };
	CLEAR(buf) pem = BUF_INIT(16384);
	CLEAR(buf) retired = BUF_INIT(4096);
	OWN_TEXT key = file_join(s.dir, "line.key");
	OWN_TEXT old_key = file_join(s.dir, "old.key");
	OWN_TEXT new_key = file_join(s.dir, "new.key");
	struct trust_dir dir = open_trust(&s);
	struct est_config *c, *next;
	char stamp[TRUST_DIR_STAMP_LEN];

	est_story_save_cert(&s, "line.pem", line.cert);
	CHECK_OK(key_save(line.key, key, &err), err);
	CHECK_OK(key_save(s.ca.key, old_key, &err), err);
	CHECK(!with_trust(&s, &err));
	CHECK_CONTAINS(err.text, "trust.json");
	err = (struct err)ERR_INIT;
	CHECK(!est_story_try(&s,
		"[issuer.line]\ncertificate = \"line.pem\"\nkey = \"line.key\"\ntrust = \"trust\"\nroot = \"plant.pem\"\n" LABEL,
		&err));
	CHECK_CONTAINS(err.text, "takes the place of root");
	err = (struct err)ERR_INIT;
	CHECK_OK(rollover_begin(&dir.roots, s.ca.cert, STORY_NOW, &err) < 0 ? -1 : trust_dir_save(&dir, &err), err);
	c = with_trust(&s, &err);
	CHECK(c && est_config_issuer(c, 0)->shown.n == 2);
	CHECK(!est_config_is_stale(c, stamp));
	CHECK_OK(trust_dir_announce(&dir, &(struct trust_wish){ "plant CA 2", new_key, old_key, "ec-p256", STORY_NOW + STORY_DAY },
			 STORY_NOW, &err),
		err);
	CHECK_OK(trust_dir_save(&dir, &err), err);
	CHECK(est_config_is_stale(c, stamp) && *stamp);
	next = with_trust(&s, &err);
	CHECK(next && est_config_issuer(next, 0)->shown.n == 5);
	CHECK(cert_is_same(est_config_issuer(next, 0)->shown.item[0], line.cert));
	CHECK(!est_config_issuer(next, 0)->retired);
	CHECK_OK(rollover_activate(&dir.roots, STORY_NOW, &err) < 0 || rollover_retire(&dir.roots, STORY_NOW, &err) < 0
			 ? -1
			 : trust_dir_save(&dir, &err),
		err);
	est_config_free(c);
	c = with_trust(&s, &err);
	CHECK(c && est_config_issuer(c, 0)->shown.n == 2);
	CHECK_STR(cert_subject(est_config_issuer(c, 0)->shown.item[1]), "CN=plant CA 2");
	root_line_put_fingerprint(&retired, s.ca.cert);
	CHECK_STR(est_config_issuer(c, 0)->retired, buf_text(&retired));
	CHECK_OK(certs_load(&chain, line_path, 1, &err), err);
	certs_add(&chain, s.ca.cert);
	certs_put_pem(&chain, &pem);
	CHECK_OK(file_save(line_path, pem.data, pem.len, 0644, &err), err);
	est_config_free(c);
	c = with_trust(&s, &err);
	CHECK(c && est_config_issuer(c, 0)->shown.n == 2);
	CHECK_STR(cert_subject(est_config_issuer(c, 0)->shown.item[1]), "CN=plant CA 2");
	stranger = story_intermediate("line CA", &other);
	est_story_save_cert(&s, "line.pem", stranger.cert);
	CHECK_OK(key_save(stranger.key, key, &err), err);
	CHECK(!with_trust(&s, &err));
	CHECK_CONTAINS(err.text, "has issued CN=line CA");
	est_config_free(c);
	est_config_free(next);
	trust_dir_clear(&dir);
	made_clear(&line);
	made_clear(&stranger);
	made_clear(&other);
}

TEST("what is wrong is said with its place")
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{ "", "no [issuer.NAME]" },
		{ EST_STORY_ISSUER, "no [[label]]" },
		{ EST_STORY_ISSUER "label = 1\n", "label" },
		{ EST_STORY_ISSUER "[[label]]\n", "profile" },
		{ EST_STORY_ISSUER "[[label]]\nprofile = \"devise\"\n", "'devise' is none of" },
		{ EST_STORY_ISSUER LABEL LABEL, "two labels ''" },
		{ EST_STORY_ISSUER LABEL "name = \"est\"\n", "'est' can't be a label" },
		{ EST_STORY_ISSUER LABEL "name = \"csrattrs\"\n", "'csrattrs' can't be a label" },
		{ EST_STORY_ISSUER LABEL "name = \"a/b\"\n", "can't be a label" },
		{ EST_STORY_ISSUER LABEL "issuer = \"plan\"\n", "no [issuer.plan]" },
		{ EST_STORY_ISSUER "[issuer.b]\ncertificate = \"plant.pem\"\nkey = \"plant.key\"\n" LABEL, "name one" },
		{ EST_STORY_ISSUER LABEL "days = 0\n", "days" },
		{ EST_STORY_ISSUER LABEL "path_length = 9\n", "path_length" },
		{ EST_STORY_ISSUER LABEL "keys = [\"rsa-512\"]\n", "keys" },
		{ EST_STORY_ISSUER LABEL "keys = []\n", "keys" },
		{ EST_STORY_ISSUER LABEL "may = [\"\"]\n", "may" },
		{ EST_STORY_ISSUER LABEL "may = [1]\n", "may" },
		{ EST_STORY_ISSUER LABEL "bootstrap = \"none.pem\"\n", "none.pem" },
		{ EST_STORY_ISSUER LABEL "linking = \"maybe\"\n", "neither optional nor required" },
		{ EST_STORY_ISSUER LABEL "approval = \"maybe\"\n", "neither automatic nor manual" },
		{ EST_STORY_ISSUER LABEL "passwords = \"yes\"\n", "passwords" },
		{ EST_STORY_ISSUER LABEL "dais = 3\n", "dais" },
		{ "[issuer.plant]\ncertificate = \"plant.pem\"\n" LABEL, "key" },
		{ "[issuer.plant]\ncertificate = \"plant.pem\"\nkey = \"none.key\"\n" LABEL, "none.key" },
		{ "[issuer]\nplant = 1\n" LABEL, "expected a table" },
	};
	CLEAR(est_story) s = est_story_new();

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = ERR_INIT;

		CHECK(!est_story_try(&s, rows[i].text, &err));
		CHECK_CONTAINS(err.text, rows[i].part);
	}
}

TEST("another configuration takes its place while a request still holds this one")
{
	CLEAR(est_story) s = est_story_new();
	struct est_config *c = est_story_config(&s, LABEL), *held = est_config_ref(c);

	est_config_free(c);
	CHECK_STR(est_config_label(held, "")->issuer->name, "plant");
	est_config_free(held);
}
