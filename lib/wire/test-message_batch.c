/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/message_batch.h"

/* "bag|payload" of each message, a line each; the sentence when it is refused. */
static const char *
told(const char *text)
{
	static char lines[1024];
	CLEAR(message_batch) batch = { 0 };
	struct err err = ERR_INIT;

	if (message_batch_parse(&batch, text, strlen(text), &err) < 0) {
		snprintf(lines, sizeof(lines), "%s", err.text);
		return lines;
	}
	*lines = '\0';
	for (size_t i = 0; i < batch.n; i++) {
		size_t len = strlen(lines);

		snprintf(lines + len, sizeof(lines) - len, "%s|%s\n", buf_text(&batch.message[i].bag),
			buf_text(&batch.message[i].payload));
	}
	return lines;
}

static enum err_kind
refusal(const char *text, size_t len)
{
	struct message_batch batch;
	struct err err = ERR_INIT;

	CHECK(message_batch_parse(&batch, text, len, &err) < 0);
	return err.kind;
}

TEST("bodies are base64, properties of one's own have their prefix")
{
	CHECK_STR(told("[{\"body\": \"Mg==\",\"properties\":{\"iothub-app-k\":\"v w\"}},{\"body\":\"\"}]"), "k=v%20w|2\n|\n");
}

TEST("a body that is not base64 says so, and is the text itself")
{
	CHECK_STR(told("[{\"body\":\"Mg==\",\"base64Encoded\":false},{\"body\":\"Mg==\",\"base64Encoded\":true}]"), "|Mg==\n|2\n");
}

TEST("names of the hub are its system properties, all others one's own")
{
	CHECK_STR(told("[{\"body\":\"\",\"properties\":{\"iothub-messageid\":\"m\",\"k\":\"v\",\"\":\"w\"}}]"),
		"%24.mid=m&k=v&=w|\n");
}

TEST("what is wrong in one message refuses them all")
{
	CHECK_STR(told("[{\"body\":\"Mg==\"},{\"body\":\"M\"}]"), "a body is not base64");
	CHECK_STR(told("[{\"body\":\"Mg==\"},{\"body\":\"Mg=\\n\"}]"), "a body is not base64");
	CHECK_STR(told("[{\"body\":\"Mg==\"},{}]"), "a message needs a body, which is a text");
	CHECK_STR(told("[{\"body\":null}]"), "a message needs a body, which is a text");
	CHECK_STR(told("[{\"body\":1}]"), "a message needs a body, which is a text");
	CHECK_STR(told("[{\"body\":\"\",\"properties\":{\"iothub-app-k\":1}}]"), "a property is a text");
	CHECK_STR(told("[{\"body\":\"\",\"properties\":{\"iothub-app-k\":null}}]"), "a property is a text");
	CHECK_STR(told("[[]]"), "a message is an object");
	CHECK(refusal("[{\"body\":\"\",\"properties\":[]}]", 30) == ERR_INVALID);
	CHECK(refusal("[{\"body\":\"\",\"base64Encoded\":\"false\"}]", 37) == ERR_INVALID);
	CHECK(refusal("[{\"body\":\"\\u0000\"}]", 19) == ERR_INVALID);
	CHECK(refusal("[{\"body\":\"\",\"body\":\"\"}]", 23) == ERR_INVALID);
}

TEST("a batch is a list that is not empty")
{
	CHECK_STR(told("[]"), "a batch is a list of messages");
	CHECK_STR(told("{\"body\":\"\"}"), "a batch is a list of messages");
	CHECK_STR(told("null"), "a batch is a list of messages");
	CHECK(refusal("", 0) == ERR_INVALID);
	CHECK(refusal("[{\"body\":\"\"}", 12) == ERR_INVALID);
}

/* So many messages of this text. */
static enum err_kind
repeated(size_t n, const char *message, bool *fits)
{
	CLEAR(buf) text = BUF_INIT(4 << 20);
	CLEAR(message_batch) batch = { 0 };
	struct err err = ERR_INIT;

	buf_putc(&text, '[');
	for (size_t i = 0; i < n; i++)
		buf_putf(&text, "%s%s", i > 0 ? "," : "", message);
	buf_putc(&text, ']');
	*fits = message_batch_parse(&batch, text.data, text.len, &err) == 0;
	CHECK(!*fits || batch.n == n);
	return err.kind;
}

TEST("a thousand messages are a batch, one more is too many")
{
	bool fits;

	repeated(MESSAGE_BATCH_MESSAGES_MAX, "{\"body\":\"\"}", &fits);
	CHECK(fits);
	CHECK(repeated(MESSAGE_BATCH_MESSAGES_MAX + 1, "{\"body\":\"\"}", &fits) == ERR_LIMIT);
}

/* A message whose text has so many bytes, and whose property "" adds one, the "=". */
static char *
sized(int len)
{
	return mem_textf("{\"base64Encoded\":false,\"body\":\"%0*d\",\"properties\":{\"\":\"\"}}", len, 0);
}

TEST("payloads and properties together have 256 KiB")
{
	OWN_TEXT fitting = sized(1023);
	OWN_TEXT larger = sized(1024);
	bool fits;

	repeated(256, fitting, &fits);
	CHECK(fits);
	CHECK(repeated(256, larger, &fits) == ERR_LIMIT);
	CHECK(repeated(257, fitting, &fits) == ERR_LIMIT);
}

TEST("what counts of a property is its encoded form")
{
	CLEAR(buf) message = BUF_INIT(1024);
	bool fits;

	buf_puts(&message, "{\"body\":\"\",\"properties\":{\"k\":\"");
	for (int i = 0; i < 60; i++)
		buf_puts(&message, "ü");
	buf_puts(&message, "\"}}");
	repeated(700, buf_text(&message), &fits);
	CHECK(fits);
	CHECK(repeated(750, buf_text(&message), &fits) == ERR_LIMIT);
}

TEST("the text of a batch has a ceiling of its own")
{
	CLEAR(buf) text = BUF_INIT(1 << 20);

	buf_puts(&text, "[{\"body\":\"\"");
	while (text.len <= MESSAGE_BATCH_TEXT_MAX)
		buf_putc(&text, ' ');
	buf_puts(&text, "}]");
	CHECK(refusal(buf_text(&text), text.len) == ERR_LIMIT);
}
