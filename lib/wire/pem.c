/* SPDX-License-Identifier: Apache-2.0 */
/* PEM, line by line. */
#include <string.h>

#include "wire/codec.h"
#include "wire/pem.h"

#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

void
pem_init(struct pem *pem, const char *text, size_t len)
{
	*pem = (struct pem){ .rest = { .text = len > 0 ? text : "", .len = len }, .der = BUF_INIT(PEM_BLOCK_MAX) };
}

void
pem_clear(struct pem *pem)
{
	buf_wipe(&pem->der);
}

static bool
next_line(struct pem *pem, struct slice *line)
{
	if (pem->rest.len == 0)
		return false;
	slice_cut(&pem->rest, '\n', line);
	pem->next_line_++;
	while (line->len > 0 && strchr("\r \t", line->text[line->len - 1]))
		line->len--;
	return true;
}

/* "-----BEGIN X-----" gives X. */
static bool
label_of(struct slice line, const char *start, struct slice *label)
{
	size_t head = strlen(start), tail = strlen(DASHES);

	if (!slice_starts(line, start) || line.len < head + tail || memcmp(line.text + line.len - tail, DASHES, tail) != 0)
		return false;
	*label = (struct slice){ .text = line.text + head, .len = line.len - head - tail };
	for (size_t i = 0; i < label->len; i++)
		if (label->text[i] < ' ' || label->text[i] > '~' || label->text[i] == '-')
			return false; /* RFC 7468 3 */
	return true;
}

static bool
same(struct slice a, struct slice b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

/* RFC 1421 4.6: lines with a colon may stand between BEGIN and the text. */
static bool
take_header(struct pem *pem, const struct buf *base64, struct slice line)
{
	if (base64->len > 0 || line.len == 0 || !memchr(line.text, ':', line.len))
		return false;
	pem->encrypted = pem->encrypted || slice_is(line, "Proc-Type: 4,ENCRYPTED");
	return true;
}

static int
take_body(struct pem *pem, struct buf *base64, struct err *err)
{
	struct slice line, label;

	while (next_line(pem, &line)) {
		if (label_of(line, END, &label)) {
			if (!same(label, pem->label))
				return err_set(err, ERR_INVALID, "line %d: END of another block than the BEGIN at line %d",
					pem->next_line_, pem->line);
			return 0;
		}
		if (slice_starts(line, DASHES))
			return err_set(err, ERR_INVALID, "line %d: a block begins inside another", pem->next_line_);
		if (!take_header(pem, base64, line))
			buf_put(base64, line.text, line.len);
	}
	return err_set(err, ERR_INVALID, "line %d: a PEM block without its END", pem->line);
}

/* 1: at a BEGIN line, 0: there is none. */
static int
find_begin(struct pem *pem, struct err *err)
{
	struct slice line;

	while (next_line(pem, &line)) {
		if (label_of(line, BEGIN, &pem->label))
			return 1;
		if (slice_starts(line, BEGIN))
			return err_set(
				err, ERR_INVALID, "line %d: a BEGIN line that does not end with five dashes", pem->next_line_);
		if (slice_starts(line, END))
			return err_set(err, ERR_INVALID, "line %d: END of a PEM block without its BEGIN", pem->next_line_);
	}
	return 0;
}

static int
decode_body(struct pem *pem, const struct buf *base64, struct err *err)
{
	if (base64->failed)
		return err_set(err, ERR_LIMIT, "line %d: a PEM block of more than %d bytes", pem->line, PEM_BLOCK_MAX);
	if (pem->encrypted)
		return 0;
	if (!base64_decode(&pem->der, buf_text(base64), base64->len, BASE64_STRICT))
		return err_set(err, ERR_INVALID, "line %d: a PEM block that is not base64", pem->line);
	return pem->der.len > 0 ? 0 : err_set(err, ERR_INVALID, "line %d: an empty PEM block", pem->line);
}

int
pem_next(struct pem *pem, struct err *err)
{
	struct buf base64 = BUF_INIT(PEM_BLOCK_MAX);
	int status = find_begin(pem, err);

	if (status <= 0)
		return status;
	pem->line = pem->next_line_;
	pem->encrypted = false;
	buf_wipe(&pem->der);
	status = take_body(pem, &base64, err) < 0 || decode_body(pem, &base64, err) < 0 ? -1 : 1;
	buf_wipe(&base64);
	return status;
}

void
pem_put(struct buf *out, const char *label, const void *der, size_t len)
{
	struct buf base64 = BUF_INIT(PEM_BLOCK_MAX * 2);

	base64_encode(&base64, der, len);
	buf_putf(out, BEGIN "%s" DASHES "\n", label);
	for (size_t i = 0; i < base64.len; i += 64) {
		buf_put(out, base64.data + i, base64.len - i < 64 ? base64.len - i : 64);
		buf_putc(out, '\n');
	}
	buf_putf(out, END "%s" DASHES "\n", label);
	out->failed = out->failed || base64.failed;
	buf_wipe(&base64);
}
