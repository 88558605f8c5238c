/* SPDX-License-Identifier: Apache-2.0 */
/* What is signed has the blob's whole name, the rights and the end as they stand in the link, so that nothing of a link can be exchanged and no second way to write a time matters. */
#include "hub/files/blob_link.h"

#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "wire/codec.h"

#define SIGNATURE_MAX 64
#define SIGNED_MAX 8192

/* The base64 of the HMAC; each part stands on a line of its own, and no blob's name has a line end in it. */
static void
sign(struct buf *out, const struct secret *key, const char *blob, const char *generation_id, const char *rights,
	const char *expires)
{
	CLEAR(buf) text = BUF_INIT(SIGNED_MAX);
	uint8_t mac[DIGEST_SHA256_LEN];

	buf_putf(&text, "rootedge blob\n%s\n%s\n%s\n%s", rights, expires, generation_id, blob);
	out->failed = out->failed || text.failed;
	digest_hmac_sha256(key->bytes, key->len, text.data, text.len, mac);
	base64_encode(out, mac, sizeof(mac));
}

static const char *
rights_text(unsigned rights)
{
	static const char *const texts[] = { "", "r", "w", "rw" };

	return texts[rights & (BLOB_READ | BLOB_WRITE)];
}

void
blob_link_put(
	struct buf *out, const struct secret *key, const char *blob, const char *generation_id, unsigned rights, int64_t expires)
{
	CLEAR(buf) signature = BUF_INIT(SIGNATURE_MAX);
	char when[CLOCK_TEXT_LEN];

	clock_text(expires, when);
	sign(&signature, key, blob, generation_id, rights_text(rights), when);
	buf_putf(out, "?sv=2020-08-04&sr=b&sp=%s&se=", rights_text(rights));
	percent_encode(out, when, strlen(when));
	buf_puts(out, "&sig=");
	percent_encode(out, buf_text(&signature), signature.len);
	out->failed = out->failed || signature.failed;
}

bool
blob_link_allows(const struct blob_link *link, const struct secret *key, const char *blob, const char *generation_id,
	enum blob_right right, int64_t now)
{
	CLEAR(buf) wanted = BUF_INIT(SIGNATURE_MAX);
	int64_t expires;

	if (!link->rights || !link->expires || !link->signature || strchr(link->rights, '\n'))
		return false;
	if (!strchr(link->rights, right == BLOB_READ ? 'r' : 'w') || !clock_parse(link->expires, &expires) || now >= expires)
		return false;
	sign(&wanted, key, blob, generation_id, link->rights, link->expires);
	return !wanted.failed && strlen(link->signature) == wanted.len && mem_equal_ct(link->signature, wanted.data, wanted.len);
}
