/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that calls the allocator.  Running out of memory ends the process with a message: the alternative is branches that
 * nobody ever runs. */
#include <stdio.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static void *
must(void *p)
{
	if (p)
		return p;
	fputs("out of memory\n", stderr);
	abort();
}

void *
mem_new(size_t size)
{
	return must(calloc(1, size ? size : 1));
}

void *
mem_array(size_t n, size_t size)
{
	return must(calloc(n ? n : 1, size ? size : 1));
}

void *
mem_resize(void *p, size_t size)
{
	return must(realloc(p, size ? size : 1));
}

void *
mem_dup(const void *data, size_t len)
{
	void *copy = must(malloc(len ? len : 1));

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

char *
mem_text(const char *text)
{
	return text ? mem_textn(text, strlen(text)) : NULL;
}

char *
mem_textn(const char *text, size_t len)
{
	char *copy = must(malloc(len + 1));

	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *
mem_textf(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	return must(text);
}

void
mem_free(void *p)
{
	free(p);
}

bool
mem_equal_ct(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= x[i] ^ y[i];
	return differ == 0;
}

void
mem_wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

void
mem_begin(void)
{
	mallopt(M_MXFAST, 0); /* no bins of pieces that wait to be joined */
	mallopt(M_ARENA_MAX, (int)sysconf(_SC_NPROCESSORS_ONLN));
}

void
mem_trim(void)
{
	malloc_trim(0);
}
