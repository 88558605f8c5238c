/* SPDX-License-Identifier: Apache-2.0 */
/* Who this device is, and the file that remembers it (device_info.h). */
#include "identityd/device_info.h"

#include <string.h>

#include "auth/identity.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "pki/issue.h"
#include "wire/json.h"
#include "wire/uri.h"

#define FILE_MAX 65536
#define FILE_NAME "device_info"
#define HOST_MAX 260

struct device_info *
device_info_new(const char *hub_name, const char *gateway_host, const char *device_id)
{
	struct device_info *info = NEW(device_info);

	info->hub_name = text_lower(hub_name);
	info->gateway_host = mem_text(gateway_host ? gateway_host : info->hub_name);
	info->device_id = mem_text(device_id);
	info->n_refs = 1;
	return info;
}

struct device_info *
device_info_ref(struct device_info *info)
{
	if (info)
		info->n_refs++;
	return info;
}

void
device_info_free(struct device_info *info)
{
	if (!info || --info->n_refs > 0)
		return;
	mem_free(info->hub_name);
	mem_free(info->gateway_host);
	mem_free(info->device_id);
	mem_free(info);
}

bool
device_info_is_same(const struct device_info *a, const struct device_info *b)
{
	return a && b && text_is(a->hub_name, b->hub_name) && text_is(a->device_id, b->device_id);
}

/* -- The file ------------------------------------------------------------------------------------------------------------------------- */

struct part {
	const char *name, *words;
	size_t at;
};

static const struct part parts[] = {
	{ "endpoint", "another endpoint", offsetof(struct device_question, endpoint) },
	{ "scopeId", "another ID scope", offsetof(struct device_question, scope_id) },
	{ "registrationId", "another registration id", offsetof(struct device_question, registration_id) },
	{ "proof", "another way to prove who it is", offsetof(struct device_question, proof) },
	{ "credential", "another credential", offsetof(struct device_question, credential) },
};

static const char *
part_of(const struct device_question *q, const struct part *part)
{
	return *(const char *const *)(const void *)((const char *)q + part->at);
}

json_t *
device_info_to_json(const struct device_info *info, const struct device_question *q, bool again)
{
	json_t *asked = json_object();

	for (size_t i = 0; i < COUNT(parts); i++)
		json_object_set_new(asked, parts[i].name, json_string(part_of(q, &parts[i])));
	return json_pack(
		"{s:s, s:s, s:o, s:b}", "hubName", info->hub_name, "deviceId", info->device_id, "asked", asked, "again", again);
}

static int
check_question(const json_t *asked, const struct device_question *q, struct err *err)
{
	for (size_t i = 0; i < COUNT(parts); i++) {
		const char *text;

		if (json_get_text(asked, parts[i].name, &text, err) < 0)
			return -1;
		if (!text_is(text, part_of(q, &parts[i])))
			return err_set(err, ERR_CONFLICT, "it is for %s than is configured now", parts[i].words);
	}
	return 0;
}

bool
device_info_is_hub_name(const char *text)
{
	struct err ignored = ERR_INIT;
	OWN_TEXT host = NULL;
	int port = 443;

	return strnlen(text, HOST_MAX + 1) <= HOST_MAX && uri_parse_host(text, &host, &port, &ignored) == 0 && issue_is_host(host);
}

struct device_info *
device_info_from_json(const json_t *json, const struct device_question *q, bool *again, struct err *err)
{
	const char *hub_name, *device_id;
	json_t *asked;

	*again = false;
	if (json_get_text(json, "hubName", &hub_name, err) < 0 || json_get_text(json, "deviceId", &device_id, err) < 0 ||
		json_find_object(json, "asked", &asked, err) < 0 || json_find_bool(json, "again", again, err) < 0)
		return NULL;
	if (!asked || !device_info_is_hub_name(hub_name) || !identity_id_is_valid(device_id))
		return err_null(err, ERR_INVALID, "it names no hub and device");
	return check_question(asked, q, err) == 0 ? device_info_new(hub_name, NULL, device_id) : NULL;
}

struct device_info *
device_info_load(const char *dir, const struct device_question *q, bool *again, struct err *err)
{
	OWN_TEXT path = mem_textf("%s/" FILE_NAME, dir);
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	OWN_LIB(json_t) json = NULL;

	*again = false;
	if (file_load(&text, path, err) < 0)
		return NULL;
	json = json_parse(text.data, text.len, err);
	return json ? device_info_from_json(json, q, again, err) : NULL;
}

int
device_info_save(const char *dir, const struct device_info *info, const struct device_question *q, bool again, struct err *err)
{
	OWN_TEXT path = mem_textf("%s/" FILE_NAME, dir);
	OWN_LIB(json_t) json = device_info_to_json(info, q, again);
	OWN_TEXT text = json_line(json);

	return file_save(path, text, strlen(text), 0600, err);
}
