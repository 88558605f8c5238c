/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside pki: what was wanted and what was found where OpenSSL refuses a certificate, in words that say what to look for. */

#include "diag/reason.h"
#include "pki/chain.h"

struct chain_words {
	char *wanted, *found;
};

/* `error` is OpenSSL's (X509_V_ERR_...); cert may be NULL. */
struct chain_words chain_words_for(
	const struct anchors *anchors, const struct chain_query *query, enum reason reason, const struct cert *cert, int error);
void chain_words_clear(struct chain_words *words);
