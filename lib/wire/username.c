/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT user names: the host, one or two ids, and a query, which is told from a module id by its "?" or the name that it begins
 * with. */
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
		if (!percent_decode(&value, pair.text, pair.len) || text_has_control(buf_text(&value), value.len) ||
			!text_is_utf8(buf_text(&value), value.len)) {
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

/* What stands behind the device: a query, or a module id?  Ids may hold "?" and "=" too, so only here it has to be guessed. */
static bool
is_query(struct slice text)
{
	struct slice rest = text, name;

	if (text.len > 0 && text.text[0] == '?')
		return true;
	if (!slice_cut(&rest, '=', &name))
		return false;
	for (size_t i = 0; i < COUNT(fields); i++)
		if (slice_is(name, fields[i].name))
			return true;
	return false;
}

static int
take_ids(struct username *u, struct slice *text, struct err *err)
{
	struct slice host, device, module;

	slice_cut(text, '/', &host);
	slice_cut(text, '/', &device);
	if (host.len == 0 || device.len == 0)
		return err_set(err, ERR_INVALID, "the user name is not HUB/DEVICE[/MODULE]/?api-version=...");
	u->host = slice_text(host);
	u->device_id = slice_text(device);
	if (text->len == 0 || is_query(*text))
		return 0;
	slice_cut(text, '/', &module);
	if (module.len == 0 || (text->len > 0 && !is_query(*text)))
		return err_set(err, ERR_INVALID, "the user name has more behind the device than a module and a query");
	u->module_id = slice_text(module);
	return 0;
}

struct username *
username_parse(struct slice text, struct err *err)
{
	OWN(username) u = NEW(username);

	if (text.len > USERNAME_MAX)
		return err_null(err, ERR_LIMIT, "the user name is longer than %d bytes", USERNAME_MAX);
	if (text_has_control(text.text, text.len) || !text_is_utf8(text.text, text.len))
		return err_null(err, ERR_INVALID, "the user name has control characters or is not UTF-8");
	if (take_ids(u, &text, err) < 0 || take_query(u, text, err) < 0)
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
