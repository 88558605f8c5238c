/* SPDX-License-Identifier: Apache-2.0 */
/* MQTT user names: one put together from the parts of an accepted one has the same parts. */
#include "fuzz.h"
#include "wire/codec.h"
#include "wire/username.h"

static void
put(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_putf(out, "&%s=", name);
	percent_encode(out, value, strlen(value));
}

static void
write_again(struct buf *out, const struct username *u)
{
	buf_putf(out, "%s/%s/%s%s?", u->host, u->device_id, u->module_id ? u->module_id : "", u->module_id ? "/" : "");
	put(out, "api-version", u->api_version);
	put(out, "model-id", u->model_id);
	put(out, "DeviceClientType", u->client_type);
	put(out, "auth-chain", u->auth_chain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size };
	CLEAR(buf) out = BUF_INIT(65536);
	struct err err = ERR_INIT;
	OWN(username) u = username_parse(text, &err);
	OWN(username) again = NULL;

	if (!u)
		return 0;
	write_again(&out, u);
	again = username_parse(fuzz_slice(&out), &err);
	if (!again) {
		FUZZ_CHECK(err.kind == ERR_LIMIT); /* encoding made it longer */
		return 0;
	}
	FUZZ_CHECK(fuzz_same_text(u->host, again->host) && fuzz_same_text(u->device_id, again->device_id));
	FUZZ_CHECK(fuzz_same_text(u->module_id, again->module_id) && fuzz_same_text(u->auth_chain, again->auth_chain));
	FUZZ_CHECK(fuzz_same_text(u->api_version, again->api_version) && fuzz_same_text(u->model_id, again->model_id));
	FUZZ_CHECK(fuzz_same_text(u->client_type, again->client_type));
	return 0;
}
