/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of rootedge cert.  argv[0] is the verb; the result is the exit status. */

#include "pki/issue.h"

int cert_verb_make(enum issue_kind kind, int argc, char **argv);
int cert_verb_csr(int argc, char **argv);
int cert_verb_show(int argc, char **argv);
int cert_verb_fingerprint(int argc, char **argv);
int cert_verb_verify(int argc, char **argv);

/* Certificates of a file, or of standard input for "-" or NULL. */
int cert_read(struct certs *out, const char *path, struct err *err);

/* What making a certificate or a CSR leaves behind: at `given`, or at a path made of the name.  The caller owns it. */
char *cert_file_path(const char *given, const char *name, const char *suffix);
int cert_file_check(const char *path, bool force, struct err *err);	    /* that nothing is replaced by accident */
int cert_file_save(const char *path, struct buf *content, struct err *err); /* wipes the content */
struct key *cert_file_new_key(const char *alg_name, struct err *err);
