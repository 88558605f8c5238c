/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys in files (how a pair is read: keys/key_source.h).  A pair is PKCS#8 PEM and a symmetric key its raw bytes; or either is what only the TPM can use or open (wire/tss_key.h), which is told by how the file begins.
 * ERR_MISSING: there is no such file. */

#include "base/secret.h"
#include "keys/key.h"
#include "keys/tpm.h"

struct key_files {
	struct tpm *tpm;  /* borrowed */
	bool make_in_tpm; /* new keys */
};

struct key *key_files_make_pair(const struct key_files *f, const char *path, const char *algorithms, struct err *err);
int key_files_load_secret(const struct key_files *f, const char *path, struct secret *out, struct err *err);
int key_files_make_secret(const struct key_files *f, const char *path, struct secret *out, struct err *err);
/* In the place of a secret, in the form that this had; no pair is overwritten. */
int key_files_import_secret(const struct key_files *f, const char *path, const struct secret *secret, struct err *err);
