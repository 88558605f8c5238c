/* SPDX-License-Identifier: Apache-2.0 */
/* A slot a digest; a newer chain takes the place of an older one (est_memo.h). */
#include "est/est_memo.h"

#include <pthread.h>
#include <string.h>

#include "base/mem.h"

#define SLOTS 256

struct remembered {
	uint8_t digest[DIGEST_SHA256_LEN];
	int64_t from, until; /* 0, 0: nothing is remembered */
};

struct est_memo {
	pthread_mutex_t lock;
	struct remembered slots[SLOTS];
};

struct est_memo *
est_memo_new(void)
{
	struct est_memo *memo = NEW(est_memo);

	pthread_mutex_init(&memo->lock, NULL);
	return memo;
}

void
est_memo_free(struct est_memo *memo)
{
	if (!memo)
		return;
	pthread_mutex_destroy(&memo->lock);
	mem_free(memo);
}

static void
digest_of(uint8_t out[static DIGEST_SHA256_LEN], int way, const struct certs *chain)
{
	CLEAR(buf) text = BUF_INIT(1 + CERTS_MAX * DIGEST_SHA256_LEN);

	buf_put_u8(&text, (uint8_t)way);
	for (size_t i = 0; i < chain->n; i++)
		buf_put(&text, cert_sha256(chain->item[i]), DIGEST_SHA256_LEN);
	digest_sha256(text.data, text.len, out);
}

bool
est_memo_has(struct est_memo *memo, int way, const struct certs *chain, int64_t now)
{
	uint8_t digest[DIGEST_SHA256_LEN];
	struct remembered found;

	digest_of(digest, way, chain);
	pthread_mutex_lock(&memo->lock);
	found = memo->slots[digest[0] % SLOTS];
	pthread_mutex_unlock(&memo->lock);
	return memcmp(found.digest, digest, sizeof(digest)) == 0 && now >= found.from && now < found.until;
}

static void
narrow(struct remembered *r, const struct certs *certs)
{
	for (size_t i = 0; i < certs->n; i++) {
		int64_t from = cert_not_before(certs->item[i]), until = cert_not_after(certs->item[i]);

		r->from = from > r->from ? from : r->from;
		r->until = until < r->until ? until : r->until;
	}
}

void
est_memo_put(struct est_memo *memo, int way, const struct certs *chain, const struct certs *anchors)
{
	struct remembered fresh = { .from = INT64_MIN, .until = INT64_MAX };

	digest_of(fresh.digest, way, chain);
	narrow(&fresh, chain);
	narrow(&fresh, anchors);
	pthread_mutex_lock(&memo->lock);
	memo->slots[fresh.digest[0] % SLOTS] = fresh;
	pthread_mutex_unlock(&memo->lock);
}
