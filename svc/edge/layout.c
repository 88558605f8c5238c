/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder. */
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/id_file.h"
#include "edge/layout.h"
#include "pki/cert.h"
#include "wire/json.h"
#include "wire/tss_key.h"

#define OPERATORS_FILE_MAX (4 * 1024 * 1024)
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

static const char *const role_names[] = { "keyd", "certd", "identityd", "edged", "gateway" };

const char *
layout_role_name(enum layout_role role)
{
	return role_names[role];
}

/* Can the roles have users of their own?  Not in a user namespace whose root has just itself, nor where those users could not even reach the state folder (a folder
 * of root's on the way).  Tried out in a child. */
static bool
can_change_user(uid_t first, const char *state)
{
	int status = 1;
	pid_t pid;

	if (geteuid() != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		for (uid_t uid = first + ROLE_COUNT - 1; uid >= first; uid--)
			if (setgroups(0, NULL) < 0 || setresgid(uid, uid, 0) < 0 || setresuid(uid, uid, 0) < 0 ||
				access(state, X_OK) < 0 || setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0)
				_exit(1);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0;
}

/* -- Folders --------------------------------------------------------------------------------------------------------------------------- */

static uid_t tree_uid;

static int
own_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	return st->st_uid == tree_uid ? 0 : lchown(path, tree_uid, (gid_t)tree_uid);
}

/* A role owns the folder that this one lies in, so no link is followed that it may have put here. */
static int
make_dir(const struct layout *l, enum layout_role role, const char *path, mode_t mode, struct err *err)
{
	int fd, status;

	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return err_errno(err, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "%s: a folder must be here, and no link to one", path);
	status = fchmod(fd, mode) < 0 || (geteuid() == 0 && fchown(fd, l->uids[role], (gid_t)l->uids[role]) < 0)
			 ? err_errno(err, "%s", path)
			 : 0;
	close(fd);
	if (status < 0 || geteuid() != 0)
		return status;
	tree_uid = l->uids[role]; /* another uid range than last time: everything in it moves along */
	return nftw(path, own_one, 16, FTW_PHYS) < 0 ? err_errno(err, "giving %s to user %u", path, l->uids[role]) : 0;
}

/* Socket folders are made anew, so that no stale socket is met and last time's secret name is worth nothing. */
static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
empty_dir(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0 || nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH) == 0)
		return 0;
	return err_errno(err, "emptying %s", path);
}

static int
make_dirs(struct layout *l, struct err *err)
{
	static const mode_t modes[] = {
		[ROLE_KEYD] = 0700,
		[ROLE_CERTD] = 0755,
		[ROLE_IDENTITYD] = 0700,
		[ROLE_EDGED] = 0711, /* modules reach their sockets through it */
		[ROLE_GATEWAY] = 0700,
	};
	OWN_TEXT run = mem_textf("%s/run", l->state);
	OWN_TEXT certs = mem_textf("%s/certs", l->dirs[ROLE_CERTD]);

	if (empty_dir(run, err) < 0)
		return -1;
	for (int r = 0; r < ROLE_COUNT; r++)
		if (make_dir(l, (enum layout_role)r, l->dirs[r], modes[r], err) < 0)
			return -1;
	if (make_dir(l, ROLE_CERTD, certs, 0755, err) < 0)
		return -1;
	if (make_dir(l, ROLE_EDGED, l->mnt, 0711, err) < 0 || file_make_dir(run, 0711, err) < 0)
		return -1;
	if (chmod(run, 0711) < 0)
		return err_errno(err, "%s", run);
	/* With users of their own the roles make their sockets in a folder that each may write to. */
	for (int r = ROLE_KEYD; l->separate_users && r <= ROLE_IDENTITYD; r++) {
		OWN_TEXT own = mem_textf("%s/%s", run, role_names[r]);

		if (make_dir(l, (enum layout_role)r, own, 0711, err) < 0)
			return -1;
	}
	if (l->separate_users)
		return 0;
	return file_make_dir(l->run_dir, 0700, err) < 0 ? -1 : file_make_dir(l->gateway_run_dir, 0700, err);
}

