/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One PKCS #11 module: a shared library of a vendor's, loaded when a key in it is asked for first.
 *
 * Everything that is done with it is done under its lock, one call at a time: tokens work that way anyway, and a restart of the module ends the sessions of
 * all its tokens.  `generation` counts the restarts: what was found under another one is worth nothing. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <p11-kit/pkcs11.h>

#include "base/err.h"
#include "wire/pkcs11_uri.h"

struct pkcs11_module {
	char *path;
	void *library;
	CK_FUNCTION_LIST *f;
	bool initialised;
	unsigned generation;
	int64_t restarted_ms; /* boot clock */
	pthread_mutex_t lock;
	struct pkcs11_module *next;
};

struct pkcs11_module *pkcs11_module_open(const char *path, struct err *err);
void pkcs11_module_close(struct pkcs11_module *m);

/* The following with the lock held. */
int pkcs11_module_start(struct pkcs11_module *m, struct err *err); /* unless it runs */
/* Some modules find a token that was away only when they begin anew.  False: that was tried just now. */
bool pkcs11_module_restart(struct pkcs11_module *m);
/* The one token that the URI names.  UNAVAILABLE when it isn't there, INVALID when it is not only one. */
int pkcs11_module_find_token(
	struct pkcs11_module *m, const struct pkcs11_uri *uri, CK_SLOT_ID *slot, CK_TOKEN_INFO *info, struct err *err);

/* What the module answered, as a failure: UNAVAILABLE when the token may be away or the session dead.  Returns -1. */
int pkcs11_module_fail(struct err *err, CK_RV rv, const char *doing);
/* The object that an operation was begun with is not there (any more). */
bool pkcs11_module_lost_object(CK_RV rv);
