/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of strands: what is written is read, and what may not be said is refused by its head alone. */
#include "wire/strand_frame.h"

#include "base/mem.h"
#include "t.h"

static struct strand_frame
read_one(const struct buf *bytes)
{
	struct strand_frame frame = { 0 };
	struct err err = ERR_INIT;
	size_t used = 0;

	CHECK(strand_frame_cut(&frame, bytes->data, bytes->len, &used, &err) == STRAND_CUT_FRAME);
	CHECK(used == bytes->len);
	return frame;
}

/* What a head of these is; it is all that there is. */
static enum strand_cut
judge(unsigned kind, uint32_t strand, uint32_t n, struct err *err)
{
	CLEAR(buf) bytes = BUF_INIT(STRAND_HEAD_LEN);
	struct strand_frame frame;
	size_t used;

	strand_frame_put(&bytes, (enum strand_kind)kind, strand, n);
	CHECK(!bytes.failed && bytes.len == STRAND_HEAD_LEN);
	return strand_frame_cut(&frame, bytes.data, bytes.len, &used, err);
}

TEST("a frame is read as it was written, with its data in place")
{
	CLEAR(buf) bytes = BUF_INIT(100);
	struct strand_frame frame;

	strand_frame_put(&bytes, STRAND_DATA, 0xfedcba98, 5);
	buf_put(&bytes, "hello", 5);
	frame = read_one(&bytes);
	CHECK(frame.kind == STRAND_DATA && frame.strand == 0xfedcba98 && frame.n == 5);
	CHECK(frame.data == bytes.data + STRAND_HEAD_LEN);
}

TEST("a frame that is not whole is waited for, wherever it was cut")
{
	CLEAR(buf) bytes = BUF_INIT(100);

	strand_frame_put(&bytes, STRAND_DATA, 1, 5);
	buf_put(&bytes, "hello", 5);
	for (size_t len = 0; len < bytes.len; len++) {
		struct strand_frame frame;
		struct err err = ERR_INIT;
		size_t used;

		CHECK(strand_frame_cut(&frame, bytes.data, len, &used, &err) == STRAND_CUT_MORE);
	}
}

TEST("frames follow one another without anything between them")
{
	static const enum strand_kind kinds[] = { STRAND_OPEN, STRAND_CREDIT, STRAND_END, STRAND_PING, STRAND_PONG, STRAND_RETIRE };
	CLEAR(buf) bytes = BUF_INIT(100);
	size_t at = 0, used;

	for (size_t i = 0; i < COUNT(kinds); i++)
		strand_frame_put(&bytes, kinds[i], i < 3 ? 7 : 0, kinds[i] == STRAND_CREDIT ? STRAND_WINDOW : 0);
	for (size_t i = 0; i < COUNT(kinds); i++, at += used) {
		struct strand_frame frame;
		struct err err = ERR_INIT;

		CHECK(strand_frame_cut(&frame, bytes.data + at, bytes.len - at, &used, &err) == STRAND_CUT_FRAME);
		CHECK(frame.kind == kinds[i]);
	}
	CHECK(at == bytes.len);
}

TEST("data has at least a byte and at most 16384, which its head alone shows")
{
	struct err err = ERR_INIT;

	CHECK(judge(STRAND_DATA, 1, STRAND_DATA_MAX, &err) == STRAND_CUT_MORE);
	CHECK(judge(STRAND_DATA, 1, STRAND_DATA_MAX + 1, &err) == STRAND_CUT_BAD);
	CHECK(err.kind == ERR_LIMIT);
	CHECK_STR(err.text, "DATA with 16385, where 1 to 16384 may stand");
	CHECK(judge(STRAND_DATA, 1, 0, &err) == STRAND_CUT_BAD);
	CHECK(judge(STRAND_DATA, 1, UINT32_MAX, &err) == STRAND_CUT_BAD);
}

TEST("credit is never more than the window, nor none")
{
	struct err err = ERR_INIT;

	CHECK(judge(STRAND_CREDIT, 1, STRAND_WINDOW, &err) == STRAND_CUT_FRAME);
	CHECK(judge(STRAND_CREDIT, 1, STRAND_WINDOW + 1, &err) == STRAND_CUT_BAD);
	CHECK(judge(STRAND_CREDIT, 1, 0, &err) == STRAND_CUT_BAD);
}

TEST("a frame about a strand names one, and a frame about the connection none")
{
	struct err err = ERR_INIT;

	for (unsigned kind = STRAND_OPEN; kind <= STRAND_CREDIT; kind++)
		CHECK(judge(kind, 0, kind == STRAND_DATA || kind == STRAND_CREDIT, &err) == STRAND_CUT_BAD);
	for (unsigned kind = STRAND_RETIRE; kind < STRAND_KINDS; kind++)
		CHECK(judge(kind, 1, 0, &err) == STRAND_CUT_BAD);
	CHECK_STR(err.text, "PONG with the strand 1");
}

TEST("an unknown kind is refused")
{
	struct err err = ERR_INIT;

	CHECK(judge(0, 1, 0, &err) == STRAND_CUT_BAD);
	CHECK(judge(STRAND_KINDS, 1, 0, &err) == STRAND_CUT_BAD);
	CHECK(judge(255, 1, 0, &err) == STRAND_CUT_BAD);
	CHECK_STR(err.text, "a frame of the unknown kind 255");
}
