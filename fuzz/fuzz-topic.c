/* SPDX-License-Identifier: Apache-2.0 */
/* Topics and filters: the parts lie within the text, and a topic put together from them is of the same kind with the same parts. */
#include "fuzz.h"
#include "wire/topic.h"

static void
check_within(struct slice part, struct slice whole)
{
	FUZZ_CHECK(part.len == 0 || (part.text >= whole.text && part.text + part.len <= whole.text + whole.len));
}

static void
put_owner(struct buf *out, struct slice device, struct slice module)
{
	buf_puts(out, "devices/");
	buf_put(out, device.text, device.len);
	if (module.len > 0) {
		buf_puts(out, "/modules/");
		buf_put(out, module.text, module.len);
	}
}

static void
put_topic(struct buf *out, const struct topic *t)
{
	static const char *const begins[] = {
		[TOPIC_TWIN_GET] = "$iothub/twin/GET",
		[TOPIC_TWIN_REPORTED] = "$iothub/twin/PATCH/properties/reported",
		[TOPIC_METHOD_RESPONSE] = "$iothub/methods/res/",
		[TOPIC_ISSUE_CERT] = "$iothub/credentials/POST/issueCertificate",
	};

	if (t->kind == TOPIC_TELEMETRY) {
		put_owner(out, t->device_id, t->module_id);
		buf_puts(out, "/messages/events/");
		buf_put(out, t->bag.text, t->bag.len);
		return;
	}
	buf_puts(out, begins[t->kind]);
	buf_put(out, t->status.text, t->status.len);
	buf_puts(out, "/?$rid=");
	buf_put(out, t->rid.text, t->rid.len);
	if (t->version.len > 0) {
		buf_puts(out, "&$version=");
		buf_put(out, t->version.text, t->version.len);
	}
}

static void
check_topic(struct slice text)
{
	struct topic t = topic_parse(text), again;
	CLEAR(buf) out = BUF_INIT(text.len + 256);

	check_within(t.device_id, text);
	check_within(t.module_id, text);
	check_within(t.bag, text);
	check_within(t.rid, text);
	check_within(t.version, text);
	check_within(t.status, text);
	if (t.kind == TOPIC_UNKNOWN)
		return;
	put_topic(&out, &t);
	again = topic_parse(fuzz_slice(&out));
	FUZZ_CHECK(again.kind == t.kind);
	FUZZ_CHECK(
		fuzz_same(again.device_id, t.device_id) && fuzz_same(again.module_id, t.module_id) && fuzz_same(again.bag, t.bag));
	FUZZ_CHECK(fuzz_same(again.rid, t.rid) && fuzz_same(again.version, t.version) && fuzz_same(again.status, t.status));
}

static void
put_told(struct buf *out, const struct told *t)
{
	if (t->kind == TOLD_COMMAND) {
		put_owner(out, t->device_id, t->module_id);
		buf_puts(out, "/messages/devicebound/");
		buf_put(out, t->bag.text, t->bag.len);
		return;
	}
	if (t->kind == TOLD_DESIRED) {
		buf_putf(out, "$iothub/twin/PATCH/properties/desired/?$version=%lld", (long long)t->version);
		return;
	}
	if (t->kind == TOLD_METHOD) {
		buf_puts(out, "$iothub/methods/POST/");
		buf_put(out, t->name.text, t->name.len);
		buf_puts(out, "/?$rid=");
	} else {
		buf_putf(out, "$iothub/twin/res/%d/?$version=%lld&$rid=", t->status, (long long)t->version);
	}
	buf_put(out, t->rid.text, t->rid.len);
}

static void
check_told(struct slice text)
{
	struct told t = told_parse(text), again;
	CLEAR(buf) out = BUF_INIT(text.len + 256);

	check_within(t.device_id, text);
	check_within(t.module_id, text);
	check_within(t.bag, text);
	check_within(t.name, text);
	check_within(t.rid, text);
	if (t.kind == TOLD_UNKNOWN)
		return;
	put_told(&out, &t);
	again = told_parse(fuzz_slice(&out));
	FUZZ_CHECK(again.kind == t.kind && again.status == t.status && (t.kind == TOLD_METHOD || again.version == t.version));
	FUZZ_CHECK(fuzz_same(again.device_id, t.device_id) && fuzz_same(again.module_id, t.module_id) &&
		   fuzz_same(again.bag, t.bag) && fuzz_same(again.name, t.name));
	FUZZ_CHECK(t.kind == TOLD_DESIRED || fuzz_same(again.rid, t.rid));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { .text = (const char *)data, .len = size };
	struct filter filter = filter_parse(text);

	check_topic(text);
	check_told(text);
	check_within(filter.device_id, text);
	check_within(filter.module_id, text);
	FUZZ_CHECK(filter_qos(filter.kind) <= 1);
	return 0;
}
