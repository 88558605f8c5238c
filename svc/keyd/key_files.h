/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys in files: a pair is PKCS#8 PEM, a symmetric key its raw bytes.  ERR_MISSING: there is no such file. */

#include "base/secret.h"
#include "keys/key.h"

struct key *key_files_load_pair(const char *path, struct err *err);
struct key *key_files_make_pair(const char *path, const char *algorithms, struct err *err);
int key_files_load_secret(const char *path, struct secret *out, struct err *err);
int key_files_make_secret(const char *path, struct secret *out, struct err *err);
int key_files_import_secret(const char *path, const void *bytes, size_t len, struct err *err); /* overwrites a secret */
