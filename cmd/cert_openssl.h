/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The openssl commands that do what a verb of rootedge cert does (--show-openssl), for those who want to see what they would otherwise have typed, or do it without us.  They are
 * printed, not run: a script for sh and OpenSSL 3.0 that can be run as it is.  The differences are those that openssl has no option for: its certificates begin now, and where they would
 * outlive their issuer by less than a day they do. */

#include "cert_source.h"
#include "pki/issue.h"

struct openssl_make {
	const struct profile *profile; /* of the certificate; of a request its names */
	const char *out, *key_out;     /* files: the certificate or request; the key, made or given */
	const char *key_alg;	       /* make a key of this kind; NULL: it is there */
	const char *issuer_path, *issuer_key_path;
	const struct certs *issuer;  /* what is in its file; n is 0: it signs itself */
	const char *csr;	     /* NULL: one is made */
	bool csr_is_der, der, dated; /* dated: its dates were given */
};
void openssl_put_cert(struct buf *out, const struct openssl_make *make);
void openssl_put_csr(struct buf *out, const struct openssl_make *make);
/* cert: NULL: standard input. */
void openssl_put_p12(struct buf *out, const char *cert, const char *key, const char *p12, const char *password);

/* A word of the shell, quoted where it has to be. */
void openssl_put_word(struct buf *out, const char *word);
/* What a command that reads PEM gets: of a URL "openssl s_client ... |" before it, of PKCS #12 "openssl pkcs12 ... |", of a file " -in FILE" after it, of standard input nothing. */
void openssl_put_source(struct buf *out, const struct cert_source *source);
void openssl_put_in(struct buf *out, const struct cert_source *source);
/* For commands that read several files, all of PEM: what makes one of a source, leaf first, where it is none.  Its name is the caller's.  pass: from openssl_put_password. */
char *openssl_put_pem(struct buf *out, const struct cert_source *source, const char *pass);
/* What -passin says of a password, which the caller owns; one that can be read once only is read here.  NULL: none is given. */
char *openssl_put_password(struct buf *out, const char *where);
bool openssl_is_piped(const struct cert_source *source); /* it comes on standard input */

#define OPENSSL_ROW(options)                                                                                                       \
	{                                                                                                                          \
		"show-openssl", 0, NULL, "print the openssl commands that do the same, and do nothing", OPTION_FLAG,               \
			offsetof(options, show_openssl), 0, 0                                                                      \
	}
