/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the gateway. */
#include "gateway_tool.h"

#include <stdio.h>
#include <string.h>

#include "auth/identity.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"

#define TIMEOUT_MS 15000
#define ANSWER_MAX (8 << 20)
#define PATH_LEN_MAX 2048

json_t *
gateway_ask(const struct gateway_options *o, const char *method, const char *path, const json_t *body, int64_t timeout_ms,
	struct err *err)
{
	OWN_TEXT url = mem_textf("http://gateway/%s", path);
	OWN_TEXT socket = mem_textf("%s/gateway/control.sock", o->state);
	struct http_answer answer = { 0 };
	struct http_call call = { .method = method,
		.url = url,
		.unix_path = socket,
		.timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_MS,
		.max_body = ANSWER_MAX };
	json_t *out = NULL;
	int status;

	if (!file_exists(socket))
		return err_null(err, ERR_MISSING,
			"there is no %s: no gateway runs with this state folder (--state names another; the socket is for root and "
			"the gateway's user)",
			socket);
	status = http_fetch_json(&out, &answer, &call, body, err);
	http_answer_clear(&answer);
	if (status < 0)
		return err_wrap_null(err, "the gateway");
	return out ? out : json_object();
}

char *
gateway_device_path(const char *name, struct err *err)
{
	const char *slash = strchr(name, '/');
	OWN_TEXT device_id = mem_textn(name, slash ? (size_t)(slash - name) : strlen(name));
	CLEAR(buf) path = BUF_INIT(PATH_LEN_MAX);

	if (!identity_id_is_valid(device_id) || (slash && !identity_id_is_valid(slash + 1)))
		return err_null(err, ERR_INVALID, "'%s' is neither DEVICE nor DEVICE/MODULE", name);
	buf_puts(&path, "devices/");
	percent_encode_segment(&path, device_id, strlen(device_id));
	if (slash) {
		buf_puts(&path, "/modules/");
		percent_encode_segment(&path, slash + 1, strlen(slash + 1));
	}
	return buf_take_text(&path);
}

void
gateway_print_json(const json_t *json)
{
	OWN_TEXT line = json_line(json);

	puts(line);
}

const char *
gateway_text_at(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}
