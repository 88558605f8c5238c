/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11 URIs. */
#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/pkcs11_uri.h"

#define SCHEME "pkcs11:"
#define URI_MAX 4096
#define VALUE_MAX 1024

static const char *const names[PKCS11_ATTRIBUTES] = {
	[PKCS11_TOKEN] = "token",
	[PKCS11_MANUFACTURER] = "manufacturer",
	[PKCS11_SERIAL] = "serial",
	[PKCS11_MODEL] = "model",
	[PKCS11_LIBRARY_MANUFACTURER] = "library-manufacturer",
	[PKCS11_LIBRARY_DESCRIPTION] = "library-description",
	[PKCS11_LIBRARY_VERSION] = "library-version",
	[PKCS11_SLOT_DESCRIPTION] = "slot-description",
	[PKCS11_SLOT_MANUFACTURER] = "slot-manufacturer",
	[PKCS11_SLOT_ID] = "slot-id",
	[PKCS11_OBJECT] = "object",
	[PKCS11_TYPE] = "type",
	[PKCS11_ID] = "id",
	[PKCS11_PIN_SOURCE] = "pin-source",
	[PKCS11_PIN_VALUE] = "pin-value",
	[PKCS11_MODULE_NAME] = "module-name",
	[PKCS11_MODULE_PATH] = "module-path",
};

bool
pkcs11_uri_is(const char *text)
{
	OWN_TEXT scheme = mem_textn(text, strnlen(text, strlen(SCHEME)));

	return text_is_nocase(scheme, SCHEME);
}

static int
find_name(struct slice name, int from, int to)
{
	for (int a = from; a < to; a++)
		if (slice_is(name, names[a]))
			return a;
	return -1;
}

static bool
is_type(const char *text)
{
	static const char *const types[] = { "private", "public", "secret-key", "cert", "data" };

	for (size_t i = 0; i < COUNT(types); i++)
		if (text_is(text, types[i]))
			return true;
	return false;
}

/* RFC 7512 2.3: "3" or "3.14", each number one byte. */
static bool
is_version(const char *text)
{
	struct slice rest = slice_of(text), major;
	bool has_minor = slice_cut(&rest, '.', &major);
	OWN_TEXT first = slice_text(major);
	OWN_TEXT second = slice_text(rest);
	int64_t ignored;

	return text_to_i64(first, 0, 255, &ignored) && (!has_minor || text_to_i64(second, 0, 255, &ignored));
}

static int
check_text(struct pkcs11_uri *uri, int attribute, const char *text, struct err *err)
{
	int64_t slot;

	if (attribute == PKCS11_TYPE && !is_type(text))
		return err_set(err, ERR_INVALID, "PKCS #11 URI: type is private, public, secret-key, cert or data");
	if (attribute == PKCS11_LIBRARY_VERSION && !is_version(text))
		return err_set(err, ERR_INVALID, "PKCS #11 URI: library-version is a number, or two with a dot");
	if (attribute != PKCS11_SLOT_ID)
		return 0;
	if (!text_to_i64(text, 0, INT64_MAX, &slot))
		return err_set(err, ERR_INVALID, "PKCS #11 URI: slot-id is a decimal number");
	uri->slot_id = (uint64_t)slot;
	return 0;
}

static int
take_value(struct pkcs11_uri *uri, int attribute, struct slice encoded, struct err *err)
{
	struct buf value = BUF_INIT(VALUE_MAX);
	int status = 0;

	if (uri->text[attribute] || (attribute == PKCS11_ID && uri->id_len > 0))
		return err_set(err, ERR_INVALID, "PKCS #11 URI: %s is given twice", names[attribute]);
	if (!percent_decode(&value, encoded.text, encoded.len) || (value.len == 0 && attribute >= PKCS11_OBJECT))
		status = err_set(err, ERR_INVALID, "PKCS #11 URI: %s is empty, too long or not percent-encoded", names[attribute]);
	else if (attribute == PKCS11_ID && value.len > PKCS11_ID_MAX)
		status = err_set(err, ERR_INVALID, "PKCS #11 URI: an id of %u bytes", value.len);
	else if (attribute != PKCS11_ID && (strlen(buf_text(&value)) != value.len || !text_is_utf8(buf_text(&value), value.len)))
		status = err_set(err, ERR_INVALID, "PKCS #11 URI: %s is not UTF-8 text", names[attribute]);
	if (status == 0 && attribute == PKCS11_ID) {
		memcpy(uri->id, value.data, value.len);
		uri->id_len = value.len;
	} else if (status == 0) {
		status = check_text(uri, attribute, buf_text(&value), err);
		uri->text[attribute] = mem_text(buf_text(&value));
	}
	buf_wipe(&value);
	return status;
}

