/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The tokens that are in use, by their URIs: what pkcs11.c and pkcs11_symmetric.c share. */

#include "keys/pkcs11.h"
#include "keys/pkcs11_token.h"

/* The token that this URI names, for as long as `p` lives.  Nothing is opened yet but the module. */
struct pkcs11_token *pkcs11_tokens_get(struct pkcs11 *p, const struct pkcs11_uri *uri, struct err *err);