static void
name_sockets(struct layout *l)
{
	if (l->separate_users) {
		l->run_dir = mem_textf("%s/run", l->state);
		for (int r = 0; r < ROLE_COUNT; r++)
			l->keyd[r] = mem_textf("%s/keyd/keyd.sock", l->run_dir);
		l->certd = mem_textf("%s/certd/certd.sock", l->run_dir);
		l->identityd = mem_textf("%s/identityd/identityd.sock", l->run_dir);
	} else {
		l->run_dir = mem_textf("%s/run/%016llx", l->state, (unsigned long long)random_u64());
		l->gateway_run_dir = mem_textf("%s/run/%016llx", l->state, (unsigned long long)random_u64());
		for (int r = 0; r < ROLE_COUNT; r++)
			l->keyd[r] =
				mem_textf("%s/keyd-%s.sock", r == ROLE_GATEWAY ? l->gateway_run_dir : l->run_dir, role_names[r]);
		l->certd = mem_textf("%s/certd.sock", l->run_dir);
		l->identityd = mem_textf("%s/identityd.sock", l->run_dir);
	}
	l->mnt = mem_textf("%s/mnt", l->dirs[ROLE_EDGED]);
	l->gateway_workload = mem_textf("%s/edgeHub.sock", l->mnt);
}

static int
check_socket(const char *path, struct err *err)
{
	struct sockaddr_un address;

	if (strlen(path) < sizeof(address.sun_path))
		return 0;
	return err_set(err, ERR_LIMIT,
		"%s: longer than the %zu characters that a unix socket's path may have; choose a shorter state folder", path,
		sizeof(address.sun_path) - 1);
}

/* Found out now rather than by a role that can't start, again and again. */
static int
check_sockets(const struct layout *l, const struct config *c, struct err *err)
{
	for (int r = 0; r < ROLE_COUNT; r++)
		if (check_socket(l->keyd[r], err) < 0)
			return -1;
	for (size_t m = 0; m < c->n_modules; m++) {
		OWN_TEXT path = mem_textf("%s/%s.sock", l->mnt, c->modules[m].id);

		if (check_socket(path, err) < 0)
			return -1;
	}
	return check_socket(l->certd, err) < 0 || check_socket(l->identityd, err) < 0 ? -1 : check_socket(l->gateway_workload, err);
}

/* -- The operator's files -------------------------------------------------------------------------------------------------------------- */

