/* SPDX-License-Identifier: Apache-2.0 */
/* Kept modules (module_backup.h). */
#include "identityd/module_backup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/id_file.h"
#include "identityd/module_record.h"
#include "wire/codec.h"
#include "wire/json.h"

#define BACKUP_MAX 65536
#define FOLDER "modules"

static void
put_digest(struct buf *out, const char *text)
{
	uint8_t digest[DIGEST_SHA256_LEN];

	digest_sha256(text, strlen(text), digest);
	hex_encode(out, digest, sizeof(digest), false);
}

static char *
folder_name(const struct device_info *device)
{
	struct buf name = BUF_INIT(256);

	put_digest(&name, device->hub_name);
	buf_putc(&name, '-');
	put_digest(&name, device->device_id);
	return buf_take_text(&name);
}

static char *
path_of(const char *state_dir, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_TEXT name = folder_name(device);
	OWN_TEXT dir = mem_textf("%s/" FOLDER "/%s", state_dir, name);

	return id_file_path(dir, module_id, "", err);
}

json_t *
module_backup_load(const char *state_dir, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_TEXT path = path_of(state_dir, device, module_id, err);
	CLEAR(buf) text = BUF_INIT(BACKUP_MAX);
	OWN_LIB(json_t) json = NULL;

	if (!path || file_load(&text, path, err) < 0)
		return NULL;
	json = json_parse(text.data, text.len, err);
	if (json && module_record_check(json, device->device_id, module_id, err) == 0)
		return GIVE(json);
	err->kind = ERR_BROKEN;
	return err_wrap_null(err, "%s", path);
}

int
module_backup_save(const char *state_dir, const struct device_info *device, const json_t *module, struct err *err)
{
	const char *module_id = json_string_value(json_object_get(module, "moduleId"));
	OWN_TEXT path = path_of(state_dir, device, module_id, err);
	OWN_TEXT name = folder_name(device);
	OWN_TEXT dir = mem_textf("%s/" FOLDER "/%s", state_dir, name);
	OWN_LIB(json_t) kept = json_pack("{s:O, s:O, s:O}", "moduleId", json_object_get(module, "moduleId"), "deviceId",
		json_object_get(module, "deviceId"), "generationId", json_object_get(module, "generationId"));
	OWN_TEXT text = NULL;

	if (json_is_string(json_object_get(module, "managedBy")))
		json_object_set(kept, "managedBy", json_object_get(module, "managedBy"));
	text = json_line(kept);
	if (!path || file_make_dir(dir, 0700, err) < 0)
		return -1;
	return file_save(path, text, strlen(text), 0600, err);
}

int
module_backup_remove(const char *state_dir, const struct device_info *device, const char *module_id, struct err *err)
{
	OWN_TEXT path = path_of(state_dir, device, module_id, err);

	return path ? file_remove(path, err) : -1;
}

/* -- Others --------------------------------------------------------------------------------------------------------------------------- */

static void
remove_folder(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0); /* "." and ".." are folders, and stay */
	closedir(dir);
	unlinkat(parent, name, AT_REMOVEDIR);
}

void
module_backup_forget_others(const char *state_dir, const struct device_info *device)
{
	OWN_TEXT path = mem_textf("%s/" FOLDER, state_dir);
	OWN_TEXT mine = folder_name(device);
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !text_is(entry->d_name, mine))
			remove_folder(dirfd(dir), entry->d_name);
	closedir(dir);
}
