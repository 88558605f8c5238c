/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of strands: what is read is within its ceilings and written again as the same bytes, and wherever the stream is cut a frame is waited for or judged as it is when whole. */
#include "base/mem.h"
#include "fuzz.h"
#include "wire/strand_frame.h"

static void
check_frame(const struct strand_frame *frame, const uint8_t *data, size_t used)
{
	CLEAR(buf) again = BUF_INIT(STRAND_HEAD_LEN + STRAND_DATA_MAX);

	FUZZ_CHECK(frame->n <= (frame->kind == STRAND_DATA ? STRAND_DATA_MAX : STRAND_WINDOW));
	FUZZ_CHECK(used == STRAND_HEAD_LEN + (frame->kind == STRAND_DATA ? frame->n : 0));
	strand_frame_put(&again, frame->kind, frame->strand, frame->n);
	if (frame->data)
		buf_put(&again, frame->data, frame->n);
	FUZZ_CHECK(!again.failed && again.len == used && memcmp(again.data, data, used) == 0);
}

static void
check_cut(const uint8_t *data, size_t len, enum strand_cut whole)
{
	struct strand_frame frame;
	struct err err = ERR_INIT;
	size_t used;
	enum strand_cut cut = strand_frame_cut(&frame, data, len, &used, &err);

	FUZZ_CHECK(cut == STRAND_CUT_MORE || cut == whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum strand_cut cut = STRAND_CUT_FRAME;
	size_t used = 0;

	for (size_t at = 0; cut == STRAND_CUT_FRAME; at += used) {
		struct strand_frame frame;
		struct err err = ERR_INIT;

		cut = strand_frame_cut(&frame, data + at, size - at, &used, &err);
		if (cut == STRAND_CUT_FRAME)
			check_frame(&frame, data + at, used);
		for (size_t len = 0; len < size - at && len < 2 * STRAND_HEAD_LEN; len++)
			check_cut(data + at, len, cut);
	}
	return 0;
}
