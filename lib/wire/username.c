/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT user names: two or three ids before the query, which is told from a module id by its "=" or "?". */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/username.h"

#define USERNAME_MAX 4096

struct field {
	const char *name;
	size_t offset;
};

static const struct field fields[] = {
	{ "api-version", offsetof(struct username, api_version) },
	{ "model-id", offsetof(struct username, model_id) },
	{ "DeviceClientType", offsetof(struct username, client_type) },
	{ "auth-chain", offsetof(struct username, auth_chain) },
};

static char **
text_of(struct username *u, const struct field *field)
{
	return (char **)(void *)((char *)u + field->offset);
}

static int
take_pair(struct username *u, struct slice pair, struct err *err)
{
	struct slice name;

	slice_cut(&pair, '=', &name);
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct buf value = BUF_INIT(USERNAME_MAX);
		char **at = text_of(u, &fields[i]);

		if (!slice_is(name, fields[i].name))
			continue;
		if (*at)
			return err_set(err, ERR_INVALID, "the user name has %s twice", fields[i].name);
		if (!percent_decode(&value, pair.text, pair.len) || text_has_control(buf_text(&value), value.len)) {
			buf_clear(&value);
			return err_set(err, ERR_INVALID, "the user name's %s is not percent-encoded text", fields[i].name);
		}
		*at = buf_take_text(&value);
	}
	return 0;
}

static int
take_query(struct username *u, struct slice query, struct err *err)
{
	struct slice pair;
	bool more = true;

	if (query.len > 0 && query.text[0] == '?')
		query = (struct slice){ .text = query.text + 1, .len = query.len - 1 };
	while (more) {
		more = slice_cut(&query, '&', &pair);
		if (take_pair(u, pair, err) < 0)
			return -1;
	}
	return 0;
}

/* Where the query begins: after a "/" that is followed by "?" or "api-version=", which no id in that place can be. */
static struct slice
cut_query(struct slice *text)
{
	static const char *const starts[] = { "/?", "/api-version=" };

	for (size_t i = 0; i < COUNT(starts); i++) {
		const char *at = memmem(text->text, text->len, starts[i], strlen(starts[i]));

		if (at) {
			struct slice query = { .text = at + 1, .len = text->len - (size_t)(at + 1 - text->text) };

			text->len = (size_t)(at - text->text);
			return query;
		}
	}
	return (struct slice){ .text = "", .len = 0 };
}

struct username *
username_parse(struct slice text, struct err *err)
{
	OWN(username) u = NEW(username);
	struct slice part, query;
	char **ids[] = { &u->host, &u->device_id, &u->module_id };
	size_t n = 0;
	bool more = true;

	if (text.len > USERNAME_MAX)
		return err_null(err, ERR_LIMIT, "the user name is longer than %d bytes", USERNAME_MAX);
	if (text_has_control(text.text, text.len) || !text_is_utf8(text.text, text.len))
		return err_null(err, ERR_INVALID, "the user name has control characters or is not UTF-8");
	query = cut_query(&text);
	while (more) {
		more = slice_cut(&text, '/', &part);
		if (!more && part.len == 0 && n >= 2)
			break; /* a "/" at the end */
		if (part.len == 0 || n == COUNT(ids))
			return err_null(err, ERR_INVALID, "the user name is not HUB/DEVICE[/MODULE]/?api-version=...");
		*ids[n++] = slice_text(part);
	}
	if (n < 2)
		return err_null(err, ERR_INVALID, "the user name is not HUB/DEVICE[/MODULE]/?api-version=...");
	if (take_query(u, query, err) < 0)
		return NULL;
	return GIVE(u);
}

void
username_free(struct username *u)
{
	if (!u)
		return;
	for (size_t i = 0; i < COUNT(fields); i++)
		mem_free(*text_of(u, &fields[i]));
	mem_free(u->host);
	mem_free(u->device_id);
	mem_free(u->module_id);
	mem_free(u);
}
