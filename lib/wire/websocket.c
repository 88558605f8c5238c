/* SPDX-License-Identifier: Apache-2.0 */
/* Frames are judged as early as their bytes allow: a frame that is not masked, or text, is refused by its first two bytes, before its length is believed. */
#include "wire/websocket.h"

#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/codec.h"

#define KEY_LEN 16
#define LEN_IN_2 126
#define LEN_IN_8 127

/* -- The handshake ------------------------------------------------------------------------------------------------------------------- */

bool
websocket_accept(const char *key, char out[static WEBSOCKET_ACCEPT_LEN])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
	CLEAR(buf) bytes = BUF_INIT(KEY_LEN);
	CLEAR(buf) text = BUF_INIT(64);
	CLEAR(buf) accept = BUF_INIT(WEBSOCKET_ACCEPT_LEN);
	uint8_t digest[DIGEST_SHA1_LEN];

	if (!key || !base64_decode(&bytes, key, strlen(key), BASE64_STRICT) || bytes.len != KEY_LEN)
		return false;
	buf_puts(&text, key);
	buf_puts(&text, guid);
	digest_sha1(text.data, text.len, digest);
	base64_encode(&accept, digest, sizeof(digest));
	memcpy(out, buf_text(&accept), WEBSOCKET_ACCEPT_LEN);
	return true;
}

