/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A configuration of IoT Edge made ours.  What refers to keys and certificates stays as it is; secrets that stand in the text become files of their own; what the services had in files of
 * theirs (principals, how certificates are issued) moves into config.toml; what has no meaning here is left out, and all of it is told.  No I/O: documents in, a document, secrets and a
 * report out. */

#include "edge/config_findings.h"
#include "wire/toml.h"

enum import_what { IMPORT_KEPT, IMPORT_CHANGED, IMPORT_LEFT_OUT };

struct import_line {
	enum import_what what;
	char *key, *text;
};

#define IMPORT_LINES_MAX 500
#define IMPORT_SECRETS_MAX 32
struct import_secret {
	char *path;
	struct buf bytes;
};

struct config_import {
	struct toml *root;	 /* config.toml, with config.d merged; in the end what is to be written */
	const char *secrets_dir; /* a whole path */
	struct import_line lines[IMPORT_LINES_MAX];
	size_t n_lines;
	struct import_secret secrets[IMPORT_SECRETS_MAX];
	size_t n_secrets;
	json_t *principals;
};

/* root: taken over. */
void config_import_init(struct config_import *import, struct toml *root_take, const char *secrets_dir);
void config_import_clear(struct config_import *import);
/* What a service ("keyd", "certd", "identityd", "tpmd", "edged") had in a file of its own; from is empty afterwards. */
void config_import_service(struct config_import *import, const char *service, struct toml *from);
int config_import_finish(struct config_import *import, struct err *err);
