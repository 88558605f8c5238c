/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/http_property.h"

static const char *
put(const char *header, const char *value)
{
	static char text[512];
	CLEAR(buf) bag = BUF_INIT(sizeof(text) - 1);
	bool says = http_property_put(&bag, header, value);

	snprintf(text, sizeof(text), "%s", buf_text(&bag));
	CHECK(says == (bag.len > 0));
	return text;
}

TEST("the headers of the hub are its system properties, in any case")
{
	CHECK_STR(put("IoTHub-MessageId", "m 1"), "%24.mid=m%201");
	CHECK_STR(put("iothub-correlationid", "c"), "%24.cid=c");
	CHECK_STR(put("IOTHUB-USERID", "u"), "%24.uid=u");
	CHECK_STR(put("IoTHub-Expiry", "2026-03-01T00:00:00Z"), "%24.exp=2026-03-01T00%3A00%3A00Z");
	CHECK_STR(put("iothub-contenttype", "application/json"), "%24.ct=application%2Fjson");
	CHECK_STR(put("iothub-contentencoding", "utf-8"), "%24.ce=utf-8");
	CHECK_STR(put("iothub-interface-id", "urn:x"), "%24.ifid=urn%3Ax");
	CHECK_STR(put("dt-subject", "part"), "%24.sub=part");
}

TEST("a property of one's own loses its prefix, and nothing of it can become another")
{
	CHECK_STR(put("iothub-app-key", "v"), "key=v");
	CHECK_STR(put("IoTHub-App-Key", ""), "Key=");
	CHECK_STR(put("iothub-app-a&b=c", "d&e=f%00"), "a%26b%3Dc=d%26e%3Df%2500");
}

TEST("other headers say nothing of a message")
{
	CHECK_STR(put("Host", "h"), "");
	CHECK_STR(put("Authorization", "SharedAccessSignature sr=x"), "");
	CHECK_STR(put("iothub-app-", "v"), "");
	CHECK_STR(put("iothub-ap", "v"), "");
	CHECK_STR(put("iothub-enqueuedtime", "v"), "");
	CHECK_STR(put("", "v"), "");
}

static void
check_header(const char *name, const char *value, const char *want)
{
	OWN_TEXT got = http_property_header(name, value);

	CHECK_STR(got, want);
}

TEST("a property is the header that it came from")
{
	check_header("$.mid", "m 1", "iothub-messageid: m 1");
	check_header("$.to", "/devices/d/messages/devicebound", "iothub-to: /devices/d/messages/devicebound");
	check_header("iothub-ack", "full", "iothub-ack: full");
	check_header("Key", "v:w", "iothub-app-Key: v:w");
}

TEST("what a header can't hold is percent-encoded: no property ends its line")
{
	check_header("k", "a\r\nSet-Cookie: x", "iothub-app-k: a%0D%0ASet-Cookie%3A%20x");
	check_header("k\r\nX: y", "v", "iothub-app-k%0D%0AX%3A%20y: v");
	check_header("a b:", "ü", "iothub-app-a%20b%3A: %C3%BC");
	check_header("", "v", "iothub-app-: v");
	check_header("$.mid", "\x7f", "iothub-messageid: %7F");
}
