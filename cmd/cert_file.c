/* SPDX-License-Identifier: Apache-2.0 */
/* The files of rootedge cert: NAME.cert.pem and NAME.key.pem unless told otherwise, and never one replaced by accident. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cert.h"
#include "keys/key.h"
#include "password.h"
#include "pki/p12.h"

#define P12_MAX (1024 * 1024)

/* Of a name only what is harmless in a file name; the rest becomes "-". */
static char *
file_name(const char *name)
{
	char *text = mem_text(name);

	for (char *at = text; *at; at++)
		if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') || *at == '_' ||
			    (*at == '.' && at != text)))
			*at = '-';
	if (*text == '-')
		*text = '_';
	return text;
}

char *
cert_file_path(const char *given, const char *name, const char *suffix)
{
	OWN_TEXT safe = NULL;

	if (given)
		return mem_text(given);
	safe = file_name(name);
	return mem_textf("%s%s", safe, suffix);
}

int
cert_file_check(const char *path, bool force, struct err *err)
{
	if (!force && file_exists(path))
		return err_set(
			err, ERR_CONFLICT, "%s exists already; --force replaces it, --out and --key-out name another file", path);
	return 0;
}

int
cert_file_save(const char *path, struct buf *content, struct err *err)
{
	int status = content->failed ? err_set(err, ERR_LIMIT, "%s: more certificates than fit", path)
				     : file_save(path, content->data, content->len, 0644, err);

	buf_wipe(content);
	return status;
}

int
cert_file_save_p12(const char *path, const struct certs *chain, const struct key *key, const char *password_at, struct err *err)
{
	struct buf bytes = BUF_INIT(P12_MAX);
	char password[PASSWORD_SIZE];
	int done;

	done = password_read(password, password_at, err);
	if (done == 0)
		done = p12_put(&bytes, chain, key, password, err);
	if (done == 0)
		done = file_save(path, bytes.data, bytes.len, 0600, err);
	mem_wipe(password, sizeof(password));
	buf_wipe(&bytes);
	return done;
}

struct key *
cert_file_new_key(const char *alg_name, struct err *err)
{
	enum key_alg alg;

	if (!key_alg_parse(alg_name, &alg))
		return err_null(err, ERR_INVALID,
			"there are no '%s' keys; there are ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096 and ed25519", alg_name);
	return key_generate(alg, err);
}
