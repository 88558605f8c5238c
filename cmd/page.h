/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What commands for people share: pages that go to standard output, and the one way to say that a command was called wrongly. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/option.h"

#define PAGE_MAX (1024 * 1024)

bool page_has_colour(void);				 /* standard output is a terminal and NO_COLOR is not set */
void page_print(struct buf *page);			 /* and empties it */
void page_put_quoted(struct buf *out, const char *text); /* a word of the shell, whatever is in it */
void page_put_time(struct buf *out, int64_t seconds);	 /* "3 d 4 h" */
/* "COMMAND: sentence" on standard error; returns `status`. */
int page_failure(const char *command, const struct err *err, int status);
/* The options of a command that takes nothing else.  0; or the exit status, when it was said that it was called wrongly. */
int page_options(const struct option_usage *usage, void *options, int argc, char **argv);
