/* SPDX-License-Identifier: Apache-2.0 */
/* Marks of messages.  They are looked for in every message, so the bag is not taken apart, and only the spelling counts that gateways write. */
#include "wire/message_mark.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"

#define NAME "$.gseq="
#define NUMBER_LEN_MAX 20
#define LOG_BYTES (MESSAGE_MARK_LOG_LEN / 2)

void
message_mark_format(struct buf *out, const struct message_mark *mark)
{
	const int64_t numbers[] = { (int64_t)mark->sequence, (int64_t)mark->previous, mark->stored_ms };

	buf_puts(out, mark->log);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		buf_putc(out, '.');
		buf_put_i64(out, numbers[i]);
	}
}

static bool
is_log(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!memchr("0123456789abcdef", text.text[i], 16))
			return false;
	return text.len == MESSAGE_MARK_LOG_LEN;
}

static bool
take_number(struct slice *rest, int64_t min, int64_t *out)
{
	char digits[NUMBER_LEN_MAX + 1];
	struct slice head;

	slice_cut(rest, '.', &head);
	if (head.len == 0 || head.len > NUMBER_LEN_MAX)
		return false;
	memcpy(digits, head.text, head.len);
	digits[head.len] = '\0';
	return strlen(digits) == head.len && text_to_i64(digits, min, INT64_MAX, out);
}

bool
message_mark_parse(struct message_mark *out, struct slice text)
{
	int64_t sequence, previous, stored_ms;
	struct slice log;

	if (text.len == 0 || text.text[text.len - 1] == '.')
		return false;
	if (!slice_cut(&text, '.', &log) || !is_log(log) || !take_number(&text, 1, &sequence) ||
		!take_number(&text, 0, &previous) || !take_number(&text, 0, &stored_ms) || text.len > 0 || previous >= sequence)
		return false;
	*out = (struct message_mark){ .sequence = (uint64_t)sequence, .previous = (uint64_t)previous, .stored_ms = stored_ms };
	memcpy(out->log, log.text, log.len);
	return true;
}

/* Both were made at random, so any mixture of them is as good as one that was; turned by a byte, for which of them goes through which. */
void
message_mark_go_through(struct message_mark *mark, const char *log)
{
	uint8_t theirs[LOG_BYTES] = { 0 }, ours[LOG_BYTES] = { 0 };
	CLEAR(buf) both = BUF_INIT(MESSAGE_MARK_LOG_LEN);

	hex_decode(theirs, LOG_BYTES, mark->log, strlen(mark->log));
	hex_decode(ours, LOG_BYTES, log, strlen(log));
	for (size_t i = 0; i < LOG_BYTES; i++)
		ours[i] ^= theirs[(i + 1) % LOG_BYTES];
	hex_encode(&both, ours, LOG_BYTES, false);
	memcpy(mark->log, buf_text(&both), MESSAGE_MARK_LOG_LEN);
}

void
message_mark_put(struct buf *bag, const struct message_mark *mark)
{
	if (bag->len > 0 && bag->data[bag->len - 1] == '/')
		bag->len--; /* overlooked at the end of a bag, a part of a value before it */
	if (bag->len > 0)
		buf_putc(bag, '&');
	buf_puts(bag, NAME);
	message_mark_format(bag, mark);
}

bool
message_mark_cut(struct slice bag, struct buf *rest, struct slice *mark)
{
	bool found = false;
	struct slice pair;

	if (bag.len == 0 || !memmem(bag.text, bag.len, NAME, strlen(NAME)))
		return false;
	buf_reset(rest);
	while (bag.len > 0) {
		slice_cut(&bag, '&', &pair);
		if (slice_starts(pair, NAME)) {
			found = true;
			*mark = (struct slice){ .text = pair.text + strlen(NAME), .len = pair.len - strlen(NAME) };
			continue;
		}
		if (rest->len > 0)
			buf_putc(rest, '&');
		buf_put(rest, pair.text, pair.len);
	}
	return found;
}
