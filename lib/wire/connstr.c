/* SPDX-License-Identifier: Apache-2.0 */
/* Connection strings: a table of names. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/connstr.h"

#define CONNSTR_MAX 4096

struct field {
	const char *name;
	size_t offset;
};

static const struct field texts[] = {
	{ "HostName", offsetof(struct connstr, host) },
	{ "DeviceId", offsetof(struct connstr, device_id) },
	{ "ModuleId", offsetof(struct connstr, module_id) },
	{ "SharedAccessKeyName", offsetof(struct connstr, policy) },
	{ "GatewayHostName", offsetof(struct connstr, gateway_host) },
	{ "SharedAccessSignature", offsetof(struct connstr, sas_token) },
};

static char **
text_of(struct connstr *c, const struct field *field)
{
	return (char **)(void *)((char *)c + field->offset);
}

static int
take_key(struct connstr *c, struct slice value, struct err *err)
{
	struct buf bytes = BUF_INIT(SECRET_MAX);
	int status = 0;

	if (c->has_key)
		return err_set(err, ERR_INVALID, "SharedAccessKey is given twice");
	if (value.len == 0 || !base64_decode(&bytes, value.text, value.len, BASE64_LAX))
		status = err_set(err, ERR_INVALID, "SharedAccessKey is not the base64 of at most %d bytes", SECRET_MAX);
	else
		secret_set(&c->key, bytes.data, bytes.len);
	c->has_key = status == 0;
	buf_wipe(&bytes);
	return status;
}

static int
take_x509(struct connstr *c, const char *value, struct err *err)
{
	if (!text_is_nocase(value, "true") && !text_is_nocase(value, "false"))
		return err_set(err, ERR_INVALID, "x509 is true or false, not '%s'", value);
	c->x509 = text_is_nocase(value, "true");
	return 0;
}

static int
take_part(struct connstr *c, struct slice part, struct err *err)
{
	struct slice name;
	OWN_TEXT word = NULL;
	OWN_TEXT value = NULL;

	if (!slice_cut(&part, '=', &name) || part.len == 0)
		return err_set(err, ERR_INVALID, "a part of the connection string is not NAME=VALUE");
	word = slice_text(name);
	if (text_is_nocase(word, "SharedAccessKey"))
		return take_key(c, part, err);
	value = slice_text(part);
	if (strlen(value) != part.len || text_has_control(value, part.len))
		return err_set(err, ERR_INVALID, "%s has a control character", word);
	if (value[0] == ' ' || value[part.len - 1] == ' ')
		return err_set(err, ERR_INVALID, "%s begins or ends with a space", word);
	if (text_is_nocase(word, "x509"))
		return take_x509(c, value, err);
	for (size_t i = 0; i < COUNT(texts); i++) {
		char **at = text_of(c, &texts[i]);

		if (!text_is_nocase(word, texts[i].name))
			continue;
		if (*at)
			return err_set(err, ERR_INVALID, "%s is given twice", texts[i].name);
		*at = GIVE(value);
		return 0;
	}
	return err_set(err, ERR_INVALID, "a connection string has no '%s'", word);
}

/* What goes together, once all is read. */
static int
check_whole(const struct connstr *c, struct err *err)
{
	if (!c->host)
		return err_set(err, ERR_INVALID, "the connection string has no HostName");
	if (c->module_id && !c->device_id)
		return err_set(err, ERR_INVALID, "the connection string has a ModuleId without a DeviceId");
	if (c->has_key + c->x509 + (c->sas_token != NULL) > 1)
		return err_set(err, ERR_INVALID,
			"the connection string has more than one of SharedAccessKey, SharedAccessSignature and x509=true");
	return 0;
}

struct connstr *
connstr_parse(const char *text, struct err *err)
{
	OWN(connstr) c = NEW(connstr);
	struct slice rest = slice_of(text), part;
	bool more = true;

	if (strnlen(text, CONNSTR_MAX + 1) > CONNSTR_MAX)
		return err_null(err, ERR_LIMIT, "the connection string is longer than %d bytes", CONNSTR_MAX);
	while (rest.len > 0 && strchr("\r\n ", rest.text[rest.len - 1]))
		rest.len--;
	while (more) {
		more = slice_cut(&rest, ';', &part);
		if (!more && part.len == 0)
			break; /* a ';' at the end */
		if (take_part(c, part, err) < 0)
			return NULL;
	}
	if (check_whole(c, err) < 0)
		return NULL;
	return GIVE(c);
}

void
connstr_free(struct connstr *c)
{
	if (!c)
		return;
	if (c->sas_token)
		mem_wipe(c->sas_token, strlen(c->sas_token));
	for (size_t i = 0; i < COUNT(texts); i++)
		mem_free(*text_of(c, &texts[i]));
	secret_clear(&c->key);
	mem_free(c);
}

static void
put_part(struct buf *out, const char *name, const char *value)
{
	if (value)
		buf_putf(out, "%s%s=%s", out->len > 0 ? ";" : "", name, value);
}

void
connstr_format(struct buf *out, const struct connstr *c)
{
	put_part(out, "HostName", c->host);
	put_part(out, "DeviceId", c->device_id);
	put_part(out, "ModuleId", c->module_id);
	put_part(out, "SharedAccessKeyName", c->policy);
	if (c->has_key) {
		buf_puts(out, ";SharedAccessKey=");
		base64_encode(out, c->key.bytes, c->key.len);
	}
	put_part(out, "SharedAccessSignature", c->sas_token);
	put_part(out, "x509", c->x509 ? "true" : NULL);
	put_part(out, "GatewayHostName", c->gateway_host);
}
