/* SPDX-License-Identifier: Apache-2.0 */
/* Targets of HTTP requests: segments, written again, are read as the same, and a route of blanks fits just what has as many. */
#include "fuzz.h"
#include "wire/codec.h"
#include "wire/http_target.h"

static bool
all_decode(const struct http_target *target)
{
	for (size_t i = 0; i < target->n_segments; i++)
		if (!target->segments[i])
			return false;
	return target->n_segments > 0;
}

/* "*" for each of them, or one more. */
static char *
blanks(size_t n)
{
	struct buf pattern = BUF_INIT(2 * HTTP_SEGMENTS_MAX + 4);

	for (size_t i = 0; i < n; i++)
		buf_puts(&pattern, i == 0 ? "*" : "/*");
	return buf_take_text(&pattern);
}

static void
check_routes(const struct http_target *target)
{
	size_t n = target->n_segments - (*target->segments[target->n_segments - 1] ? 0 : 1);
	const char *ids[HTTP_SEGMENTS_MAX + 1];
	OWN_TEXT as_many = blanks(n);
	OWN_TEXT more = blanks(n + 1);

	if (n == 0)
		return;
	FUZZ_CHECK(http_target_fits(target, as_many, ids, COUNT(ids)));
	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(ids[i] == target->segments[i]);
	FUZZ_CHECK(!ids[n]);
	FUZZ_CHECK(!http_target_fits(target, more, ids, COUNT(ids)));
	FUZZ_CHECK(!http_target_fits(target, as_many, ids, n - 1));
}

static void
check_again(const struct http_target *target)
{
	struct buf text = BUF_INIT(4 * HTTP_TARGET_MAX);
	CLEAR(http_target) again = { 0 };

	for (size_t i = 0; i < target->n_segments; i++) {
		buf_putc(&text, '/');
		percent_encode(&text, target->segments[i], strlen(target->segments[i]));
	}
	http_target_read(&again, buf_take_text(&text));
	for (size_t i = 0; i < again.n_segments; i++)
		FUZZ_CHECK(again.segments[i] && strcmp(again.segments[i], target->segments[i]) == 0);
	FUZZ_CHECK(again.n_segments == target->n_segments || !*target->segments[target->n_segments - 1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAR(http_target) target = { 0 };

	if (size > HTTP_TARGET_MAX)
		return 0;
	http_target_read(&target, mem_textn((const char *)data, size));
	FUZZ_CHECK(target.n_segments <= HTTP_SEGMENTS_MAX);
	if (all_decode(&target)) {
		check_routes(&target);
		check_again(&target);
	}
	return 0;
}
