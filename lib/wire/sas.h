/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared access signatures (hub 4.2): "SharedAccessSignature sr=RESOURCE&sig=SIGNATURE&se=EXPIRY[&skn=POLICY]".
 *
 * One canonical parse (atk-11): the fields in any order, none twice, none unknown; the expiry a plain decimal number of seconds;
 * the signature 32 bytes of base64.  The HMAC covers sr exactly as it stands in the token, whatever its encoding, so that text
 * is kept beside the decoded resource. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/own.h"
#include "base/secret.h"

#define SAS_TOKEN_MAX 4096

struct sas_token {
	char *resource_text; /* as written */
	char *resource;	     /* decoded, host in lower case */
	char *policy;	     /* NULL when there is no skn */
	int64_t expiry;	     /* seconds UTC */
	uint8_t signature[DIGEST_SHA256_LEN];
};

struct sas_token *sas_parse(const char *text, struct err *err);
void sas_token_free(struct sas_token *token);
OWN_DEFINE(sas_token);

bool sas_signature_matches(const struct sas_token *token, const struct secret *key); /* constant time */
/* By which names whoever judges a token is meant, and how ids count in its resource. */
struct sas_audience {
	const char *host;
	bool (*is_own_name)(void *arg, const char *host); /* is that a further name of his?  NULL: there is none */
	void *arg;
	bool ids_in_any_case;
};
/* Is `path` ("devices/dev1", "devices/dev1/modules/m") at a host of the audience the token's resource or below it, by whole segments?  The host counts in any case and without its
 * port, an IPv6 address in brackets or not.  An "/api-version=..." at the token's end is overlooked. */
bool sas_resource_covers(const struct sas_token *token, const struct sas_audience *audience, const char *path);

/* Make one.  resource is encoded here; the signer gets "ENCODED\nEXPIRY". */
int sas_format(struct buf *out, const char *resource, int64_t expiry, const char *policy,
	int (*hmac)(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err), void *arg,
	struct err *err);
/* out->failed when the resource is too long. */
void sas_sign(struct buf *out, const char *resource, int64_t expiry, const char *policy, const struct secret *key);
