/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Memory.  mem_* never returns NULL: a process that has no memory left stops with a message and is started again, its
 * state is on disk.  In exchange every size that a peer influences passes a ceiling before it gets here. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

void *mem_new(size_t size); /* zeroed */
void *mem_array(size_t n, size_t size);
void *mem_resize(void *p, size_t size);
void *mem_dup(const void *data, size_t len);
char *mem_text(const char *text);	       /* a copy; NULL gives NULL */
char *mem_textn(const char *text, size_t len); /* the first len bytes, terminated */
char *mem_textf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void mem_free(void *p);

#define NEW(x) ((struct x *)mem_new(sizeof(struct x)))

/* At the start of a process with loops, before it has a thread.  What is freed is joined with its neighbours at once: glibc puts that off for small pieces and then does it for all
 * of them within one call, after ten thousand connections have ended 15 to 30 ms.  And threads share as many heaps as the machine has processors: glibc would make eight times as
 * many, each with what lies idle in it. */
void mem_begin(void);
void mem_trim(void); /* after a burst that took much and gave it back: let the system have it */
bool mem_equal_ct(const void *a, const void *b, size_t len); /* time depends on len only */
void mem_wipe(void *p, size_t len);
