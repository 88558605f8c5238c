/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to our requests: however the bytes are cut, the answer is the same, and within its ceilings.  The first byte says how to cut and whether a body is due. */
#include "fuzz.h"
#include "net/http_answer.h"

#define BODY_MAX 4096

struct reading {
	struct http_answer answer;
	enum http_answer_state state;
	size_t used;
	bool keep_alive;
};

static void
read_answer(struct reading *r, const uint8_t *data, size_t size, size_t piece, bool bodiless)
{
	struct http_answer_reader reader;
	size_t used;

	*r = (struct reading){ .answer = { .body = BUF_INIT(BODY_MAX) } };
	http_answer_begin(&reader, &r->answer, bodiless);
	while (r->used < size && r->state == HTTP_ANSWER_MORE) {
		size_t n = size - r->used < piece ? size - r->used : piece;

		r->state = http_answer_feed(&reader, data + r->used, n, &used);
		FUZZ_CHECK(used == n || (used < n && r->state != HTTP_ANSWER_MORE));
		r->used += used;
	}
	if (r->state == HTTP_ANSWER_MORE)
		r->state = http_answer_end(&reader);
	r->keep_alive = reader.keep_alive;
	FUZZ_CHECK(r->state != HTTP_ANSWER_MORE && r->answer.body.len <= BODY_MAX);
	http_answer_reader_clear(&reader);
}

static void
check_same(const struct http_answer *a, const struct http_answer *b)
{
	FUZZ_CHECK(a->status == b->status && a->status >= 200 && a->retry_after_s == b->retry_after_s);
	FUZZ_CHECK(fuzz_same(fuzz_slice(&a->body), fuzz_slice(&b->body)));
	FUZZ_CHECK(fuzz_same_text(a->etag, b->etag) && fuzz_same_text(a->content_type, b->content_type));
	FUZZ_CHECK(fuzz_same_text(a->error_code, b->error_code));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading whole, cut;
	uint8_t how;

	if (size == 0)
		return 0;
	how = data[0];
	read_answer(&whole, data + 1, size - 1, SIZE_MAX, how & 1);
	read_answer(&cut, data + 1, size - 1, 1 + how / 2 % 16, how & 1);
	FUZZ_CHECK((whole.state == HTTP_ANSWER_WHOLE) == (cut.state == HTTP_ANSWER_WHOLE));
	if (whole.state == HTTP_ANSWER_WHOLE) {
		FUZZ_CHECK(whole.used == cut.used && whole.keep_alive == cut.keep_alive);
		check_same(&whole.answer, &cut.answer);
	}
	http_answer_clear(&whole.answer);
	http_answer_clear(&cut.answer);
	return 0;
}
