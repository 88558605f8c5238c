/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Ids of keys and certificates as file names (edge-services 4.7): the letters and digits of the id, "-", the SHA-256 of the whole id in lower-case hex, and the extension.  Whatever the id
 * holds ("../", "/", 300 bytes), the name is one plain file (atk-15). */

#include "base/err.h"

#define ID_MAX 512

/* DIR/<alnum>-<sha256><extension>; the caller owns the path.  NULL: the id is empty, too long, or has NUL or control bytes. */
char *id_file_path(const char *dir, const char *id, const char *extension, struct err *err);

/* The same for a file that is about to be read or replaced: a symbolic link in its place is refused, for nobody but an intruder puts one there. */
char *id_file_place(const char *dir, const char *id, const char *extension, struct err *err);
