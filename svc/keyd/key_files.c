/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in files. */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "keyd/key_files.h"

#define SECRET_LEN 32

struct key *
key_files_load_pair(const char *path, struct err *err)
{
	return key_load(path, err);
}

struct key *
key_files_make_pair(const char *path, const char *algorithms, struct err *err)
{
	OWN(key) key = key_generate(key_alg_prefer(algorithms), err);

	return key && key_save(key, path, err) == 0 ? GIVE(key) : NULL;
}

int
key_files_load_secret(const char *path, struct secret *out, struct err *err)
{
	struct buf bytes = BUF_INIT(SECRET_MAX);
	int status = file_load(&bytes, path, err);

	if (status < 0 && err->kind == ERR_LIMIT) /* pairs and secrets share their names */
		err_set(err, ERR_INVALID, "a key pair, or something else that is too large for a symmetric key");
	if (status < 0 && err->kind == ERR_DENIED)
		err->kind = ERR_BROKEN; /* we may not read what is ours: that is not about the caller */
	if (status == 0 && bytes.len == 0)
		status = err_set(err, ERR_BROKEN, "%s: an empty key", path);
	if (status == 0)
		secret_set(out, bytes.data, bytes.len);
	buf_wipe(&bytes);
	return status;
}

int
key_files_make_secret(const char *path, struct secret *out, struct err *err)
{
	uint8_t bytes[SECRET_LEN];
	int status;

	random_bytes(bytes, sizeof(bytes));
	status = file_save(path, bytes, sizeof(bytes), 0600, err);
	if (status == 0)
		secret_set(out, bytes, sizeof(bytes));
	mem_wipe(bytes, sizeof(bytes));
	return status;
}

int
key_files_import_secret(const char *path, const void *bytes, size_t len, struct err *err)
{
	struct secret before = { 0 };
	int status = key_files_load_secret(path, &before, err);

	secret_clear(&before);
	if (status < 0 && err->kind != ERR_MISSING && err->kind != ERR_BROKEN)
		return -1;
	*err = (struct err)ERR_INIT;
	return file_save(path, bytes, len, 0600, err);
}
