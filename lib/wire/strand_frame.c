/* SPDX-License-Identifier: Apache-2.0 */
/* What each kind may say stands in a table; a head is judged before anything that follows it is waited for. */
#include "wire/strand_frame.h"

#include "base/rd.h"

struct rule {
	const char *name;
	bool of_strand; /* it names one; else 0 */
	uint32_t min, max;
};

static const struct rule rules[STRAND_KINDS] = {
	[STRAND_OPEN] = { "OPEN", true, 0, 0 },
	[STRAND_DATA] = { "DATA", true, 1, STRAND_DATA_MAX },
	[STRAND_END] = { "END", true, 0, 0 },
	[STRAND_CREDIT] = { "CREDIT", true, 1, STRAND_WINDOW },
	[STRAND_RETIRE] = { "RETIRE", false, 0, 0 },
	[STRAND_PING] = { "PING", false, 0, 0 },
	[STRAND_PONG] = { "PONG", false, 0, 0 },
};

static int
check_head(const struct strand_frame *frame, struct err *err)
{
	const struct rule *rule = (unsigned)frame->kind < STRAND_KINDS ? &rules[frame->kind] : NULL;

	if (!rule || !rule->name)
		return err_set(err, ERR_INVALID, "a frame of the unknown kind %u", (unsigned)frame->kind);
	if ((frame->strand != 0) != rule->of_strand)
		return err_set(err, ERR_INVALID, "%s with the strand %lu", rule->name, (unsigned long)frame->strand);
	if (frame->n < rule->min || frame->n > rule->max)
		return err_set(err, ERR_LIMIT, "%s with %lu, where %lu to %lu may stand", rule->name, (unsigned long)frame->n,
			(unsigned long)rule->min, (unsigned long)rule->max);
	return 0;
}

enum strand_cut
strand_frame_cut(struct strand_frame *out, const uint8_t *data, size_t len, size_t *used, struct err *err)
{
	struct rd rd = rd_over(data, len);

	if (len < STRAND_HEAD_LEN)
		return STRAND_CUT_MORE;
	*out = (struct strand_frame){ .kind = (enum strand_kind)rd_u8(&rd) };
	out->strand = rd_u32(&rd);
	out->n = rd_u32(&rd);
	if (check_head(out, err) < 0)
		return STRAND_CUT_BAD;
	if (out->kind == STRAND_DATA)
		out->data = rd_bytes(&rd, out->n);
	if (rd.bad)
		return STRAND_CUT_MORE;
	*used = (size_t)(rd.at - data);
	return STRAND_CUT_FRAME;
}

void
strand_frame_put(struct buf *out, enum strand_kind kind, uint32_t strand, uint32_t n)
{
	buf_put_u8(out, (uint8_t)kind);
	buf_put_u32(out, strand);
	buf_put_u32(out, n);
}
