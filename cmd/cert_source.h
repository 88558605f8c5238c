/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the verbs of rootedge cert find certificates: in a file, PEM, DER or PKCS #12; on standard input, "-"; or at a TLS server, by the URL of what it serves:
 *
 *	https://HOST[:443]  mqtts://HOST[:8883]  wss://HOST[:443]  amqps://HOST[:5671]  tls://HOST:PORT
 *
 * What a server shows is taken as it is sent: nothing is judged here.  Certificates are public, so whoever acts on whose server it is demands the proof of the key that a whole handshake is. */

#include "pki/cert.h"

struct cert_source {
	const char *where;	/* NULL: standard input */
	const char *connect_to; /* of a URL: where TCP goes; NULL: to its host */
	const char *password;	/* of PKCS #12: where its password is (password.h); NULL: it has none, or somebody is asked */
	bool proven;		/* of a URL: only from a server that has the key of the first */
};

/* At least one. */
int cert_source_read(struct certs *out, const struct cert_source *source, struct err *err);
bool cert_source_is_url(const char *where);
bool cert_source_is_file(const char *where);
/* The name that the server of a URL has to prove, which the caller owns, and its port. */
int cert_source_host(const char *where, char **host, int *port, struct err *err);
int cert_source_bytes(struct buf *out, const char *where, struct err *err); /* of a file or standard input, whatever they are */
/* What bytes of the source have. */
int cert_source_decode(struct certs *out, const struct buf *bytes, const struct cert_source *source, struct err *err);

/* For tables of options whose struct has a `connect_to` and a `password`. */
#define CERT_SOURCE_ROWS(options)                                                                                                  \
	{ "password-file", 0, "FILE",                                                                                              \
		"of PKCS #12: its password is the first line of this file, or of a descriptor (fd://3); without it who sits "      \
		"at the terminal is asked",                                                                                        \
		OPTION_TEXT, offsetof(options, password), 0, 0 },                                                                  \
	{                                                                                                                          \
		"connect-to", 0, "ADDRESS", "of a URL: where TCP goes, when its name does not resolve to it", OPTION_TEXT,         \
			offsetof(options, connect_to), 0, 0                                                                        \
	}
#define CERT_SOURCE_OPERANDS "[FILE|URL...]"
