/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in files. */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "keyd/key_files.h"
#include "wire/tss_key.h"

#define SECRET_LEN 32
#define FILE_MAX (64 * 1024)

/* -- Pairs ---------------------------------------------------------------------------------------------------------------------------------- */

struct key *
key_files_make_pair(const struct key_files *f, const char *path, const char *algorithms, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(FILE_MAX);
	OWN(key) key =
		f->make_in_tpm ? tpm_make_pair(f->tpm, algorithms, &pem, err) : key_generate(key_alg_prefer(algorithms), err);

	if (!key)
		return NULL;
	if ((f->make_in_tpm ? file_save(path, pem.data, pem.len, 0600, err) : key_save(key, path, err)) < 0)
		return NULL;
	return GIVE(key);
}

/* -- Secrets -------------------------------------------------------------------------------------------------------------------------------- */

static int
take_secret(const struct key_files *f, const char *path, const struct buf *bytes, struct secret *out, struct err *err)
{
	if (tss_key_is(buf_text(bytes), bytes->len))
		return tpm_unseal(f->tpm, buf_text(bytes), bytes->len, out, err) < 0 ? err_wrap(err, "%s", path) : 0;
	if (bytes->len > SECRET_MAX) /* pairs and secrets share their names */
		return err_set(err, ERR_INVALID, "a key pair, or something else that is too large for a symmetric key");
	if (bytes->len == 0)
		return err_set(err, ERR_BROKEN, "%s: an empty key", path);
	secret_set(out, bytes->data, bytes->len);
	return 0;
}

static int
load_bytes(const char *path, struct buf *bytes, struct err *err)
{
	int status = file_load(bytes, path, err);

	if (status < 0 && err->kind == ERR_DENIED)
		err->kind = ERR_BROKEN; /* we may not read what is ours: that is not about the caller */
	return status;
}

int
key_files_load_secret(const struct key_files *f, const char *path, struct secret *out, struct err *err)
{
	struct buf bytes = BUF_INIT(FILE_MAX);
	int status = load_bytes(path, &bytes, err);

	if (status == 0)
		status = take_secret(f, path, &bytes, out, err);
	buf_wipe(&bytes);
	return status;
}

static int
save_secret(const struct key_files *f, const char *path, const struct secret *secret, bool sealed, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(FILE_MAX);

	if (!sealed)
		return file_save(path, secret->bytes, secret->len, 0600, err);
	return tpm_seal(f->tpm, secret, &pem, err) < 0 ? -1 : file_save(path, pem.data, pem.len, 0600, err);
}

int
key_files_make_secret(const struct key_files *f, const char *path, struct secret *out, struct err *err)
{
	struct secret secret = { .len = SECRET_LEN };
	int status;

	random_bytes(secret.bytes, SECRET_LEN);
	status = save_secret(f, path, &secret, f->make_in_tpm, err);
	if (status == 0)
		secret_set(out, secret.bytes, secret.len);
	secret_clear(&secret);
	return status;
}

/* What is there now: a secret, sealed or not, that may be overwritten? */
static int
look_before_import(const char *path, bool *sealed, struct err *err)
{
	struct buf bytes = BUF_INIT(FILE_MAX);
	int status = load_bytes(path, &bytes, err);
	bool found = tss_key_is(buf_text(&bytes), bytes.len);
	struct tss_key key;

	if (status < 0 && err->kind == ERR_MISSING)
		status = 0;
	else if (status == 0 && found)
		status = tss_key_parse(&key, buf_text(&bytes), bytes.len, err) == 0 && key.type == TSS_KEY_SEALED ? 0 : -1;
	else if (status == 0 && bytes.len > SECRET_MAX)
		status = -1;
	*sealed = found || (*sealed && bytes.len == 0);
	buf_wipe(&bytes);
	if (status < 0 && err->kind != ERR_BROKEN)
		return err_set(err, ERR_INVALID, "a key pair, or something else that is no symmetric key");
	*err = (struct err)ERR_INIT;
	return 0;
}

int
key_files_import_secret(const struct key_files *f, const char *path, const struct secret *secret, struct err *err)
{
	bool sealed = f->make_in_tpm;

	if (tss_key_is((const char *)secret->bytes, secret->len))
		return err_set(err, ERR_INVALID, "a key that begins like a TPM key's file would be taken for one");
	return look_before_import(path, &sealed, err) < 0 ? -1 : save_secret(f, path, secret, sealed, err);
}
