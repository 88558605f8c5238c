/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where an id's key lies: where the operator says, in a file, a token or the TPM; any other in the base token, where there is one, and then in keyd's folder.  It is made in the first of them. */

#include <jansson.h>

#include "base/map.h"
#include "keys/pkcs11.h"

struct key_places {
	char *dir;
	struct pkcs11_uri *base; /* or NULL */
	struct map *preloaded;	 /* id to where the operator says */
};

/* preloaded: {"id": a path, or a URI "pkcs11:..." or "tpm:handle=..."}, or NULL; base: a URI, or NULL. */
int key_places_open(struct key_places *out, const char *dir, const json_t *preloaded, const char *base, struct err *err);
void key_places_clear(struct key_places *places); /* also of what was not opened to its end */

struct key_place {
	const struct pkcs11_uri *token; /* or NULL */
	char *path;			/* or NULL */
	uint32_t tpm_handle;		/* instead of both, or 0 */
	bool is_preloaded;
	struct pkcs11_uri *own_uri;
};
int key_place_find(const struct key_places *places, const char *id, struct key_place *out, struct err *err);
void key_place_clear(struct key_place *place);

/* The token was asked and has it not: is there another place to look?  Then err is none again. */
bool key_place_goes_on(const struct key_place *place, struct err *err);
/* May the id be made, now that it is in none of its places?  The same. */
bool key_place_may_make(const struct key_place *place, struct err *err);
/* What is missing is told without where: that is nobody's business, unless the operator said it. */
void key_place_tell_missing(const struct key_place *place, struct err *err);
