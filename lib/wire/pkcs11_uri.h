/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* "pkcs11:token=Edge;object=device-id;type=private?pin-source=file:/etc/pin" (RFC 7512): which token, which object in it, and how to get at it.
 *
 * Stricter than the RFC where a guess could lead to another key: an attribute of the path that is not known is refused, not overlooked.  Unknown attributes
 * of the query are overlooked when they begin with "x-".  The PIN never leaves this structure by itself: pkcs11_uri_format writes the path only, errors
 * name attributes and never show values of the query. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

enum pkcs11_attribute {
	PKCS11_TOKEN,
	PKCS11_MANUFACTURER,
	PKCS11_SERIAL,
	PKCS11_MODEL,
	PKCS11_LIBRARY_MANUFACTURER,
	PKCS11_LIBRARY_DESCRIPTION,
	PKCS11_LIBRARY_VERSION,
	PKCS11_SLOT_DESCRIPTION,
	PKCS11_SLOT_MANUFACTURER,
	PKCS11_SLOT_ID,
	PKCS11_OBJECT,
	PKCS11_TYPE,
	PKCS11_ID,
	PKCS11_PIN_SOURCE, /* from here on: the query */
	PKCS11_PIN_VALUE,
	PKCS11_MODULE_NAME,
	PKCS11_MODULE_PATH,
	PKCS11_ATTRIBUTES
};

#define PKCS11_ID_MAX 255

struct pkcs11_uri {
	char *text[PKCS11_ATTRIBUTES]; /* decoded; NULL: not given.  Not for the id, which is bytes */
	uint8_t id[PKCS11_ID_MAX];
	size_t id_len;	  /* 0: not given */
	uint64_t slot_id; /* when text[PKCS11_SLOT_ID] is there */
};

bool pkcs11_uri_is(const char *text); /* begins with "pkcs11:", in any case */
struct pkcs11_uri *pkcs11_uri_parse(const char *text, struct err *err);
void pkcs11_uri_free(struct pkcs11_uri *uri); /* wipes the PIN */
OWN_DEFINE(pkcs11_uri);

/* Another object of the same token. */
struct pkcs11_uri *pkcs11_uri_with_object(const struct pkcs11_uri *uri, const char *label);
/* The path, without the query, in one order and one spelling; the caller owns it. */
char *pkcs11_uri_format(const struct pkcs11_uri *uri);
/* The file of pin-source: "file:/path", "file:///path" or a path (RFC 7512 2.4); NULL without one, or when it is anything else, such as a command.  Borrowed. */
const char *pkcs11_uri_pin_file(const struct pkcs11_uri *uri);
/* Do both name the same token, reached in the same way (module, PIN)?  The object doesn't count. */
bool pkcs11_uri_same_token(const struct pkcs11_uri *a, const struct pkcs11_uri *b);
