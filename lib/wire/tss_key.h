/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A key that only one TPM can use, as a file: "TSS2 PRIVATE KEY" in PEM, the format of tpm2-openssl and others (draft-bottomley-tpm2-keys).
 *
 *	TPMKey ::= SEQUENCE {
 *		type OBJECT IDENTIFIER,			loadable key or sealed data
 *		emptyAuth [0] EXPLICIT BOOLEAN OPTIONAL,
 *		...					policies, import: refused here
 *		parent INTEGER,				the handle that it is loaded under
 *		pubkey OCTET STRING, privkey OCTET STRING	TPM2B_PUBLIC and TPM2B_PRIVATE, as the TPM wrote them
 *	}
 *
 * The private part is encrypted by the TPM and worth nothing without it. */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define TSS_KEY_BLOB_MAX 4096
#define TSS_KEY_OWNER 0x40000001 /* parent: the storage key that is made from the owner's seed when it is needed */

enum tss_key_type { TSS_KEY_LOADABLE, TSS_KEY_SEALED };

struct tss_key {
	enum tss_key_type type;
	uint32_t parent;
	uint8_t public_blob[TSS_KEY_BLOB_MAX], private_blob[TSS_KEY_BLOB_MAX];
	size_t public_len, private_len;
};

bool tss_key_is(const char *text, size_t len); /* begins like such a file */
int tss_key_parse(struct tss_key *out, const char *pem, size_t len, struct err *err);
void tss_key_put_pem(const struct tss_key *key, struct buf *out);

/* "tpm:handle=0x81000005": a key that was made persistent in the TPM.  False: no "tpm:" URI at all. */
bool tss_key_is_uri(const char *text);
int tss_key_parse_uri(const char *text, uint32_t *handle, struct err *err);
