/* SPDX-License-Identifier: Apache-2.0 */
/* The files of rootedge cert: NAME.cert.pem and NAME.key.pem unless told otherwise, and never one replaced by accident. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "cert.h"
#include "keys/key.h"

#define INPUT_MAX (4 * 1024 * 1024)

int
cert_read(struct certs *out, const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(INPUT_MAX);
	uint8_t piece[4096];
	size_t n;

	if (path && !text_is(path, "-"))
		return certs_load(out, path, CERTS_MAX, err);
	while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0)
		buf_put(&text, piece, n);
	if (text.failed)
		return err_set(err, ERR_LIMIT, "standard input: more than %d bytes", INPUT_MAX);
	return certs_decode(out, &text, CERTS_MAX, err) < 0 ? err_wrap(err, "standard input") : 0;
}

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

struct key *
cert_file_new_key(const char *alg_name, struct err *err)
{
	enum key_alg alg;

	if (!key_alg_parse(alg_name, &alg))
		return err_null(err, ERR_INVALID,
			"there are no '%s' keys; there are ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096 and ed25519", alg_name);
	return key_generate(alg, err);
}
