/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded keys and certificates. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/id_file.h"
#include "edge/operator_files.h"
#include "edge/preload.h"
#include "pki/cert.h"
#include "wire/json.h"

/* -- What config.toml has -------------------------------------------------------------------------------------------------------------------- */

static void
list_one(json_t *into, const char *id, const char *place)
{
	if (place)
		json_object_set_new(into, id, json_string(place));
}

json_t *
preload_list_keys(const struct config *c)
{
	json_t *all = json_copy(c->preloaded_keys);

	json_object_update(all, c->issuance.keys);
	list_one(all, "device-id", c->by_certificate ? c->identity_pk : c->device_key_path);
	list_one(all, "aziot-edged-ca", c->ca_pk);
	list_one(all, "local-ca", c->issuance.local_ca_pk);
	for (size_t i = 0; i < c->n_server_certs; i++)
		list_one(all, c->server_certs[i].key_id, c->server_certs[i].pk);
	return all;
}

json_t *
preload_list_certs(const struct config *c)
{
	json_t *all = json_copy(c->preloaded_certs);

	json_object_update(all, c->issuance.certs);
	list_one(all, "device-id", c->identity_cert);
	list_one(all, "aziot-edged-ca", c->ca_cert);
	list_one(all, "local-ca", c->issuance.local_ca_cert);
	list_one(all, "trust-bundle-user", c->trust_bundle);
	return all;
}

/* -- Copies ---------------------------------------------------------------------------------------------------------------------------------- */

struct copies {
	const struct layout *layout;
	enum layout_role role;
	char *dir;
	const char *extension;
	json_t *told; /* id to place */
	bool *changed;
};

static void
copies_clear(struct copies *c)
{
	mem_free(c->dir);
	json_decref(c->told);
}

static mode_t
mode_of(const struct copies *c)
{
	return c->role == ROLE_KEYD ? 0600 : 0644;
}

static bool
is_there(const struct copies *c, const char *path, const struct buf *content)
{
	struct buf old = BUF_INIT(OPERATORS_FILE_MAX);
	struct err ignored = ERR_INIT;
	struct stat st;
	bool same = lstat(path, &st) == 0 && (st.st_mode & 07777) == mode_of(c) && st.st_uid == c->layout->users[c->role].uid &&
		    file_load(&old, path, &ignored) == 0 && old.len == content->len &&
		    mem_equal_ct(old.data, content->data, old.len);

	buf_wipe(&old);
	return same;
}

static int
save(struct copies *c, const char *id, const struct buf *content, struct err *err)
{
	OWN_TEXT path = id_file_path(c->dir, id, c->extension, err);

	if (!path)
		return -1;
	if (!is_there(c, path, content)) {
		*c->changed = true;
		if (layout_save(c->layout, c->role, path, content->data, content->len, mode_of(c), err) < 0)
			return -1;
	}
	json_object_set_new(c->told, id, json_string(path));
	return 0;
}

/* The file may hold the key as well, as those of public CAs do: that is not for the gateway. */
static int
keep_certificates(struct buf *content, struct err *err)
{
	CLEAR(certs) certs = { 0 };

	if (certs_parse(&certs, buf_text(content), content->len, CERTS_MAX, err) < 0)
		return -1;
	buf_wipe(content);
	*content = (struct buf)BUF_INIT(OPERATORS_FILE_MAX);
	certs_put_pem(&certs, content);
	return 0;
}

static int
copy_one(struct copies *c, const char *id, const char *place, struct err *err)
{
	struct buf content = BUF_INIT(OPERATORS_FILE_MAX);
	int status;

	if ((geteuid() != 0 && c->role != ROLE_GATEWAY) || !config_keys_is_file(place)) {
		json_object_set_new(c->told, id, json_string(place));
		return 0;
	}
	status = file_load(&content, place, err);
	if (status == 0 && c->role == ROLE_GATEWAY)
		status = keep_certificates(&content, err);
	if (status == 0)
		status = save(c, id, &content, err);
	buf_wipe(&content);
	return status;
}

