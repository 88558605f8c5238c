/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The roots of this device follow those of its CA (docs/trust.md): an EST server is asked for its CA certificates time and again, and what is believed of the answer is pki/root_line.h's.  Who
 * trusts by the operator's roots hears what has followed them: certd's own callers and EST itself here, identityd and the gateway by the file of the line.
 *
 * The server is told in turn which roots are held, as each of the identities that EST servers know this device by: after each start, and when they have changed.  A server that is not ours does not
 * listen. */

#include <jansson.h>

#include "certd/cert_store.h"
#include "certd/est.h"
#include "pki/root_line.h"

struct root_follower_config {
	struct cert_store *store;
	/* {"source": URL, "interval_sec": N, "trusted": [ids of what the server is trusted by], "given": [ids of the operator's roots], "line": its file}; borrowed */
	const json_t *config;
	const char *system_roots; /* for a source that no certificate is configured for; or NULL */
};
struct root_follower;
struct root_follower *root_follower_new(const struct root_follower_config *config, struct err *err);
/* est: as whom the server is told what is held here, or NULL; borrowed until it is free. */
int root_follower_start(struct root_follower *follower, struct est *est, struct err *err);
void root_follower_free(struct root_follower *follower); /* after what is under way, which ends soon */

/* `given` and what has followed, added to `out`; any thread.  follower NULL: nothing has. */
void root_follower_apply(struct root_follower *follower, const struct certs *given, struct certs *out);
