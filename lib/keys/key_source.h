/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A private key by what an operator writes for it:
 *
 *	ca.key.pem				a file: PEM, or the file of a key that only one TPM can use (wire/tss_key.h)
 *	pkcs11:token=CA;object=plant		in a token (wire/pkcs11_uri.h); a query may say pin-source and module-path
 *	tpm:handle=0x81000005			in the TPM's own memory
 *
 * Token and TPM are opened when the first key in them is asked for.  A process has one source: two would start the same module, and end it for each other. */

#include "keys/key.h"

struct tpm;
/* What a file holds: PEM, or a key that only `tpm` can use. */
struct key *key_file_load(struct tpm *tpm, const char *path, struct err *err);

struct key_source_config {
	const char *pkcs11_module; /* of URIs that name none; NULL: those are refused */
	const char *tpm_tcti;	   /* tpm.h; NULL: the machine's own */
};

struct key_source;
struct key_source *key_source_new(const struct key_source_config *config);
void key_source_free(struct key_source *source); /* after all keys that came from it */
OWN_DEFINE(key_source);

bool key_source_is_file(const char *place);
struct key *key_source_load(struct key_source *source, const char *place, struct err *err);
/* The same for who knows the public half, which a certificate has, and serves whether token and TPM are there or not: while they are away (which stands in *away then, of the kind
 * ERR_UNAVAILABLE) the key is there all the same, and looks for its private half at each signature.  One that is found late has to be of that public half. */
struct key *key_source_load_late(
	struct key_source *source, const char *place, EVP_PKEY *public_half, struct err *away, struct err *err);