static int
load_certs(struct certs *out, const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(OPERATORS_FILE_MAX);

	if (file_load(&text, path, err) < 0)
		return -1;
	return certs_parse(out, buf_text(&text), text.len, CERTS_MAX, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

static bool
is_tpm_key(const char *path)
{
	struct buf text = BUF_INIT(OPERATORS_FILE_MAX);
	struct err ignored = ERR_INIT;
	bool is = file_load(&text, path, &ignored) == 0 && tss_key_is(buf_text(&text), text.len);

	buf_wipe(&text);
	return is;
}

static int
check_pair(const char *cert_path, const char *key_path, struct err *err)
{
	CLEAR(certs) certs = { 0 };
	OWN(key) key = NULL;

	if (!cert_path)
		return 0;
	if (load_certs(&certs, cert_path, err) < 0)
		return -1;
	if (!config_keys_is_file(key_path) || is_tpm_key(key_path))
		return 0; /* only keyd asks a token or the TPM: edged says whether they belong together */
	key = key_load(key_path, err);
	if (!key)
		return -1;
	if (!cert_matches_key(certs.item[0], key))
		return err_set(err, ERR_INVALID, "%s: the key does not belong to the certificate in %s", key_path, cert_path);
	return 0;
}

/* Before anything is written: an error names the file, and what an earlier start left behind stays as it was. */
static int
check_files(const struct config *c, struct err *err)
{
	CLEAR(certs) roots = { 0 };
	const char *id;
	json_t *path;

	if (c->trust_bundle && load_certs(&roots, c->trust_bundle, err) < 0)
		return err_wrap(err, "trust_bundle_cert");
	if (check_pair(c->identity_cert, c->identity_pk, err) < 0)
		return err_wrap(err, "provisioning.authentication");
	if (check_pair(c->ca_cert, c->ca_pk, err) < 0)
		return err_wrap(err, "edge_ca");
	json_object_foreach(c->est.certs, id, path)
		if (check_pair(json_string_value(path), json_string_value(json_object_get(c->est.keys, id)), err) < 0)
			return err_wrap(err, "EST");
	return check_pair(c->local_ca_cert, c->local_ca_pk, err) < 0 ? err_wrap(err, "cert_issuance.local_ca") : 0;
}

/* -- Configurations -------------------------------------------------------------------------------------------------------------------- */

/* A file that is its role's own, whoever we are. */
static int
save_for(
	const struct layout *l, enum layout_role role, const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	if (file_save(path, data, len, mode, err) < 0)
		return -1;
	if (geteuid() == 0 && lchown(path, l->uids[role], (gid_t)l->uids[role]) < 0)
		return err_errno(err, "%s", path);
	return 0;
}

static int
write_config(const struct layout *l, enum layout_role role, json_t *config_take, struct err *err)
{
	OWN_LIB(json_t) config = config_take;
	OWN_TEXT text = json_line(config);
	int status = save_for(l, role, l->configs[role], text, strlen(text), 0600, err);

	mem_wipe(text, strlen(text));
	return status;
}

static json_t *
principal(const struct layout *l, enum layout_role role, json_t *ids)
{
	return json_pack("{s:s, s:I, s:o}", "name", role_names[role], "uid", (json_int_t)l->uids[role], "ids", ids);
}

static json_t *
tpm_json(const struct config_keys *keys)
{
	return json_pack("{s:b, s:s*, s:s*}", "base", keys->tpm_base, "tcti", keys->tpm_tcti, "owner_auth", keys->tpm_owner_auth);
}

static json_t *
keyd_sockets(const struct layout *l)
{
	json_t *list = json_array();

	if (l->separate_users) {
		json_array_append_new(list, json_pack("{s:s}", "path", l->keyd[0]));
		return list;
	}
	for (int r = ROLE_CERTD; r < ROLE_COUNT; r++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "path", l->keyd[r], "principal", role_names[r]));
	return list;
}

/* Who may use which key (edge-services 5.4). */
static json_t *
keyd_principals(const struct layout *l)
{
	return json_pack("[o, o, o, o]",
		principal(l, ROLE_CERTD, json_pack("[s, s, s, s]", "local-ca", "aziot-edged-ca", "aziot-edged-ca-temp", "est-*")),
		principal(l, ROLE_IDENTITYD, json_pack("[s, s, s]", "aziot_identityd_master_id", "device-id", "device-id-temp")),
		principal(l, ROLE_EDGED,
			json_pack("[s, s, s, s]", "aziot-edged-ca", "aziot-edged-ca-temp", "iotedge_master_encryption_id",
				"derived:aziot_identityd_master_id")),
		principal(l, ROLE_GATEWAY, json_pack("[s]", "edgehub-server")));
}

/* A file of the operator's under an id.  When we are root, its role gets a copy that is its own: the operator's file may be readable for root alone, or for another
 * user, and no role has the rights of root.  The copies are made anew at each start, in a folder that is emptied before: what has left config.toml is gone. */
static int
preload(const struct layout *l, enum layout_role role, json_t *into, const char *id, const char *path, const char *dir,
	const char *extension, struct err *err)
{
	struct buf content = BUF_INIT(OPERATORS_FILE_MAX);
	OWN_TEXT copy = NULL;
	int status;

	if (!path)
		return 0;
	if (geteuid() != 0 || !config_keys_is_file(path)) {
		json_object_set_new(into, id, json_string(path));
		return 0;
	}
	copy = id_file_path(dir, id, extension, err);
	status = copy ? file_load(&content, path, err) : -1;
	if (status == 0)
		status = save_for(l, role, copy, content.data, content.len, role == ROLE_KEYD ? 0600 : 0644, err);
	if (status == 0)
		json_object_set_new(into, id, json_string(copy));
	buf_wipe(&content);
	return status;
}

static int
preload_configured(const struct layout *l, enum layout_role role, json_t *into, const json_t *configured, const char *dir,
	const char *extension, struct err *err)
{
	const char *id;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)configured, id, value) {
		if (json_is_array(value))
			json_object_set(into, id, value);
		else if (preload(l, role, into, id, json_string_value(value), dir, extension, err) < 0)
			return -1;
	}
	return 0;
}

