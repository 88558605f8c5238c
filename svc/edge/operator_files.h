/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What config.toml names: does each certificate parse, and does each key that can be read here belong to its certificate?  Asked before anything is written: an error names the file,
 * and what an earlier start left behind stays as it was. */

#include "edge/config.h"
#include "pki/cert.h"

#define OPERATORS_FILE_MAX (4 * 1024 * 1024)

int operator_files_check(const struct config *config, struct err *err);
/* Those are not worth a device that does not start, as when the power goes while they are renewed: asked where what was there before goes on otherwise. */
int operator_files_check_server_certs(const struct config *config, struct err *err);
int operator_files_load_certs(struct certs *out, const char *path, struct err *err);
bool operator_files_is_tpm_key(const char *path); /* which only the TPM reads */
