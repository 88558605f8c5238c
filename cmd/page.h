/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What commands for people share: pages that go to standard output, and the one way to say that a command was called wrongly. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PAGE_MAX (1024 * 1024)

bool page_has_colour(void);				 /* standard output is a terminal and NO_COLOR is not set */
void page_print(struct buf *page);			 /* and empties it */
void page_put_quoted(struct buf *out, const char *text); /* a word of the shell, whatever is in it */
void page_put_time(struct buf *out, int64_t seconds);	 /* "3 d 4 h" */
/* "COMMAND: sentence" on standard error; returns `status`. */
int page_failure(const char *command, const struct err *err, int status);
