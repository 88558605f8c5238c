/* SPDX-License-Identifier: Apache-2.0 */
/* The framing and its handshake.  What an idle connection costs for it is the reader, under a hundred bytes: content is unmasked where it lies, and goes straight on. */
#include "net/conn_websocket.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/websocket.h"

#define FRAME_MAX (1024 * 1024)
#define PATH_MAX_LEN 256

/* -- The framing ---------------------------------------------------------------------------------------------------------------------- */

struct websocket {
	struct conn_framing base;
	struct websocket_reader reader;
	enum websocket_code code; /* to close with */
};

static struct websocket *
websocket_of(struct conn_framing *framing)
{
	return CONTAINER_OF(framing, struct websocket, base);
}

static void
end_with(struct websocket *ws, const struct websocket_piece *piece)
{
	ws->code = piece->code;
	ws->base.ended = piece->why ? piece->why : "";
}

static size_t
decode(struct conn_framing *framing, uint8_t *data, size_t len, struct buf *out)
{
	struct websocket *ws = websocket_of(framing);
	enum websocket_event event = WEBSOCKET_PINGED;
	struct websocket_piece piece;
	size_t content = 0, used;

	for (size_t at = 0; event != WEBSOCKET_MORE && !ws->base.ended; at += used) {
		event = websocket_read(&ws->reader, data + at, len - at, &used, &piece);
		if (event == WEBSOCKET_CONTENT) {
			memmove(data + content, piece.data, piece.len);
			content += piece.len;
		} else if (event == WEBSOCKET_PINGED) {
			websocket_put(out, WEBSOCKET_PONG, piece.data, piece.len);
		} else if (event != WEBSOCKET_MORE) {
			end_with(ws, &piece);
		}
	}
	return content;
}

static void
encode(struct conn_framing *framing, struct buf *out, const void *data, size_t len)
{
	(void)framing;
	websocket_put(out, WEBSOCKET_BINARY, data, len);
}

static void
say_end(struct conn_framing *framing, struct buf *out)
{
	websocket_put_close(out, websocket_of(framing)->code);
}

static void
free_websocket(struct conn_framing *framing)
{
	struct websocket *ws = websocket_of(framing);

	websocket_reader_clear(&ws->reader);
	mem_free(ws);
}

static const struct conn_framing_ops framing_ops = {
	.decode = decode,
	.encode = encode,
	.end = say_end,
	.free = free_websocket,
};

static struct conn_framing *
websocket_new(void)
{
	struct websocket *ws = NEW(websocket);

	ws->base.ops = &framing_ops;
	ws->code = WEBSOCKET_NORMAL;
	websocket_reader_init(&ws->reader, FRAME_MAX);
	return &ws->base;
}

/* -- The handshake -------------------------------------------------------------------------------------------------------------------- */

static void
refuse(struct http_request *req, int status, const char *const *headers, const char *words)
{
	http_respond_json(req, status, headers, json_pack("{s:s}", "message", words));
}

static bool
path_is(const struct http_request *req, const char *path)
{
	CLEAR(buf) decoded = BUF_INIT(PATH_MAX_LEN);
	const char *written = http_path(req);

	if (text_is(path, "*"))
		return true;
	return percent_decode(&decoded, written, strlen(written)) && decoded.len == strlen(path) &&
	       text_is_nocase(buf_text(&decoded), path);
}

static void
open_protocol(struct http_request *req, const struct websocket_service *service, const char *accept, const char *spelling)
{
	OWN_TEXT accept_line = mem_textf("Sec-WebSocket-Accept: %s", accept);
	OWN_TEXT protocol_line = mem_textf("Sec-WebSocket-Protocol: %s", spelling);
	const char *headers[] = { "Upgrade: websocket", "Connection: Upgrade", accept_line, protocol_line, NULL };
	struct conn *conn = http_switch(req, headers);

	if (!conn)
		return;
	conn_set_framing(conn, websocket_new());
	conn_switch_ops(conn, service->ops, NULL);
	service->on_accept(conn, service->user);
	if (service->ops->on_open)
		service->ops->on_open(conn);
}

static void
refuse_subprotocol(struct http_request *req, const struct websocket_service *known)
{
	OWN_TEXT words = mem_textf("Sec-WebSocket-Protocol does not offer what is spoken here, which is %s", known->subprotocol);

	refuse(req, 400, NULL, words);
}

bool
websocket_serve(struct http_request *req, const struct websocket_service *services)
{
	static const char *const version_13[] = { "Sec-WebSocket-Version: 13", NULL };
	const char *version = http_header(req, "sec-websocket-version"), *offered = http_header(req, "sec-websocket-protocol");
	char accept[WEBSOCKET_ACCEPT_LEN];
	const struct websocket_service *known = NULL;

	if (!http_wants_upgrade(req, "websocket"))
		return false;
	for (const struct websocket_service *service = services; service->path; service++) {
		OWN_TEXT spelling = NULL;

		if (!path_is(req, service->path))
			continue;
		known = service;
		if (!text_is(version, "13")) {
			refuse(req, 426, version_13, "only version 13 of WebSocket is spoken here");
			return true;
		}
		spelling = websocket_choose(offered, service->subprotocol);
		if (!spelling)
			continue;
		if (websocket_accept(http_header(req, "sec-websocket-key"), accept))
			open_protocol(req, service, accept, spelling);
		else
			refuse(req, 400, NULL, "Sec-WebSocket-Key is not the base64 of 16 bytes");
		return true;
	}
	if (known)
		refuse_subprotocol(req, known);
	return known != NULL;
}
