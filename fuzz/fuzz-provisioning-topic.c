/* SPDX-License-Identifier: Apache-2.0 */
/* User names and topics of provisioning: the parts lie within the text, and a name or topic put together from them has the same parts. */
#include "fuzz.h"
#include "hub/provisioning/provisioning_topic.h"

static void
put(struct buf *out, const char *before, struct slice part)
{
	buf_puts(out, before);
	buf_put(out, part.text, part.len);
}

static void
check_name(struct slice text)
{
	struct provisioning_name name, again;
	CLEAR(buf) out = BUF_INIT(text.len + 256);
	struct err err = ERR_INIT;

	if (provisioning_name_parse(&name, text, &err) < 0)
		return;
	put(&out, "", name.id_scope);
	put(&out, "/registrations/", name.registration_id);
	buf_puts(&out, "/?api-version=1");
	FUZZ_CHECK(provisioning_name_parse(&again, fuzz_slice(&out), &err) == 0);
	FUZZ_CHECK(fuzz_same(again.id_scope, name.id_scope) && fuzz_same(again.registration_id, name.registration_id));
}

static void
check_topic(struct slice text)
{
	struct provisioning_topic t = provisioning_topic_parse(text), again;
	CLEAR(buf) out = BUF_INIT(text.len + 256);

	if (t.kind == PROVISIONING_TOPIC_UNKNOWN)
		return;
	FUZZ_CHECK(t.rid.text >= text.text && t.rid.text + t.rid.len <= text.text + text.len);
	put(&out,
		t.kind == PROVISIONING_TOPIC_REGISTER ? "$dps/registrations/PUT/iotdps-register/?$rid="
						      : "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=",
		t.rid);
	if (t.operation.len > 0)
		put(&out, "&operationId=", t.operation);
	again = provisioning_topic_parse(fuzz_slice(&out));
	FUZZ_CHECK(again.kind == t.kind && fuzz_same(again.rid, t.rid) && fuzz_same(again.operation, t.operation));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size };

	check_name(text);
	check_topic(text);
	return 0;
}
