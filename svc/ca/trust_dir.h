/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The folder in which an operator keeps roots and how one follows another (rollover.h):
 *
 *	trust.json	the roots, their states and cross certificates: the truth, replaced as a whole
 *	bundle.pem	the roots to be trusted, for who takes a file (trust_bundle_cert, --device-ca): made of it
 *
 * Private keys may lie anywhere.  One tool changes the folder at a time (trust_dir_open locks it); servers read trust.json whenever they like, and find it as it was before a change or after. */

#include "ca/rollover.h"

#define TRUST_DIR_DEFAULT "/var/lib/rootedge/trust"

struct trust_dir {
	char *path;
	int lock; /* -1: only read */
	struct rollover roots;
};
/* For the one tool that changes it: made where there is none, with no root in it.  CONFLICT: another one is at it.  What a kill between the two files left is put right. */
int trust_dir_open(struct trust_dir *dir, const char *path, struct err *err);
int trust_dir_read(struct trust_dir *dir, const char *path, struct err *err); /* for all others.  MISSING: there is none */
void trust_dir_clear(struct trust_dir *dir);				      /* of both */

int trust_dir_save(const struct trust_dir *dir, struct err *err);
/* Another root, made here, with its key at key_path (0600) and signed crosswise with the active one's; ANNOUNCED, not saved yet.  A key that is there already, of one that was killed on the
 * way, is used; CONFLICT when it is that of a root that is or was here. */
struct trust_wish {
	const char *name, *key_path, *active_key_path, *key_alg;
	int64_t not_after; /* seconds UTC */
};
int trust_dir_announce(struct trust_dir *dir, const struct trust_wish *wish, int64_t now, struct err *err);

/* What is in force changes with this: of trust.json, "" when there is none. */
#define TRUST_DIR_STAMP_LEN 64
void trust_dir_stamp(const char *path, char out[static TRUST_DIR_STAMP_LEN]);
