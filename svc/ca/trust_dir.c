/* SPDX-License-Identifier: Apache-2.0 */
/* trust.json, bundle.pem, and the making of what goes in (trust_dir.h). */
#include "ca/trust_dir.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "pki/issue.h"
#include "wire/json.h"

#define STATE_FILE "trust.json"
#define BUNDLE_FILE "bundle.pem"
#define LOCK_FILE "lock"
#define VERSION 1
#define FILE_MAX (1024 * 1024)
#define CROSS_MAX 2

/* -- Reading ------------------------------------------------------------------------------------------------------------------------ */

static int
read_cert(struct certs *out, const json_t *object, const char *key, struct err *err)
{
	const char *pem;

	if (json_get_text(object, key, &pem, err) < 0)
		return -1;
	return certs_parse(out, pem, strlen(pem), 1, err);
}

static int
read_root(struct rollover *r, const json_t *object, struct err *err)
{
	CLEAR(certs) one = { 0 };
	const char *state, *since;
	struct rollover_root root;

	if (r->n == ROLLOVER_ROOTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d roots", ROLLOVER_ROOTS_MAX);
	if (read_cert(&one, object, "certificate", err) < 0 || json_get_text(object, "state", &state, err) < 0 ||
		json_get_text(object, "since", &since, err) < 0)
		return -1;
	if (!rollover_state_parse(state, &root.state) || !clock_parse(since, &root.since))
		return err_set(err, ERR_INVALID, "'%.40s' since '%.40s' is no state of a root", state, since);
	root.cert = cert_ref(one.item[0]);
	r->roots[r->n++] = root;
	return 0;
}

static int
read_cross(struct rollover *r, const json_t *text, struct err *err)
{
	CLEAR(certs) one = { 0 };
	const char *pem = json_string_value(text);

	if (!pem || r->cross.n == CROSS_MAX)
		return err_set(err, ERR_INVALID, "cross: at most %d certificates, PEM", CROSS_MAX);
	if (certs_parse(&one, pem, strlen(pem), 1, err) < 0)
		return -1;
	certs_add(&r->cross, one.item[0]);
	return 0;
}

static int
read_json(struct rollover *r, const json_t *json, struct err *err)
{
	int64_t version = 0;
	json_t *roots = NULL, *cross = NULL, *item;
	size_t i;

	if (json_find_int(json, "version", &version, err) < 0)
		return -1;
	if (version != VERSION)
		return err_set(err, ERR_INVALID, "it is of version %lld, and this program knows %d", (long long)version, VERSION);
	if (json_find_int(json, "generation", &r->generation, err) < 0 || json_find_array(json, "roots", &roots, err) < 0 ||
		json_find_array(json, "cross", &cross, err) < 0)
		return -1;
	json_array_foreach(roots, i, item)
		if (read_root(r, item, err) < 0)
			return -1;
	json_array_foreach(cross, i, item)
		if (read_cross(r, item, err) < 0)
			return -1;
	return rollover_check(r, err);
}

static int
load(struct trust_dir *dir, struct err *err)
{
	OWN_TEXT path = file_join(dir->path, STATE_FILE);
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	OWN_LIB(json_t) json = NULL;

	if (file_load(&text, path, err) < 0)
		return -1;
	json = json_parse(text.data, text.len, err);
	return json && read_json(&dir->roots, json, err) == 0 ? 0 : err_wrap(err, "%s", path);
}

int
trust_dir_read(struct trust_dir *dir, const char *path, struct err *err)
{
	*dir = (struct trust_dir){ .path = mem_text(path), .lock = -1 };
	return load(dir, err);
}

void
trust_dir_clear(struct trust_dir *dir)
{
	if (dir->path && dir->lock >= 0)
		close(dir->lock);
	mem_free(dir->path);
	rollover_clear(&dir->roots);
	*dir = (struct trust_dir){ .lock = -1 };
}

void
trust_dir_stamp(const char *dir, char out[static TRUST_DIR_STAMP_LEN])
{
	OWN_TEXT path = file_join(dir, STATE_FILE);
	struct stat st;

	*out = '\0';
	if (stat(path, &st) == 0)
		snprintf(out, TRUST_DIR_STAMP_LEN, "%llx-%llx-%llx", (unsigned long long)st.st_ino,
			(unsigned long long)st.st_mtim.tv_sec, (unsigned long long)st.st_mtim.tv_nsec);
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------ */

static json_t *
root_json(const struct rollover_root *root)
{
	char since[CLOCK_TEXT_LEN], fingerprint[CERT_FINGERPRINT_LEN];
	OWN_TEXT pem = cert_pem(root->cert);

	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "subject", cert_subject(root->cert), "state",
		rollover_state_name(root->state), "since", clock_text(root->since, since), "sha256",
		cert_fingerprint(root->cert, fingerprint), "certificate", pem);
}

static json_t *
state_json(const struct rollover *r)
{
	json_t *roots = json_array(), *cross = json_array();

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(roots, root_json(&r->roots[i]));
	for (size_t i = 0; i < r->cross.n; i++) {
		OWN_TEXT pem = cert_pem(r->cross.item[i]);

		json_array_append_new(cross, json_string(pem));
	}
	return json_pack("{s:i, s:I, s:o, s:o}", "version", VERSION, "generation", (json_int_t)r->generation, "roots", roots,
		"cross", cross);
}

static int
save_bundle(const struct trust_dir *dir, struct err *err)
{
	OWN_TEXT path = file_join(dir->path, BUNDLE_FILE);
	CLEAR(buf) pem = BUF_INIT(FILE_MAX);
	CLEAR(certs) roots = { 0 };

	rollover_bundle(&dir->roots, &roots);
	certs_put_pem(&roots, &pem);
	return file_save(path, pem.data, pem.len, 0644, err);
}

int
trust_dir_save(const struct trust_dir *dir, struct err *err)
{
	OWN_TEXT path = file_join(dir->path, STATE_FILE);
	OWN_LIB(json_t) json = state_json(&dir->roots);
	OWN_TEXT text = json_line(json);

	if (file_save(path, text, strlen(text), 0644, err) < 0)
		return -1;
	return save_bundle(dir, err);
}

int
trust_dir_open(struct trust_dir *dir, const char *path, struct err *err)
{
	OWN_TEXT state = file_join(path, STATE_FILE);
	OWN_TEXT lock = file_join(path, LOCK_FILE);

	*dir = (struct trust_dir){ .lock = -1 };
	if (file_make_dir(path, 0755, err) < 0)
		return -1;
	dir->lock = file_lock(AT_FDCWD, lock, err);
	if (dir->lock < 0)
		return err_wrap(err, "%s", path);
	dir->path = mem_text(path);
	file_remove_leftovers(path);
	if (!file_exists(state))
		return 0;
	return load(dir, err) < 0 ? -1 : save_bundle(dir, err);
}

/* -- Another root ------------------------------------------------------------------------------------------------------------------- */

static struct key *
make_key(const struct trust_wish *wish, struct err *err)
{
	OWN(key) key = NULL;
	enum key_alg alg;

	if (file_exists(wish->key_path))
		return key_load(wish->key_path, err);
	if (!key_alg_parse(wish->key_alg, &alg))
		return err_null(err, ERR_INVALID, "there are no '%.40s' keys", wish->key_alg);
	key = key_generate(alg, err);
	return key && key_save(key, wish->key_path, err) == 0 ? GIVE(key) : NULL;
}

/* A root under another name with a key that was here before is the old one over again: whoever has that key is trusted on, retired or not. */
static int
check_key_is_new(const struct rollover *r, const struct key *key, const char *path, struct err *err)
{
	for (size_t i = 0; i < r->n; i++)
		if (cert_matches_key(r->roots[i].cert, key))
			return err_set(err, ERR_CONFLICT, "%s is the key of %s: the new root needs a key of its own", path,
				cert_subject(r->roots[i].cert));
	return 0;
}

static int
sign_crosswise(
	struct rollover *r, struct cert *root, const struct key *key, const struct key *active_key, int64_t now, struct err *err)
{
	const struct cert *active = rollover_find(r, ROLLOVER_ACTIVE)->cert;
	OWN(cert) new_with_old = issue_cross(root, &(struct issuer){ active, active_key }, err);
	OWN(cert) old_with_new = new_with_old ? issue_cross(active, &(struct issuer){ root, key }, err) : NULL;

	return old_with_new ? rollover_announce(r, root, new_with_old, old_with_new, now, err) : -1;
}

int
trust_dir_announce(struct trust_dir *dir, const struct trust_wish *wish, int64_t now, struct err *err)
{
	struct profile profile = { .kind = ISSUE_ROOT,
		.common_name = wish->name,
		.path_len = -1,
		.not_before = now - ISSUE_BACKDATE_S,
		.not_after = wish->not_after };
	OWN_TEXT subject = mem_textf("CN=%s", wish->name);
	OWN(key) active_key = NULL;
	OWN(key) key = NULL;
	OWN(cert) root = NULL;

	if (rollover_may_announce(&dir->roots, subject, err) < 0)
		return -1;
	active_key = key_load(wish->active_key_path, err);
	if (!active_key)
		return err_wrap(err, "the key of %s", cert_subject(rollover_find(&dir->roots, ROLLOVER_ACTIVE)->cert));
	if (!cert_matches_key(rollover_find(&dir->roots, ROLLOVER_ACTIVE)->cert, active_key))
		return err_set(err, ERR_INVALID, "%s is not the key of %s", wish->active_key_path,
			cert_subject(rollover_find(&dir->roots, ROLLOVER_ACTIVE)->cert));
	key = make_key(wish, err);
	if (!key || check_key_is_new(&dir->roots, key, wish->key_path, err) < 0)
		return -1;
	root = issue_cert(&profile, key_pkey(key), &(struct issuer){ .key = key }, err);
	return root ? sign_crosswise(&dir->roots, root, key, active_key, now, err) : -1;
}