static bool
is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.text[i] <= ' ' || text.text[i] == 0x7f || strchr("#\"<>\\^`{}", text.text[i]))
			return false;
	return true;
}

/* name=value, separated; the names from `from` to `to` belong here. */
static int
take_part(struct pkcs11_uri *uri, struct slice part, char separator, int from, int to, struct err *err)
{
	struct slice one, name;
	bool more = part.len > 0;
	int attribute;

	while (more) {
		more = slice_cut(&part, separator, &one);
		if (!slice_cut(&one, '=', &name))
			return err_set(err, ERR_INVALID, "PKCS #11 URI: an attribute without \"=\"");
		attribute = find_name(name, from, to);
		if (attribute < 0 && separator == '&' && slice_starts(name, "x-"))
			continue;
		if (attribute < 0)
			return err_set(err, ERR_INVALID, "PKCS #11 URI: there is no attribute '%.*s' in %s",
				(int)(name.len < 40 ? name.len : 40), name.text, separator == '&' ? "its query" : "its path");
		if (take_value(uri, attribute, one, err) < 0)
			return -1;
	}
	return 0;
}

struct pkcs11_uri *
pkcs11_uri_parse(const char *text, struct err *err)
{
	OWN(pkcs11_uri) uri = NEW(pkcs11_uri);
	struct slice query = slice_of(text), path;

	if (!pkcs11_uri_is(text) || query.len > URI_MAX)
		return err_null(err, ERR_INVALID, "not a PKCS #11 URI (pkcs11:...) of at most %d bytes", URI_MAX);
	if (!is_plain(query))
		return err_null(err, ERR_INVALID, "PKCS #11 URI: a character that stands in a URI only percent-encoded");
	query.text += strlen(SCHEME);
	query.len -= strlen(SCHEME);
	if (!slice_cut(&query, '?', &path))
		query.len = 0;
	if (take_part(uri, path, ';', 0, PKCS11_PIN_SOURCE, err) < 0 ||
		take_part(uri, query, '&', PKCS11_PIN_SOURCE, PKCS11_ATTRIBUTES, err) < 0)
		return NULL;
	if (uri->text[PKCS11_PIN_SOURCE] && uri->text[PKCS11_PIN_VALUE])
		return err_null(err, ERR_INVALID, "PKCS #11 URI: either pin-source or pin-value");
	return GIVE(uri);
}

void
pkcs11_uri_free(struct pkcs11_uri *uri)
{
	if (!uri)
		return;
	for (int a = 0; a < PKCS11_ATTRIBUTES; a++) {
		if (uri->text[a])
			mem_wipe(uri->text[a], strlen(uri->text[a]));
		mem_free(uri->text[a]);
	}
	mem_free(uri);
}

struct pkcs11_uri *
pkcs11_uri_with_object(const struct pkcs11_uri *uri, const char *label)
{
	struct pkcs11_uri *other = NEW(pkcs11_uri);

	for (int a = 0; a < PKCS11_ATTRIBUTES; a++)
		if (a != PKCS11_OBJECT && a != PKCS11_TYPE)
			other->text[a] = mem_text(uri->text[a]);
	other->text[PKCS11_OBJECT] = mem_text(label);
	other->slot_id = uri->slot_id;
	return other;
}

char *
pkcs11_uri_format(const struct pkcs11_uri *uri)
{
	struct buf text = BUF_INIT((size_t)PKCS11_ATTRIBUTES * 4 * VALUE_MAX);
	const char *separator = "";

	buf_puts(&text, SCHEME);
	for (int a = 0; a < PKCS11_PIN_SOURCE; a++) {
		const char *value = a == PKCS11_ID ? (const char *)uri->id : uri->text[a];
		size_t len = a == PKCS11_ID ? uri->id_len : value ? strlen(value) : 0;

		if (a == PKCS11_ID ? len == 0 : !value)
			continue;
		buf_putf(&text, "%s%s=", separator, names[a]);
		percent_encode(&text, value, len);
		separator = ";";
	}
	return buf_take_text(&text);
}

const char *
pkcs11_uri_pin_file(const struct pkcs11_uri *uri)
{
	const char *source = uri->text[PKCS11_PIN_SOURCE];

	if (!source)
		return NULL;
	source += text_starts(source, "file:///") ? strlen("file://") : text_starts(source, "file:/") ? strlen("file:") : 0;
	return *source == '/' ? source : NULL;
}

bool
pkcs11_uri_same_token(const struct pkcs11_uri *a, const struct pkcs11_uri *b)
{
	for (int i = 0; i < PKCS11_ATTRIBUTES; i++)
		if (i != PKCS11_OBJECT && i != PKCS11_TYPE && !text_is(a->text[i], b->text[i]))
			return false;
	return true;
}
