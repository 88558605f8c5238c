/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for people. */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

bool
page_has_colour(void)
{
	const char *no_colour = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && (!no_colour || !*no_colour) && !text_is(getenv("TERM"), "dumb");
}

void
page_print(struct buf *page)
{
	if (page->len > 0)
		fwrite(page->data, 1, page->len, stdout);
	fflush(stdout);
	buf_clear(page);
}

int
page_failure(const char *command, const struct err *err, int status)
{
	if (text_starts(err->text, command)) /* the option parser names it already */
		fprintf(stderr, "%s\n", err->text);
	else
		fprintf(stderr, "%s: %s\n", command, err->text);
	return status;
}

int
page_options(const struct option_usage *usage, void *options, int argc, char **argv)
{
	struct err err = ERR_INIT;
	int n = option_parse(usage, options, argc, argv, &err);

	if (n > 0)
		(void)err_set(&err, ERR_INVALID, "takes options only, found '%s'", argv[0]);
	return n == 0 ? 0 : page_failure(usage->command, &err, 2);
}

void
page_put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, *text);
	buf_putc(out, '\'');
}

void
page_put_time(struct buf *out, int64_t s)
{
	if (s >= 86400)
		buf_putf(out, "%lld d %lld h", (long long)s / 86400, (long long)s / 3600 % 24);
	else if (s >= 3600)
		buf_putf(out, "%lld h %lld min", (long long)s / 3600, (long long)s / 60 % 60);
	else if (s >= 60)
		buf_putf(out, "%lld min %lld s", (long long)s / 60, (long long)s % 60);
	else
		buf_putf(out, "%lld s", (long long)s);
}