static int
preload_keys(const struct layout *l, const struct config *c, json_t *into, const char *keys, struct err *err)
{
	if (preload_configured(l, ROLE_KEYD, into, c->preloaded_keys, keys, ".key", err) < 0 ||
		preload_configured(l, ROLE_KEYD, into, c->est.keys, keys, ".key", err) < 0 ||
		preload(l, ROLE_KEYD, into, "device-id", c->by_certificate ? c->identity_pk : c->device_key_path, keys, ".key",
			err) < 0 ||
		preload(l, ROLE_KEYD, into, "aziot-edged-ca", c->ca_pk, keys, ".key", err) < 0)
		return -1;
	return preload(l, ROLE_KEYD, into, "local-ca", c->local_ca_pk, keys, ".key", err);
}

static int
preload_certs(const struct layout *l, const struct config *c, json_t *into, const char *certs, struct err *err)
{
	if (preload_configured(l, ROLE_CERTD, into, c->preloaded_certs, certs, ".cer", err) < 0 ||
		preload_configured(l, ROLE_CERTD, into, c->est.certs, certs, ".cer", err) < 0 ||
		preload(l, ROLE_CERTD, into, "device-id", c->identity_cert, certs, ".cer", err) < 0 ||
		preload(l, ROLE_CERTD, into, "aziot-edged-ca", c->ca_cert, certs, ".cer", err) < 0 ||
		preload(l, ROLE_CERTD, into, "local-ca", c->local_ca_cert, certs, ".cer", err) < 0)
		return -1;
	return preload(l, ROLE_CERTD, into, "trust-bundle-user", c->trust_bundle, certs, ".cer", err);
}

/* Where the copies for a role lie. */
static char *
preloaded_dir(const struct layout *l, enum layout_role role, mode_t mode, struct err *err)
{
	OWN_TEXT dir = mem_textf("%s/preloaded", l->dirs[role]);

	return empty_dir(dir, err) < 0 || make_dir(l, role, dir, mode, err) < 0 ? NULL : GIVE(dir);
}

/* A key that stands in config.toml itself. */
static int
save_device_key(const struct layout *l, const struct config *c, json_t *into, const char *dir, struct err *err)
{
	OWN_TEXT path = NULL;

	if (c->device_key.len == 0)
		return 0;
	path = id_file_path(dir, "device-id", ".key", err);
	if (!path || save_for(l, ROLE_KEYD, path, c->device_key.bytes, c->device_key.len, 0600, err) < 0)
		return -1;
	json_object_set_new(into, "device-id", json_string(path));
	return 0;
}

