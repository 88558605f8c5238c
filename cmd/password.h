/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A password that a command is given: never as a word of the command line, which others see. */

#include "base/err.h"

#define PASSWORD_SIZE 514 /* 512 bytes, the end of the line, and the end */

/* The first line of standard input (NULL or "-"), of a descriptor that was handed over ("fd://3") or of a file.  The caller wipes it. */
int password_read(char out[static PASSWORD_SIZE], const char *where, struct err *err);
/* Asked for at the terminal, which does not show it; MISSING where there is none. */
int password_ask(char out[static PASSWORD_SIZE], const char *question, struct err *err);
