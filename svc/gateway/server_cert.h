/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway's server certificate: for `hostname` and the names of a file, issued by this device's Edge CA through the workload API, with its key in keyd, where it stays.
 * Beside it certificates of the operator's own (further_cert.h), shown to whoever asks for a name in them.
 * Issued again when most of its life is over, or the Edge CA, a name or an address of this box has become another, while open sessions live on.  Lives on one loop. */

#include "base/pool.h"
#include "edged/client.h"
#include "keyd/client.h"
#include "net/loop.h"
#include "net/tls.h"

#define SERVER_CERT_KEY_ID "edgehub-server" /* in keyd */
#define SERVER_CERT_FURTHER_MAX 32	    /* as many as options may be given */

struct server_cert_config {
	struct loop *loop;
	struct pool *workers;
	struct keyd_client *keyd; /* borrowed, like all of it */
	const struct workload *workload;
	const char *address;	    /* on which the gateway listens */
	const char *hostname;	    /* the common name */
	const char *names_file;	    /* of further names (server_names.h), which may change; NULL: there are none */
	const char *const *further; /* "KEY-ID=PATH" each */
	size_t n_further;
	struct tls_cache *cache;
};

struct server_cert;
/* The first certificate is there when it returns: blocks. */
struct server_cert *server_cert_open(const struct server_cert_config *config, struct err *err);
void server_cert_close(struct server_cert *cert); /* after the workers have stopped and the loop is finished */
struct tls_holder *server_cert_holder(struct server_cert *cert);
/* Is that one of the names and addresses that are shown now, in whichever certificate?  The first argument is the server_cert; any thread. */
bool server_cert_has_name(void *cert, const char *host);