static int
write_keyd(const struct layout *l, const struct config *c, struct err *err)
{
	OWN_LIB(json_t) preloaded = json_object();
	OWN_TEXT keys = mem_textf("%s/keys", l->dirs[ROLE_KEYD]);
	OWN_TEXT copies = preloaded_dir(l, ROLE_KEYD, 0700, err);

	if (!copies || make_dir(l, ROLE_KEYD, keys, 0700, err) < 0 || preload_keys(l, c, preloaded, copies, err) < 0 ||
		save_device_key(l, c, preloaded, copies, err) < 0)
		return -1;
	return write_config(l, ROLE_KEYD,
		json_pack("{s:s, s:o, s:s*, s:s*, s:O, s:o, s:o, s:I}", "dir", keys, "tpm", tpm_json(&c->keys), "pkcs11_lib_path",
			c->keys.pkcs11_lib_path, "pkcs11_base_slot", c->keys.pkcs11_base_slot, "preloaded_keys", preloaded,
			"principals", keyd_principals(l), "sockets", keyd_sockets(l), "max_requests",
			(json_int_t)(l->separate_users ? c->max_keyd : 64)),
		err);
}

static json_t *
issuance(const struct config *c)
{
	json_t *all = json_copy(c->est.issuance);

	if (!text_is(c->ca_form, "preloaded") && !text_is(c->ca_method, "est"))
		json_object_set_new(all, "aziot-edged-ca",
			json_pack("{s:s, s:s, s:I}", "method", text_is(c->ca_form, "issued") ? "local_ca" : "self_signed",
				"common_name", c->ca_common_name, "expiry_days", (json_int_t)c->ca_days));
	return all;
}

static int
write_certd(const struct layout *l, const struct config *c, struct err *err)
{
	OWN_TEXT certs = mem_textf("%s/certs", l->dirs[ROLE_CERTD]);
	OWN_LIB(json_t) preloaded = json_object();
	OWN_LIB(json_t) bundle = json_pack("[s]", "aziot-edged-ca");
	OWN_TEXT copies = preloaded_dir(l, ROLE_CERTD, 0755, err);

	if (!copies || preload_certs(l, c, preloaded, copies, err) < 0)
		return -1;
	if (c->trust_bundle)
		json_array_append_new(bundle, json_string("trust-bundle-user"));
	if (!json_object_get(c->preloaded_certs, "aziot-edged-trust-bundle"))
		json_object_set(preloaded, "aziot-edged-trust-bundle", bundle);
	return write_config(l, ROLE_CERTD,
		json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:o, s:I}", "system_roots", SYSTEM_ROOTS, "dir", certs, "socket",
			l->certd, "keyd", l->keyd[ROLE_CERTD], "preloaded_certs", preloaded, "cert_issuance", issuance(c),
			"principals",
			json_pack("[o, o]", principal(l, ROLE_EDGED, json_pack("[s, s]", "aziot-edged-ca", "aziot-edged/module/*")),
				principal(l, ROLE_IDENTITYD, json_pack("[s]", "device-id"))),
			"max_requests", (json_int_t)(l->separate_users ? c->max_certd : 64)),
		err);
}

static int
write_identityd(const struct layout *l, const struct config *c, struct err *err)
{
	json_t *config = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:[s], s:[o], s:I}", "dir", l->dirs[ROLE_IDENTITYD],
		"socket", l->identityd, "keyd", l->keyd[ROLE_IDENTITYD], "certd", l->certd, "hub_name", c->hub_name, "device_id",
		c->device_id, "auth", c->by_certificate ? "x509" : "sas", "hub_port", (json_int_t)c->upstream_https_port, "anchors",
		l->identity_bundle, "principals", principal(l, ROLE_EDGED, json_pack("[s]", "daemon")), "max_requests",
		(json_int_t)(l->separate_users ? c->max_identityd : 64));

	if (c->identity_by_est)
		json_object_set_new(config, "make_device_certificate", json_true());
	if (c->upstream_address)
		json_object_set_new(config, "hub_address", json_string(c->upstream_address));
	return write_config(l, ROLE_IDENTITYD, config, err);
}

