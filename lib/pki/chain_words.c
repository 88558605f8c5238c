/* SPDX-License-Identifier: Apache-2.0 */
/* Why a chain ends where it ends.  OpenSSL says "unable to get local issuer certificate"; people need to know which one, who should have had it, and whether
 * one of that name is there and is not it. */
#include "base/mem.h"
#include "base/text.h"
#include "pki/anchors.h"
#include "pki/chain_words.h"

void
chain_words_clear(struct chain_words *words)
{
	mem_free(words->wanted);
	mem_free(words->found);
}

static bool
has_subject(const struct certs *certs, const char *subject)
{
	for (size_t i = 0; certs && i < certs->n; i++)
		if (text_is(cert_subject(certs->item[i]), subject))
			return true;
	return false;
}

static const char *
sender(const struct chain_query *query)
{
	static const char *const names[] = {
		[CHAIN_SERVER] = "the server", [CHAIN_CLIENT] = "the client", [CHAIN_ANY] = "the peer"
	};

	return names[query->purpose];
}

static struct chain_words
issuer_words(const struct anchors *anchors, const struct chain_query *query, const struct cert *cert, const char *where)
{
	const char *issuer = cert_issuer(cert);
	struct chain_words words = { .wanted = mem_textf("the certificate of its issuer, %s", issuer) };

	if (has_subject(anchors_certs(anchors), issuer))
		words.found = mem_textf("%s has one of that name, with another key", where);
	else if (has_subject(query->untrusted, issuer))
		words.found = mem_textf("%s sends one of that name, with another key", sender(query));
	else
		words.found = mem_textf("%s does not send it, and it is not in %s", sender(query), where);
	return words;
}

static struct chain_words
trust_words(const struct anchors *anchors, const struct chain_query *query, const struct cert *cert)
{
	const char *where = query->anchors_name ? query->anchors_name : "the trusted certificates";
	const char *subject = cert_subject(cert);
	struct chain_words words;

	if (!cert_is_self_issued(cert))
		return issuer_words(anchors, query, cert, where);
	words.wanted = mem_textf("%s in %s", subject, where);
	if (has_subject(anchors_certs(anchors), subject))
		words.found = mem_text("another one of that name is there");
	else
		words.found = mem_textf("%s sends it, but it is not there", sender(query));
	return words;
}

static struct chain_words
purpose_words(const struct cert *cert, const char *purpose)
{
	char *uses = cert_uses(cert);

	return (struct chain_words){ mem_textf("extendedKeyUsage %s", purpose), uses ? uses : mem_text("no extendedKeyUsage") };
}

struct chain_words
chain_words_for(
	const struct anchors *anchors, const struct chain_query *query, enum reason reason, const struct cert *cert, int error)
{
	if (cert && (reason == TRUST_UNKNOWN_ISSUER || reason == TRUST_SELF_SIGNED))
		return trust_words(anchors, query, cert);
	if (cert && (reason == CERT_NO_SERVER_AUTH || reason == CERT_NO_CLIENT_AUTH))
		return purpose_words(cert, reason == CERT_NO_SERVER_AUTH ? "serverAuth" : "clientAuth");
	return (struct chain_words){ mem_text(reason == CERT_NOT_CA ? "CA:TRUE and keyCertSign" : ""),
		mem_text(X509_verify_cert_error_string(error)) };
}
