/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket: a client's frames mean the same wherever their stream is cut, no piece lies outside of what was given, and a handshake's answer has its length.  The first byte says where to cut. */
#include "base/mem.h"
#include "fuzz.h"
#include "wire/websocket.h"

#define FRAME_MAX_LEN 5000

struct seen {
	struct buf content;
	enum websocket_event event;
	enum websocket_code code;
};

static void
feed(struct websocket_reader *reader, uint8_t *data, size_t len, struct seen *seen)
{
	struct websocket_piece piece;
	size_t used;

	do {
		seen->event = websocket_read(reader, data, len, &used, &piece);
		FUZZ_CHECK(used <= len);
		if (seen->event == WEBSOCKET_CONTENT) {
			FUZZ_CHECK(piece.data >= data && piece.data + piece.len <= data + used);
			buf_put(&seen->content, piece.data, piece.len);
		}
		if (seen->event == WEBSOCKET_PINGED) {
			FUZZ_CHECK(piece.len <= WEBSOCKET_CONTROL_MAX);
			websocket_put(&seen->content, WEBSOCKET_PONG, piece.data, piece.len);
		}
		seen->code = piece.code;
		data += used;
		len -= used;
	} while (seen->event == WEBSOCKET_CONTENT || seen->event == WEBSOCKET_PINGED);
	FUZZ_CHECK(seen->event != WEBSOCKET_MORE || len == 0);
}

static struct seen
read_in_two(const uint8_t *data, size_t len, size_t cut)
{
	struct seen seen = { .content = BUF_INIT(1 << 20) };
	uint8_t *copy = mem_new(len + 1);
	struct websocket_reader reader;

	memcpy(copy, data, len);
	websocket_reader_init(&reader, FRAME_MAX_LEN);
	feed(&reader, copy, cut, &seen);
	if (seen.event == WEBSOCKET_MORE)
		feed(&reader, copy + cut, len - cut, &seen);
	websocket_reader_clear(&reader);
	mem_free(copy);
	return seen;
}

static void
check_handshake(const uint8_t *data, size_t size)
{
	OWN_TEXT text = mem_textn((const char *)data, size);
	OWN_TEXT spelling = websocket_choose(text, "mqtt");
	char accept[WEBSOCKET_ACCEPT_LEN];

	FUZZ_CHECK(!spelling || strlen(spelling) == 4);
	FUZZ_CHECK(!websocket_accept(text, accept) || strlen(accept) == WEBSOCKET_ACCEPT_LEN - 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;

	if (size == 0)
		return 0;
	check_handshake(data + 1, size - 1);
	whole = read_in_two(data + 1, size - 1, 0);
	cut = read_in_two(data + 1, size - 1, data[0] % size);
	FUZZ_CHECK(whole.event == cut.event && whole.code == cut.code && whole.content.len == cut.content.len);
	FUZZ_CHECK(whole.content.len == 0 || memcmp(whole.content.data, cut.content.data, whole.content.len) == 0);
	buf_clear(&whole.content);
	buf_clear(&cut.content);
	return 0;
}
