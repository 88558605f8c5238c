/* SPDX-License-Identifier: Apache-2.0 */
/* config.toml as a whole, and a file of config.d behind 0xff: whatever is in it, all mistakes are told or a configuration comes out, what is shown has no secret, and a
 * configuration of IoT Edge becomes one that is read the same way. */
#include "edge/config.h"
#include "edge/config_import.h"
#include "edge/config_param.h"
#include "edge/config_show.h"
#include "fuzz.h"
#include "wire/json.h"

static void
load(const struct toml *root)
{
	CLEAR(findings) findings = { 0 };
	OWN(config) c = config_from_toml(root, &findings);
	OWN_LIB(json_t) told = findings_json(&findings);
	size_t errors = 0;

	for (size_t i = 0; i < findings.n; i++) {
		OWN_TEXT line = finding_line(&findings.item[i]);

		FUZZ_CHECK(*line && !strpbrk(line, "\n\r\x1b"));
		errors += findings.item[i].level == FINDING_ERROR;
	}
	FUZZ_CHECK(errors == findings.n_errors && (c != NULL) == (errors == 0));
	FUZZ_CHECK(!c || (c->hostname && c->source && c->ca_common_name && c->ca_form && c->n_modules <= CONFIG_MODULES_MAX));
}

static void
show(const struct toml *root)
{
	OWN_LIB(json_t) values = config_show_json(root);
	FILE *out = fopen("/dev/null", "w");
	const json_t *one;
	size_t i;

	json_array_foreach(values, i, one) {
		const char *key = json_string_value(json_object_get(one, "key"));

		if (fuzz_same_text(key, "password"))
			FUZZ_CHECK(fuzz_same_text(json_string_value(json_object_get(one, "value")), "(hidden)") ||
				   !json_is_string(json_object_get(one, "value")));
	}
	if (out) {
		config_show_print(values, out);
		fclose(out);
	}
}

static void
import(struct toml *root_take, struct toml *service)
{
	CLEAR(config_import) import;
	CLEAR(buf) text = BUF_INIT(4 * TOML_MAX);
	struct err err = ERR_INIT;
	OWN(toml) again = NULL;

	config_import_init(&import, root_take, "/secrets");
	if (service)
		config_import_service(&import, "certd", service);
	if (config_import_finish(&import, &err) < 0) {
		FUZZ_CHECK(*err.text);
		return;
	}
	toml_put(&text, import.root);
	again = toml_parse(buf_text(&text), text.len, "again", &err);
	FUZZ_CHECK(again || text.len > TOML_MAX || strstr(err.text, "deep") || strstr(err.text, "keys"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *cut = size > 0 ? memchr(data, 0xff, size) : NULL;
	size_t len = cut ? (size_t)(cut - data) : size;
	struct err err = ERR_INIT;
	OWN(toml) root = toml_parse((const char *)data, len, "config.toml", &err);
	OWN(toml) more = cut ? toml_parse((const char *)cut + 1, size - len - 1, "config.d/1.toml", &err) : NULL;
	OWN(toml) again = root ? toml_parse((const char *)data, len, "config.toml", &err) : NULL;
	OWN(toml) service = more ? toml_parse((const char *)cut + 1, size - len - 1, "certd.toml", &err) : NULL;

	if (!root)
		return 0;
	if (more)
		toml_merge(root, more);
	load(root);
	show(root);
	import(GIVE(again), service);
	return 0;
}
