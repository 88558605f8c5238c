/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where keys lie, as config.toml has it: files, PKCS #11 tokens, the TPM. */

#include <sys/types.h>

#include "edge/config_read.h"

#define CONFIG_GROUPS_MAX 16
#define CONFIG_PATHS_MAX 16

/* [aziot_keys] and [tpm] */
struct config_keys {
	bool tpm_base;
	char *tpm_tcti, *tpm_owner_auth, *tpm_endorsement_auth;
	int64_t tpm_auth_key_index; /* -1: not given */
	char *pkcs11_lib_path, *pkcs11_base_slot;
	gid_t groups[CONFIG_GROUPS_MAX];
	size_t n_groups;
	char *paths[CONFIG_PATHS_MAX];
	size_t n_paths;
};

void config_keys_take(struct config_keys *keys, const struct config_at *root);
/* What keyd may open beside the places of keys: groups and paths. */
bool config_keys_same_access(const struct config_keys *a, const struct config_keys *b);
void config_keys_clear(struct config_keys *keys);

/* The place of a key: a file's path, or a URI (pkcs11:, tpm:) as it was written; the caller owns it.  Errors don't show what may hold a PIN. */
char *config_keys_place(const char *text, struct err *err);
bool config_keys_is_file(const char *place); /* NULL is none */
/* Files that whoever uses the place must be able to read: itself, or a module and a PIN.  The caller owns them; returns how many. */
#define CONFIG_PLACE_FILES 2
size_t config_keys_files(const char *place, char *out[static CONFIG_PLACE_FILES]);
