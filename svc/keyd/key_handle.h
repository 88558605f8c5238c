/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Key handles (edge-services 1.1): "sr=BASE64&sig=BASE64", where sr is {"key_id":..., "nonce":..., "by":...} and sig its HMAC under a key that only keyd has.  `by` is ours: the principal that
 * it was made for, so that a handle is worth nothing in strange hands (key_access.h).  The rest is the original's, byte for byte, and its handles go on when its folder is taken over. */

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

enum key_handle_kind { KEY_HANDLE_PAIR, KEY_HANDLE_KEY, KEY_HANDLE_DERIVED };

struct key_handle {
	enum key_handle_kind kind;
	char *id;	    /* of a derived key: the base key's */
	char *maker;	    /* a principal's name, "" is root; NULL: the handle doesn't say */
	char *base;	    /* of a derived key: the base key's handle */
	uint8_t data[1024]; /* what a derived key is derived with */
	size_t data_len;
};

char *key_handle_format(const struct key_handle *handle, const struct secret *validation_key);
struct key_handle *key_handle_parse(const char *text, const struct secret *validation_key, struct err *err);
void key_handle_free(struct key_handle *handle);
OWN_DEFINE(key_handle);
