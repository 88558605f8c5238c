/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The verbs of rootedge cert.  argv[0] is the verb; the result is the exit status. */

#include "pki/issue.h"

#define CERT_ROWS_P12(options)                                                                                                     \
	{ "p12", 0, "FILE", "put it with its key and those above it into one file, PKCS #12, too", OPTION_TEXT,                    \
		offsetof(options, p12), 0, 0 },                                                                                    \
	{                                                                                                                          \
		"p12-password", 0, "FILE",                                                                                         \
			"where the password for that is: the first line of a file, fd://N or - (standard input)", OPTION_TEXT,     \
			offsetof(options, p12_password), 0, 0                                                                      \
	}

int cert_verb_make(enum issue_kind kind, int argc, char **argv);
int cert_verb_csr(int argc, char **argv);
int cert_verb_show(int argc, char **argv);
int cert_verb_fingerprint(int argc, char **argv);
int cert_verb_verify(int argc, char **argv);
int cert_verb_needs_renewal(int argc, char **argv);
int cert_verb_bundle(int argc, char **argv);
int cert_verb_demo(int argc, char **argv);
int cert_verb_revoke(int argc, char **argv); /* ca.c, which has the journals */

/* What making a certificate or a CSR leaves behind: at `given`, or at a path made of the name.  The caller owns it. */
char *cert_file_path(const char *given, const char *name, const char *suffix);
int cert_file_check(const char *path, bool force, struct err *err);	    /* that nothing is replaced by accident */
int cert_file_save(const char *path, struct buf *content, struct err *err); /* wipes the content */
/* The certificates, leaf first, with the key as PKCS #12, under the password that `password` names (password.h). */
int cert_file_save_p12(const char *path, const struct certs *chain, const struct key *key, const char *password, struct err *err);
struct key *cert_file_new_key(const char *alg_name, struct err *err);
