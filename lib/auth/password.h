/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Passwords that people chose, as they are kept: "pbkdf2-sha256$ROUNDS$SALT$HASH" (RFC 8018), salt and hash in base64.  Both functions take tens of milliseconds on
 * purpose: call them on a worker. */

#include <stdbool.h>

#include "base/err.h"

#define PASSWORD_MAX 1024

/* The caller owns the text.  NULL: the password is empty or too long. */
char *password_hash(const char *password, struct err *err);
/* hash NULL: there is no such user, and the answer, no, takes as long as one for a user who is there. */
bool password_fits(const char *password, const char *hash);
