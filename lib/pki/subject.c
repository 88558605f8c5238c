/* SPDX-License-Identifier: Apache-2.0 */
/* Names of attributes are looked up in a table of those that a subject has: OpenSSL would take the short name of any object. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "base/text.h"
#include "pki/subject.h"

#define CN_MAX 64 /* RFC 5280 ub-common-name, in characters */

static const char *const keys[] = { "C", "CN", "DC", "GN", "L", "O", "OU", "SN", "ST", "UID", "dnQualifier", "emailAddress",
	"generationQualifier", "initials", "name", "postalCode", "pseudonym", "serialNumber", "street", "title" };

static bool
is_known(const char *key)
{
	for (size_t i = 0; i < COUNT(keys); i++)
		if (text_is(key, keys[i]))
			return true;
	return false;
}

static int
by_key(const void *a, const void *b)
{
	return strcmp(((const struct subject_part *)a)->key, ((const struct subject_part *)b)->key);
}

/* The bytes of its first CN_MAX characters. */
static int
cut_len(const char *text)
{
	size_t n = 0, at = 0;

	for (; text[at]; at++)
		if (((unsigned char)text[at] & 0xc0) != 0x80 && n++ == CN_MAX)
			break;
	return (int)at;
}

static int
add(X509_NAME *name, const struct subject_part *part, struct err *err)
{
	size_t len = strlen(part->value);
	int cut = text_is(part->key, "CN") ? cut_len(part->value) : (int)len;

	if (!is_known(part->key))
		return err_set(err, ERR_INVALID, "a subject has no attribute '%.40s'", part->key);
	if (len == 0 || len > 1024 || text_has_control(part->value, len) || !text_is_utf8(part->value, len))
		return err_set(err, ERR_INVALID, "the value of %s in a subject", part->key);
	if (X509_NAME_add_entry_by_txt(name, part->key, MBSTRING_UTF8, (const uint8_t *)part->value, cut, -1, 0) == 1)
		return 0;
	ERR_clear_error();
	return err_set(err, ERR_INVALID, "'%.100s' is too long or too short for %s in a subject", part->value, part->key);
}

X509_NAME *
subject_new(const struct subject_part *parts, size_t n, struct err *err)
{
	struct subject_part sorted[SUBJECT_PARTS_MAX];
	X509_NAME *name;
	int status = 0;

	if (n == 0 || n > SUBJECT_PARTS_MAX)
		return err_null(err, ERR_INVALID, "a subject has 1 to %d attributes", SUBJECT_PARTS_MAX);
	memcpy(sorted, parts, n * sizeof(*parts));
	qsort(sorted, n, sizeof(*sorted), by_key);
	name = X509_NAME_new();
	for (size_t i = 0; i < n && status == 0; i++)
		status = add(name, &sorted[i], err);
	if (status == 0)
		return name;
	X509_NAME_free(name);
	return NULL;
}

X509_NAME *
subject_from_json(const json_t *table, struct err *err)
{
	struct subject_part parts[SUBJECT_PARTS_MAX];
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)(uintptr_t)table, key, value) {
		if (n == COUNT(parts) || !json_is_string(value))
			return err_null(err, ERR_INVALID, "a subject has 1 to %d attributes, all texts", SUBJECT_PARTS_MAX);
		parts[n++] = (struct subject_part){ key, json_string_value(value) };
	}
	return subject_new(parts, n, err);
}
