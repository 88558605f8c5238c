/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Waiting for a file to be written to by another process. */

#include <stdbool.h>
#include <stdint.h>

/* A descriptor to wait on, for the caller to close.  Where no notices are to be had (no such file, too many watches) waiting
 * just takes its time, so look again after each wait. */
int notice_open(const char *path);
/* Until the file was written to since the last wait, or stop_fd (-1: none) is readable, or the time is up.  False when it is
 * stop_fd. */
bool notice_wait(int notice, int stop_fd, int64_t timeout_ms);
