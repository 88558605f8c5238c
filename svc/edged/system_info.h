/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* This box, as the management API tells of it (edge-services 3).  What can't be found out is "unknown". */

#include <stdint.h>

#include <jansson.h>

/* additional_path: a TOML file of texts that are told as well; NULL: none.  One that can't be read is told in the log, and left out. */
json_t *system_info_json(const char *additional_path);
/* Use of processors (since the last call), memory, and the disk that state_dir is on.  started_ms: when we began, boot clock. */
json_t *system_resources_json(const char *state_dir, int64_t started_ms);

/* The value of a line NAME=VALUE of os-release(5), without its quotes; the caller owns it, NULL: there is none.  Pure. */
char *system_info_release(const char *text, const char *name);
