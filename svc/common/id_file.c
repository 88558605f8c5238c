/* SPDX-License-Identifier: Apache-2.0 */
/* Ids as file names. */
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/id_file.h"
#include "wire/codec.h"

#define READABLE_MAX 150 /* a file name has at most 255 bytes, of which the digest takes 65 */

char *
id_file_path(const char *dir, const char *id, const char *extension, struct err *err)
{
	size_t len = strnlen(id, ID_MAX + 1);
	struct buf path = BUF_INIT(4096);
	uint8_t digest[DIGEST_SHA256_LEN];
	size_t kept = 0;

	if (len == 0 || len > ID_MAX || text_has_control(id, len) || !text_is_utf8(id, len))
		return err_null(err, ERR_INVALID, "an id has 1 to %d bytes of UTF-8 without control characters", ID_MAX);
	digest_sha256(id, len, digest);
	buf_putf(&path, "%s/", dir);
	for (const char *c = id; *c && kept < READABLE_MAX; c++)
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')) {
			buf_putc(&path, *c);
			kept++;
		}
	buf_putc(&path, '-');
	hex_encode(&path, digest, sizeof(digest), false);
	buf_puts(&path, extension);
	return buf_take_text(&path);
}

char *
id_file_place(const char *dir, const char *id, const char *extension, struct err *err)
{
	OWN_TEXT path = id_file_path(dir, id, extension, err);
	struct stat st;

	if (path && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return err_null(err, ERR_BROKEN, "%s: a symbolic link is no place for this; remove it", path);
	return GIVE(path);
}