static struct slice
trimmed(struct slice s)
{
	while (s.len > 0 && (s.text[0] == ' ' || s.text[0] == '\t')) {
		s.text++;
		s.len--;
	}
	while (s.len > 0 && (s.text[s.len - 1] == ' ' || s.text[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* The word of a list that this is, in any case; empty when it is not there. */
static struct slice
find_word(const char *list, const char *wanted)
{
	struct slice rest = slice_of(list ? list : ""), word;
	bool more = true;

	while (more) {
		more = slice_cut(&rest, ',', &word);
		word = trimmed(word);
		if (word.len == strlen(wanted) && strncasecmp(word.text, wanted, word.len) == 0)
			return word;
	}
	return (struct slice){ .text = "", .len = 0 };
}

bool
websocket_names(const char *list, const char *word)
{
	return find_word(list, word).len > 0;
}

char *
websocket_choose(const char *offered, const char *wanted)
{
	struct slice found = find_word(offered, wanted);

	return found.len > 0 ? slice_text(found) : NULL;
}

/* -- Reading frames ------------------------------------------------------------------------------------------------------------------- */

void
websocket_reader_init(struct websocket_reader *reader, uint64_t max_frame)
{
	*reader = (struct websocket_reader){ .max = max_frame };
}

void
websocket_reader_clear(struct websocket_reader *reader)
{
	mem_free(reader->control);
	reader->control = NULL;
}

static enum websocket_event
broken(struct websocket_piece *piece, enum websocket_code code, const char *why)
{
	piece->code = code;
	piece->why = why;
	return WEBSOCKET_BROKEN;
}

static enum websocket_opcode
opcode_of(const struct websocket_reader *r)
{
	return (enum websocket_opcode)(r->head[0] & 0x0f);
}

static bool
is_final(const struct websocket_reader *r)
{
	return (r->head[0] & 0x80) != 0;
}

static bool
is_control(const struct websocket_reader *r)
{
	return (r->head[0] & 0x08) != 0;
}

static uint8_t
short_len(const struct websocket_reader *r)
{
	return r->head[1] & 0x7f;
}

static size_t
head_len(const struct websocket_reader *r)
{
	if (r->n_head < 2)
		return 2;
	return short_len(r) == LEN_IN_8 ? 14 : short_len(r) == LEN_IN_2 ? 8 : 6;
}

/* What the first two bytes say. */
static enum websocket_event
check_opening(const struct websocket_reader *r, struct websocket_piece *piece)
{
	if (r->head[0] & 0x70)
		return broken(
			piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 5.2: a reserved bit is set, and no extension was agreed on");
	if (!(r->head[1] & 0x80))
		return broken(piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 5.1: the client's frame is not masked");
	switch (opcode_of(r)) {
	case WEBSOCKET_TEXT:
		return broken(piece, WEBSOCKET_UNSUPPORTED, "a text message, where binary ones are spoken");
	case WEBSOCKET_BINARY:
		return r->in_message ? broken(piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 5.4: a new message inside of another")
				     : WEBSOCKET_MORE;
	case WEBSOCKET_CONTINUATION:
		return r->in_message ? WEBSOCKET_MORE
				     : broken(piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 5.4: a continuation of no message");
	case WEBSOCKET_CLOSE:
	case WEBSOCKET_PING:
	case WEBSOCKET_PONG:
		return is_final(r) && short_len(r) <= WEBSOCKET_CONTROL_MAX
			       ? WEBSOCKET_MORE
			       : broken(piece, WEBSOCKET_PROTOCOL_ERROR,
					 "RFC 6455 5.5: a control frame that is long or fragmented");
	}
	return broken(piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 5.2: an unknown opcode");
}

static enum websocket_event
take_length(struct websocket_reader *r, struct websocket_piece *piece)
{
	struct rd rd = rd_over(r->head + 2, WEBSOCKET_HEAD_MAX - 2);
	uint64_t len = short_len(r) == LEN_IN_8 ? rd_u64(&rd) : short_len(r) == LEN_IN_2 ? rd_u16(&rd) : short_len(r);

	if ((short_len(r) == LEN_IN_2 && len < LEN_IN_2) || (short_len(r) == LEN_IN_8 && len <= UINT16_MAX))
		return broken(piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 5.2: a length that is not written in its shortest form");
	if (len > r->max)
		return broken(piece, WEBSOCKET_TOO_BIG, "a frame that is longer than is accepted");
	r->left = len;
	r->mask_at = 0;
	r->in_payload = true;
	if (!is_control(r)) {
		r->in_message = !is_final(r);
		return WEBSOCKET_MORE;
	}
	websocket_reader_clear(r);
	r->control = mem_new(WEBSOCKET_CONTROL_MAX);
	return WEBSOCKET_MORE;
}

static enum websocket_event
read_head(struct websocket_reader *r, const uint8_t *data, size_t len, size_t *used, struct websocket_piece *piece)
{
	enum websocket_event event;

	while (*used < len && r->n_head < head_len(r)) {
		r->head[r->n_head++] = data[(*used)++];
		event = r->n_head == 2 ? check_opening(r, piece) : WEBSOCKET_MORE;
		if (event == WEBSOCKET_BROKEN)
			return event;
	}
	return r->n_head == head_len(r) ? take_length(r, piece) : WEBSOCKET_MORE;
}

static void
unmask(struct websocket_reader *r, uint8_t *data, size_t len)
{
	const uint8_t *mask = r->head + head_len(r) - 4;

	for (size_t i = 0; i < len; i++)
		data[i] ^= mask[(r->mask_at + i) & 3];
	r->mask_at = (uint8_t)((r->mask_at + len) & 3);
}

static void
end_frame(struct websocket_reader *r)
{
	r->in_payload = false;
	r->n_head = 0;
}

/* RFC 6455 7.4: these are sent, others only reported. */
static bool
may_be_sent(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1011) || (code >= 3000 && code <= 4999);
}

static enum websocket_event
take_close(const uint8_t *payload, size_t len, struct websocket_piece *piece)
{
	struct rd rd = rd_over(payload, len);
	unsigned code = len > 0 ? rd_u16(&rd) : WEBSOCKET_NORMAL;

	if (rd.bad || !may_be_sent(code))
		return broken(piece, WEBSOCKET_PROTOCOL_ERROR, "RFC 6455 7.4: a close without a proper code");
	if (!text_is_utf8((const char *)rd.at, rd_left(&rd)))
		return broken(piece, WEBSOCKET_NOT_UTF8, "RFC 6455 5.5.1: the reason of a close is not UTF-8");
	piece->code = (enum websocket_code)code;
	return WEBSOCKET_CLOSED;
}

static enum websocket_event
end_control(struct websocket_reader *r, struct websocket_piece *piece)
{
	size_t len = short_len(r);

	end_frame(r);
	piece->data = r->control;
	piece->len = len;
	if (opcode_of(r) == WEBSOCKET_PING)
		return WEBSOCKET_PINGED;
	return opcode_of(r) == WEBSOCKET_CLOSE ? take_close(r->control, len, piece) : WEBSOCKET_MORE;
}

static enum websocket_event
read_payload(struct websocket_reader *r, uint8_t *data, size_t len, size_t *used, struct websocket_piece *piece)
{
	size_t n = len - *used < r->left ? len - *used : (size_t)r->left;
	uint8_t *at = data + *used;

	unmask(r, at, n);
	*used += n;
	if (is_control(r))
		memcpy(r->control + short_len(r) - r->left, at, n);
	r->left -= n;
	if (is_control(r))
		return r->left == 0 ? end_control(r, piece) : WEBSOCKET_MORE;
	if (r->left == 0)
		end_frame(r);
	piece->data = at;
	piece->len = n;
	return n > 0 ? WEBSOCKET_CONTENT : WEBSOCKET_MORE;
}

enum websocket_event
websocket_read(struct websocket_reader *r, uint8_t *data, size_t len, size_t *used, struct websocket_piece *piece)
{
	enum websocket_event event = WEBSOCKET_MORE;

	*used = 0;
	*piece = (struct websocket_piece){ 0 };
	if (!r->in_payload)
		websocket_reader_clear(r); /* of the last ping */
	while (event == WEBSOCKET_MORE && (*used < len || (r->in_payload && r->left == 0)))
		event = r->in_payload ? read_payload(r, data, len, used, piece) : read_head(r, data, len, used, piece);
	if (event == WEBSOCKET_MORE && !r->in_payload)
		websocket_reader_clear(r); /* of a pong: what is idle holds nothing */
	return event;
}

/* -- Writing frames ------------------------------------------------------------------------------------------------------------------- */

void
websocket_put(struct buf *out, enum websocket_opcode opcode, const void *payload, size_t len)
{
	buf_put_u8(out, (uint8_t)(0x80 | opcode));
	if (len < LEN_IN_2) {
		buf_put_u8(out, (uint8_t)len);
	} else if (len <= UINT16_MAX) {
		buf_put_u8(out, LEN_IN_2);
		buf_put_u16(out, (uint16_t)len);
	} else {
		buf_put_u8(out, LEN_IN_8);
		buf_put_u64(out, len);
	}
	buf_put(out, payload, len);
}

void
websocket_put_close(struct buf *out, enum websocket_code code)
{
	uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	websocket_put(out, WEBSOCKET_CLOSE, payload, sizeof(payload));
}
