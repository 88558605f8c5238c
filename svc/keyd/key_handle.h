/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Key handles (edge-services 1.1): "sr=BASE64&sig=BASE64", where sr is {"key_id":..., "nonce":...} and sig its HMAC under a key that only keyd has.  A handle proves that keyd gave
 * it out; whether the caller may use the key is asked again at every use. */

#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

enum key_handle_kind { KEY_HANDLE_PAIR, KEY_HANDLE_KEY, KEY_HANDLE_DERIVED };

struct key_handle {
	enum key_handle_kind kind;
	char *id;	    /* of a derived key: the base key's */
	uint8_t data[1024]; /* what a derived key is derived with */
	size_t data_len;
};

char *key_handle_format(const struct key_handle *handle, const struct secret *validation_key);
struct key_handle *key_handle_parse(const char *text, const struct secret *validation_key, struct err *err);
void key_handle_free(struct key_handle *handle);
OWN_DEFINE(key_handle);
