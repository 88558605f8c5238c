/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Our own OpenSSL provider, in process: keys whose signatures are made elsewhere. */

#include "keys/key.h"

/* An EVP_PKEY that signs through ops.  On success it owns arg; on failure arg was released. */
EVP_PKEY *key_provider_pkey(const EVP_PKEY *public_pkey, const struct key_remote_ops *ops, void *arg, struct err *err);
