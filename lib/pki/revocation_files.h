/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Revocation lists in files that somebody else replaces, looked at again and again; and the set that whoever decides about peers has at hand, which is another one after each change. */

#include "pki/revocations.h"

#define REVOCATION_FILES_MAX 64

struct revocation_files;
/* Of paths, NULL-terminated: files, and folders, of which those named *.crl and *.pem count; a PEM file in a folder may be certificates of CAs alone.  ca_path: certificates of CAs that signed them, beside those that revocation_files_look is given; may be NULL. */
struct revocation_files *revocation_files_new(const char *const *paths, const char *ca_path, struct err *err);
void revocation_files_free(struct revocation_files *files);
/* Has any of them changed since it was last said so? */
bool revocation_files_have_changed(struct revocation_files *files);
/* All of them, added to the set.  When one can't be read that is a failure that names it, and the set has what the others say. */
int revocation_files_read(struct revocation_files *files, const struct certs *issuers, struct revocations *into, struct err *err);

/* The set at hand: any thread. */
struct revocation_board;
struct revocation_board *revocation_board_new(void);
void revocation_board_free(struct revocation_board *board);
struct revocations *revocation_board_current(
	struct revocation_board *board); /* NULL: nothing is revoked; the caller owns a reference */
void revocation_board_put(struct revocation_board *board, struct revocations *set_take);
