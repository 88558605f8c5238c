/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a configuration of IoT Edge. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/config_import.h"
#include "edge/config_param.h"
#include "wire/codec.h"
#include "wire/connstr.h"
#include "wire/json.h"
#include "wire/pkcs11_uri.h"

#define SNIPPET_MAX 65536

void
config_import_init(struct config_import *i, struct toml *root_take, const char *secrets_dir)
{
	*i = (struct config_import){ .root = root_take, .secrets_dir = secrets_dir, .principals = json_array() };
}

void
config_import_clear(struct config_import *i)
{
	for (size_t n = 0; n < i->n_lines; n++) {
		mem_free(i->lines[n].key);
		mem_free(i->lines[n].text);
	}
	for (size_t n = 0; n < i->n_secrets; n++) {
		mem_free(i->secrets[n].path);
		buf_wipe(&i->secrets[n].bytes);
	}
	json_decref(i->principals);
	toml_free(i->root);
}

static void tell(struct config_import *i, enum import_what what, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void
tell(struct config_import *i, enum import_what what, const char *key, const char *fmt, ...)
{
	char text[400];
	va_list args;

	if (i->n_lines == IMPORT_LINES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	i->lines[i->n_lines++] = (struct import_line){ .what = what, .key = mem_text(key), .text = mem_text(text) };
}

/* -- Changing the document ------------------------------------------------------------------------------------------------------------------- */

/* Adds what is written in TOML; our own text, so it can be read. */
static int
merge_text(struct toml *root, const struct buf *text, struct err *err)
{
	OWN(toml) more = text->failed ? NULL : toml_parse(buf_text(text), text->len, "import", err);

	if (!more)
		return text->failed ? err_set(err, ERR_LIMIT, "too large") : -1;
	toml_merge(root, more);
	return 0;
}

/* As TOML and JSON have it both. */
static void
put_quoted(struct buf *out, const char *text)
{
	OWN_LIB(json_t) json = json_string(text);
	char *quoted = json_dumps(json, JSON_ENCODE_ANY);

	buf_puts(out, quoted ? quoted : "\"\"");
	free(quoted);
}

/* -- Secrets ------------------------------------------------------------------------------------------------------------------------------- */

/* The path of its file; one secret has one file.  NULL: there are too many. */
static const char *
add_secret(struct config_import *i, const char *name, const void *bytes, size_t len)
{
	struct import_secret *s;

	for (size_t n = 0; n < i->n_secrets; n++)
		if (i->secrets[n].bytes.len == len && memcmp(i->secrets[n].bytes.data, bytes, len) == 0)
			return i->secrets[n].path;
	if (i->n_secrets == IMPORT_SECRETS_MAX)
		return NULL;
	s = &i->secrets[i->n_secrets++];
	*s = (struct import_secret){ .path = mem_textf("%s/%s", i->secrets_dir, name), .bytes = BUF_INIT(4096) };
	buf_put(&s->bytes, bytes, len);
	return s->path;
}

/* "file:///..." */
static void
put_file_uri(struct buf *out, const char *start, const char *path)
{
	buf_puts(out, start);
	for (; *path; path++) {
		if (isalnum((unsigned char)*path) || strchr("/-._~", *path))
			buf_putc(out, *path);
		else
			buf_putf(out, "%%%02X", (unsigned)(unsigned char)*path);
	}
}

/* { value = "BASE64" } becomes { uri = "file:///..." }. */
static int
move_value(struct config_import *i, const char *table, const char *key, struct err *err)
{
	OWN_TEXT path = mem_textf("%s.%s", table, key);
	struct toml *at = toml_find_path(i->root, path), *value = at ? toml_find(at, "value") : NULL;
	CLEAR(buf) bytes = BUF_INIT(4096);
	CLEAR(buf) text = BUF_INIT(SNIPPET_MAX);
	const char *file;

	if (!value || value->type != TOML_STRING)
		return 0;
	if (!base64_decode(&bytes, value->text, value->text_len, BASE64_LAX) || bytes.len == 0)
		return toml_err(value, err, "the key is not base64");
	file = add_secret(i, "device-id", bytes.data, bytes.len);
	toml_remove(at, "value");
	buf_putf(&text, "%s.uri = \"", path);
	put_file_uri(&text, "file://", file);
	buf_puts(&text, "\"\n");
	tell(i, IMPORT_CHANGED, path, "the key is in %s now, raw and for its owner alone", file);
	buf_wipe(&bytes);
	return merge_text(i->root, &text, err);
}

static int
move_connection_string(struct config_import *i, struct err *err)
{
	struct toml *at = toml_find(i->root, "provisioning"), *given = at ? toml_find(at, "connection_string") : NULL;
	OWN(connstr) s = given && given->type == TOML_STRING ? connstr_parse(given->text, err) : NULL;
	CLEAR(buf) text = BUF_INIT(SNIPPET_MAX);
	const char *file;

	if (!given)
		return 0;
	if (!s)
		return given->type == TOML_STRING ? err_wrap(err, "provisioning.connection_string") : 0;
	if (!s->device_id || !s->has_key)
		return toml_err(given, err, "it has no DeviceId or no SharedAccessKey");
	file = add_secret(i, "device-id", s->key.bytes, s->key.len);
	buf_puts(&text, "[provisioning]\niothub_hostname = ");
	put_quoted(&text, s->host);
	buf_puts(&text, "\ndevice_id = ");
	put_quoted(&text, s->device_id);
	buf_puts(&text, "\n[provisioning.authentication]\nmethod = \"sas\"\ndevice_id_pk.uri = \"");
	put_file_uri(&text, "file://", file);
	buf_puts(&text, "\"\n");
	toml_remove(at, "connection_string");
	toml_remove(at, "authentication");
	tell(i, IMPORT_CHANGED, "provisioning.connection_string",
		"is iothub_hostname, device_id and authentication now, and its key in %s, raw and for its owner alone", file);
	return merge_text(i->root, &text, err);
}

/* "pkcs11:...?pin-value=1234" becomes "pkcs11:...?pin-source=file:/...". */
static void
move_pin(struct config_import *i, struct toml *t)
{
	struct err ignored = ERR_INIT;
	OWN(pkcs11_uri) uri = pkcs11_uri_is(t->text) ? pkcs11_uri_parse(t->text, &ignored) : NULL;
	const char *pin = uri ? uri->text[PKCS11_PIN_VALUE] : NULL, *at = strstr(t->text, "pin-value=");
	OWN_TEXT name = mem_textf("pin-%zu", i->n_secrets + 1);
	CLEAR(buf) text = BUF_INIT(SNIPPET_MAX);
	const char *file;

	if (!pin || !at)
		return;
	file = add_secret(i, name, pin, strlen(pin));
	if (!file)
		return;
	buf_put(&text, t->text, (size_t)(at - t->text));
	put_file_uri(&text, "pin-source=file:", file);
	buf_puts(&text, at + strcspn(at, "&"));
	mem_wipe(t->text, t->text_len);
	mem_free(t->text);
	t->text = buf_take_text(&text);
	t->text_len = strlen(t->text);
	tell(i, IMPORT_CHANGED, t->key ? t->key : "pkcs11:", "the PIN is in %s now", file);
}

static void
move_pins(struct config_import *i, struct toml *t)
{
	if (t->type == TOML_STRING)
		move_pin(i, t);
	for (size_t n = 0; n < t->n; n++)
		move_pins(i, t->item[n]);
}

/* -- What each key becomes -------------------------------------------------------------------------------------------------------------------- */

static void
keep(struct config_import *i, const char *path, const struct toml *t)
{
	tell(i, IMPORT_KEPT, path, "%s", t->type == TOML_TABLE ? "" : toml_type_name(t->type));
}

static const struct config_param *
row_of(const char *table, const char *key)
{
	return config_param_find(table, NULL, key);
}

/* The top of the document: whole tables that nothing follows from here, and keys that nobody knows.  Further down the check names each. */
static void
sort_out(struct config_import *i, struct toml *t, const char *table)
{
	for (size_t n = 0; n < t->n;) {
		struct toml *value = t->item[n];
		const struct config_param *row = row_of(table, value->key);
		OWN_TEXT path = mem_textf("%s%s%s", table, *table ? "." : "", value->key);

		if (row && row->standing != PARAM_IDLES) {
			if (row->kind == KIND_TABLE && !row->like && value->type == TOML_TABLE)
				sort_out(i, value, path);
			else
				keep(i, path, value);
			n++;
			continue;
		}
		if (!row && *table) { /* a table with ids or a shared one */
			keep(i, path, value);
			n++;
			continue;
		}
		tell(i, IMPORT_LEFT_OUT, path, "%s", row ? row->help : "no key that is known");
		toml_remove(t, value->key);
	}
}

static void
rename_alias(struct config_import *i)
{
	struct toml *old = toml_find(i->root, "local_gateway_hostname");

	if (!old || toml_find(i->root, "parent_hostname"))
		return;
	mem_free(old->key);
	old->key = mem_text("parent_hostname");
	tell(i, IMPORT_CHANGED, "local_gateway_hostname", "is called parent_hostname");
}

/* -- Principals ------------------------------------------------------------------------------------------------------------------------------- */

static json_t *
principal_of(struct config_import *i, int64_t uid)
{
	json_t *one;
	size_t n;

	json_array_foreach(i->principals, n, one)
		if (json_integer_value(json_object_get(one, "uid")) == uid)
			return one;
	one = json_pack("{s:I}", "uid", (json_int_t)uid);
	json_array_append_new(i->principals, one);
	return one;
}

static json_t *
plain_json(const struct toml *t)
{
	json_t *list = t->type == TOML_ARRAY ? json_array() : json_object();

	if (t->type == TOML_STRING || t->type == TOML_INTEGER) {
		json_decref(list);
		return t->type == TOML_STRING ? json_string(t->text) : json_integer(t->integer);
	}
	for (size_t n = 0; n < t->n; n++) {
		if (t->type == TOML_ARRAY)
			json_array_append_new(list, plain_json(t->item[n]));
		else
			json_object_set_new(list, t->item[n]->key, plain_json(t->item[n]));
	}
	return list;
}

/* keyd knows keys of a user, certd certificates, identityd its name; here they are one. */
static void
take_principals(struct config_import *i, const char *service, const struct toml *list)
{
	for (size_t n = 0; list->type == TOML_ARRAY && n < list->n; n++) {
		const struct toml *uid = toml_find(list->item[n], "uid");
		json_t *one = uid && uid->type == TOML_INTEGER ? principal_of(i, uid->integer) : NULL;
		OWN_TEXT key = mem_textf("%s: principal", service);

		if (!one) {
			tell(i, IMPORT_LEFT_OUT, key, "it has no uid");
			continue;
		}
		for (size_t k = 0; k < list->item[n]->n; k++) {
			const struct toml *value = list->item[n]->item[k];

			if (!text_is(value->key, "uid"))
				json_object_set_new(one, value->key, plain_json(value));
		}
		tell(i, IMPORT_CHANGED, key, "uid %lld is a [[principal]] of config.toml", (long long)uid->integer);
	}
}

static void
put_principal(struct buf *out, const json_t *one)
{
	const char *key;
	json_t *value;

	buf_puts(out, "[[principal]]\n");
	if (!json_object_get(one, "name"))
		buf_putf(out, "name = \"user-%lld\"\n", (long long)json_integer_value(json_object_get(one, "uid")));
	json_object_foreach((json_t *)(uintptr_t)one, key, value) {
		char *text;

		if (json_is_object(value)) {
			const char *inner = json_string_value(json_object_get(value, "attributes"));

			buf_putf(out, "%s = { type = \"x509\", attributes = \"%s\" }\n", key,
				text_is(inner, "server") ? "server" : "client");
			continue;
		}
		text = json_dumps(value, JSON_ENCODE_ANY);
		buf_putf(out, "%s = %s\n", key, text ? text : "0");
		free(text);
	}
}

static int
add_principals(struct config_import *i, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(SNIPPET_MAX);
	const json_t *one;
	size_t n;

	json_array_foreach(i->principals, n, one)
		put_principal(&text, one);
	return text.len > 0 || text.failed ? merge_text(i->root, &text, err) : 0;
}

/* -- Services ---------------------------------------------------------------------------------------------------------------------------------- */

static bool
moves(const char *service, const char *key)
{
	static const struct {
		const char *service, *key;
	} rows[] = {
		{ "keyd", "aziot_keys" },
		{ "keyd", "preloaded_keys" },
		{ "certd", "cert_issuance" },
		{ "certd", "preloaded_certs" },
		{ "identityd", "localid" },
	};

	for (size_t n = 0; n < COUNT(rows); n++)
		if (text_is(rows[n].service, service) && text_is(rows[n].key, key))
			return true;
	return false;
}

void
config_import_service(struct config_import *i, const char *service, struct toml *from)
{
	for (size_t n = 0; n < from->n;) {
		struct toml *value = from->item[n];
		OWN_TEXT key = mem_textf("%s: %s", service, value->key);

		if (moves(service, value->key)) {
			tell(i, IMPORT_CHANGED, key, "stands in config.toml");
			n++;
			continue;
		}
		if (text_is(value->key, "principal"))
			take_principals(i, service, value);
		else
			tell(i, IMPORT_LEFT_OUT, key, "config.toml says it, or nothing here does it");
		toml_remove(from, value->key);
	}
	toml_merge(i->root, from);
}

int
config_import_finish(struct config_import *i, struct err *err)
{
	rename_alias(i);
	if (move_connection_string(i, err) < 0 || move_value(i, "provisioning.authentication", "device_id_pk", err) < 0 ||
		move_value(i, "provisioning.attestation", "symmetric_key", err) < 0)
		return -1;
	move_pins(i, i->root);
	if (add_principals(i, err) < 0)
		return -1;
	sort_out(i, i->root, "");
	return 0;
}