static json_t *
names_json(const char *first, char *const *names, size_t n)
{
	json_t *list = first ? json_pack("[s]", first) : json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *
module_json(const struct layout *l, const char *id, uid_t uid, json_t *names)
{
	OWN_TEXT path = mem_textf("%s/%s.sock", l->mnt, id[0] == '$' ? id + 1 : id);

	return json_pack("{s:s, s:s, s:I, s:o}", "id", id, "socket", path, "uid", (json_int_t)uid, "names", names);
}

static int
write_edged(const struct layout *l, const struct config *c, struct err *err)
{
	json_t *modules = json_array();

	if (c->has_gateway)
		json_array_append_new(
			modules, module_json(l, "$edgeHub", l->uids[ROLE_GATEWAY], names_json(c->hostname, c->names, c->n_names)));
	for (size_t i = 0; i < c->n_modules; i++)
		json_array_append_new(modules, module_json(l, c->modules[i].id, c->modules[i].uid,
						       names_json(c->hostname, c->modules[i].names, c->modules[i].n_names)));
	return write_config(l, ROLE_EDGED,
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "keyd", l->keyd[ROLE_EDGED], "certd", l->certd,
			"identityd", l->identityd, "hub_name", c->hub_name, "device_id", c->device_id, "edge_ca_common_name",
			c->ca_common_name, "edge_ca_form", c->ca_form, "modules", modules, "max_requests",
			(json_int_t)c->max_workload),
		err);
}

/* What the hub is trusted by: the operator's bundle; without one, the system's roots.  Copied, because the roles may not read where it lies. */
static int
write_bundle(struct layout *l, const struct config *c, struct err *err)
{
	struct buf pem = BUF_INIT(8 * 1024 * 1024);
	int status = 0;

	l->identity_bundle = mem_textf("%s/hub-roots.pem", l->state);
	if (c->trust_bundle)
		status = file_load(&pem, c->trust_bundle, err);
	if (status == 0 && !c->trust_bundle)
		status = file_load(&pem, SYSTEM_ROOTS, err);
	if (status == 0)
		status = file_save(l->identity_bundle, pem.data, pem.len, 0644, err);
	buf_clear(&pem);
	return status < 0 ? err_wrap(err, "the roots to trust the hub by") : 0;
}

struct layout *
layout_prepare(const struct config *c, const char *state, struct err *err)
{
	OWN(layout) l = NEW(layout);

	if (check_files(c, err) < 0)
		return NULL;
	if (!file_exists(state) && (file_make_dir(state, 0755, err) < 0 || chmod(state, 0755) < 0)) /* whatever the umask */
		return err_wrap_null(err, "the state folder");
	l->state = realpath(state, NULL);
	if (!l->state)
		return err_errno_null(err, "%s", state);
	l->separate_users = can_change_user((uid_t)c->first_uid, l->state);
	for (int r = 0; r < ROLE_COUNT; r++) {
		l->uids[r] = l->separate_users ? (uid_t)(c->first_uid + r) : geteuid();
		l->dirs[r] = mem_textf("%s/%s", l->state, role_names[r]);
		if (r != ROLE_GATEWAY)
			l->configs[r] = mem_textf("%s/config.json", l->dirs[r]);
	}
	name_sockets(l);
	if (check_sockets(l, c, err) < 0 || make_dirs(l, err) < 0 || write_bundle(l, c, err) < 0 || write_keyd(l, c, err) < 0 ||
		write_certd(l, c, err) < 0 || write_identityd(l, c, err) < 0 || write_edged(l, c, err) < 0)
		return NULL;
	return GIVE(l);
}

void
layout_free(struct layout *l)
{
	if (!l)
		return;
	for (int r = 0; r < ROLE_COUNT; r++) {
		mem_free(l->dirs[r]);
		mem_free(l->configs[r]);
		mem_free(l->keyd[r]);
	}
	mem_free(l->state);
	mem_free(l->run_dir);
	mem_free(l->gateway_run_dir);
	mem_free(l->certd);
	mem_free(l->identityd);
	mem_free(l->mnt);
	mem_free(l->gateway_workload);
	mem_free(l->identity_bundle);
	mem_free(l);
}
