/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One look at a TLS server, for `rootedge doctor`: which address answers, whether it speaks TLS at all, which certificates it shows, what it asks of its
 * clients, and, if that is wanted, whether it speaks MQTT.  Nothing is judged here.  Of ours the server sees what is given as `chain`, so that is given only for a
 * server that has been judged; after the handshake nothing is sent but, where MQTT is asked for, a CONNECT without a name.
 * Blocks: at most timeout_ms a connection, of which a strange server gets up to three, and as long as the resolver takes for a name. */

#include "diag/reason.h"
#include "net/tls.h"
#include "pki/cert.h"

struct probe_target {
	const char *host;	/* the name asked for (SNI) */
	const char *connect_to; /* where TCP goes; NULL: host */
	int port;
	const struct certs *chain; /* show this certificate when asked; NULL: none */
	const struct key *key;
	const struct cert *only_to; /* show it to the server with this certificate, which was judged, and to no other */
	int64_t timeout_ms;	    /* 0: 10 s */
	bool asks_mqtt;
};

struct probe {
	struct certs sent; /* what the server showed, leaf first, in its order; of a handshake that failed, too */
	char *address;	   /* "127.0.0.1:8883"; NULL when none answered */
	char *version;	   /* "TLSv1.3"; NULL when there was no handshake */
	char *cipher;
	char *why;     /* what went wrong; NULL: nothing */
	char *no_mqtt; /* why it speaks no MQTT; NULL: it does, or that was not asked or, the handshake being refused, not found out */
	enum reason
		reason; /* OK, NAME_NOT_RESOLVED, CONNECT_FAILED, TLS_PLAIN_TEXT, TLS_FAILED, TLS_OLD_VERSION, TLS_NO_CERTIFICATE,
			     * CLIENT_CERT_WANTED (demanded, and none given), CLIENT_CERT_REFUSED */
	bool asks_client_cert;
	bool proven; /* the handshake went through: the server has the key of the first of `sent`, and did not just send what anybody can */
};

void probe_run(struct probe *probe, const struct probe_target *target);
void probe_clear(struct probe *probe);
