/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the verbs of rootedge cert find certificates: in a file, PEM or DER; on standard input, "-"; or at a TLS server, by the URL of what it serves:
 *
 *	https://HOST[:443]  mqtts://HOST[:8883]  wss://HOST[:443]  amqps://HOST[:5671]  tls://HOST:PORT
 *
 * What a server shows is taken as it is sent: nothing is judged here.  Certificates are public, so whoever acts on whose server it is demands the proof of the key that a whole handshake is. */

#include "pki/cert.h"

struct cert_source {
	const char *where;	/* NULL: standard input */
	const char *connect_to; /* of a URL: where TCP goes; NULL: to its host */
	bool proven;		/* of a URL: only from a server that has the key of the first */
};

/* At least one. */
int cert_source_read(struct certs *out, const struct cert_source *source, struct err *err);
bool cert_source_is_url(const char *where);
bool cert_source_is_file(const char *where);
/* The name that the server of a URL has to prove, which the caller owns, and its port. */
int cert_source_host(const char *where, char **host, int *port, struct err *err);
int cert_source_bytes(struct buf *out, const char *where, struct err *err); /* of a file or standard input, whatever they are */

/* For tables of options whose struct has a `connect_to`. */
#define CERT_SOURCE_ROW(options)                                                                                                   \
	{                                                                                                                          \
		"connect-to", 0, "ADDRESS", "of a URL: where TCP goes, when its name does not resolve to it", OPTION_TEXT,         \
			offsetof(options, connect_to), 0, 0                                                                        \
	}
#define CERT_SOURCE_OPERANDS "[FILE|URL...]"
