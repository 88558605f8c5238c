/* SPDX-License-Identifier: Apache-2.0 */
/* Looking above. */
#include "edge_parent.h"

#include "base/file.h"
#include "base/mem.h"
#include "parent_check.h"
#include "pki/root_line.h"
#include "wire/json.h"

#define FILE_MAX (1024 * 1024)
#define TIMEOUT_MS 3000 /* who asks for the status waits for it */

static json_t *
load_config(const char *state)
{
	OWN_TEXT path = mem_textf("%s/config/identityd/config.json", state);
	struct buf text = BUF_INIT(FILE_MAX);
	struct err ignored = ERR_INIT;
	json_t *json = file_load(&text, path, &ignored) == 0 ? json_parse(text.data, text.len, &ignored) : NULL;

	buf_wipe(&text);
	return json;
}

static bool
look(const json_t *config, const char *name, struct buf *page)
{
	const char *bundle = json_string_value(json_array_get(json_object_get(config, "anchors"), 0));
	const char *line = json_string_value(json_object_get(config, "root_line"));
	struct parent_check check = {
		.name = name,
		.connect_to = json_string_value(json_object_get(config, "hub_address")),
		.https_port = (int)json_integer_value(json_object_get(config, "hub_port")),
		.mqtt_port = (int)json_integer_value(json_object_get(config, "hub_mqtt_port")),
		.roots_name = "this device's trust bundle (trust_bundle_cert)",
		.timeout_ms = TIMEOUT_MS,
	};
	CLEAR(certs) roots = { 0 };
	OWN(anchors) anchors = NULL;
	struct err err = ERR_INIT;

	if (root_line_load_roots(&roots, bundle ? bundle : "", line, CERTS_MAX, &err) == 0)
		anchors = anchors_new(&roots, &err);
	if (!anchors) {
		buf_putf(page, "✗ what it would be trusted by: %s\n", err.text);
		return false;
	}
	check.roots = &roots;
	check.anchors = anchors;
	return parent_check(&check, page);
}

void
edge_parent_look(const char *state, json_t *status, struct buf *page)
{
	OWN_LIB(json_t) config = load_config(state);
	const char *name = json_string_value(json_object_get(config, "gateway_host"));
	bool well;

	if (!name)
		return;
	buf_putf(page, "\nThe gateway above, %s:\n", name);
	well = look(config, name, page);
	json_object_set_new(status, "parent", json_pack("{s:s, s:b}", "name", name, "well", well));
}