static int
copy_all(struct copies *c, const json_t *list, struct err *err)
{
	const char *id;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)list, id, value) {
		if (json_is_array(value))
			json_object_set(c->told, id, value);
		else if (copy_one(c, id, json_string_value(value), err) < 0)
			return -1;
	}
	return 0;
}

static bool
is_told(const json_t *told, const char *path)
{
	const char *id;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)told, id, value)
		if (text_is(json_string_value(value), path))
			return true;
	return false;
}

/* What has left config.toml, and what a crash left behind. */
static void
remove_others(const struct copies *c)
{
	DIR *dir = opendir(c->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		OWN_TEXT path = file_join(c->dir, entry->d_name);

		if (entry->d_name[0] != '.' ? !is_told(c->told, path) : entry->d_name[1] != '\0' && !text_is(entry->d_name, ".."))
			unlink(path);
	}
	if (dir)
		closedir(dir);
}

static char *
copies_dir(const struct layout *l, enum layout_role role)
{
	return mem_textf("%s/preloaded", l->config_dirs[role]);
}

/* Where the copies for a role lie: a folder of ours. */
static int
open_copies(struct copies *c, struct err *err)
{
	c->told = json_object();
	c->dir = copies_dir(c->layout, c->role);
	return tree_make(c->dir, 0710, (struct tree_owner){ .uid = geteuid(), .gid = c->layout->users[c->role].gid }, err);
}

json_t *
preload_keys(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	CLEAR(copies) copies = { .layout = l, .role = ROLE_KEYD, .extension = ".key", .changed = changed };
	OWN_LIB(json_t) list = preload_list_keys(c);
	struct buf own = BUF_INIT(SECRET_MAX);
	int status = open_copies(&copies, err);

	if (status == 0)
		status = copy_all(&copies, list, err);
	buf_put(&own, c->device_key.bytes, c->device_key.len);
	if (status == 0 && own.len > 0)
		status = save(&copies, "device-id", &own, err);
	buf_wipe(&own);
	if (status < 0)
		return NULL;
	remove_others(&copies);
	return json_incref(copies.told);
}

json_t *
preload_certs(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	CLEAR(copies) copies = { .layout = l, .role = ROLE_CERTD, .extension = ".cer", .changed = changed };
	OWN_LIB(json_t) list = preload_list_certs(c);

	if (open_copies(&copies, err) < 0 || copy_all(&copies, list, err) < 0)
		return NULL;
	remove_others(&copies);
	return json_incref(copies.told);
}

/* -- The gateway's --------------------------------------------------------------------------------------------------------------------------- */

char *
preload_server_cert_path(const struct layout *l, const struct config_server_cert *cert)
{
	OWN_TEXT dir = copies_dir(l, ROLE_GATEWAY);
	struct err never = ERR_INIT; /* the name was looked at when it was read */

	return id_file_path(dir, cert->name, ".pem", &never);
}

/* Not worth a device that does not start: the copy from before stays, if there is one. */
static void
do_without(struct copies *c, const struct config_server_cert *cert, struct err *why)
{
	OWN_TEXT path = preload_server_cert_path(c->layout, cert);

	log_error("[gateway.server_certs.%s] is left as it was: %s", cert->name, why->text);
	json_object_set_new(c->told, cert->name, json_string(path));
}

int
preload_server_certs(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	CLEAR(copies) copies = { .layout = l, .role = ROLE_GATEWAY, .extension = ".pem", .changed = changed };

	if (open_copies(&copies, err) < 0)
		return -1;
	for (size_t i = 0; i < c->n_server_certs; i++) {
		struct err why = ERR_INIT;

		if (copy_one(&copies, c->server_certs[i].name, c->server_certs[i].cert, &why) < 0)
			do_without(&copies, &c->server_certs[i], &why);
	}
	remove_others(&copies);
	return 0;
}
