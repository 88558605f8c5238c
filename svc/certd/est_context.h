/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What certd asks EST servers with.  All is borrowed. */

#include <stdatomic.h>

#include "certd/cert_store.h"
#include "keyd/client.h"

struct est_context {
	struct cert_store *store;
	struct keyd_client *keyd;
	const char *dir;	  /* for requests that are not decided yet */
	const char *system_roots; /* a file, for servers that no certificate is configured for; or NULL */
	atomic_bool stopped;	  /* what is under way ends soon */
};
