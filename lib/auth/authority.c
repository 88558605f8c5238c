/* SPDX-License-Identifier: Apache-2.0 */
/* Who vouches for a device (authority.h).  The way from the leaf up to a registered CA is found here, because OpenSSL takes the first issuer of the
 * right name and looks no further: two CAs may share a name, a CA may have been renewed under its old key, and a peer sends what it
 * likes in any order.  Signatures are tried only where names leave a choice; whether the way holds is pki/chain's question, asked with that one CA as
 * anchor. */
#include "auth/authority.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"

#define WAY_MAX 8	/* intermediates */
#define TRIALS_MAX 16	/* signatures of one search */
#define SENT_MAX 32	/* certificates of a peer that are looked at */
#define MEMO_SLOTS 4096 /* chains that are remembered */
#define BETWEEN_MAX 64	/* intermediates that are remembered, for all of them */

struct remembered {
	uint8_t leaf[DIGEST_SHA256_LEN];
	int64_t not_before, not_after;	   /* of the whole chain */
	const struct authority *authority; /* NULL: an empty slot */
	struct cert *way[WAY_MAX];	   /* borrowed from `between` */
	size_t n_way;
};

struct authorities {
	struct authority *item[AUTHORITIES_MAX];
	size_t n;
	struct certs all;    /* the verified ones */
	struct anchors *any; /* all of them, to say in pki's words why a chain does not close */
	atomic_int n_refs;
	pthread_mutex_t lock; /* for what is remembered */
	struct remembered *memo;
	struct certs between;
};

/* -- The set ----------------------------------------------------------------------------------------------------------------------- */

static void
authority_free(struct authority *authority)
{
	mem_free(authority->name);
	cert_free(authority->cert);
	authority_scope_clear(&authority->scope);
	anchors_free(authority->anchors);
	mem_free(authority);
}

struct authorities *
authorities_new(void)
{
	struct authorities *set = NEW(authorities);

	set->n_refs = 1;
	set->memo = mem_array(MEMO_SLOTS, sizeof(*set->memo));
	pthread_mutex_init(&set->lock, NULL);
	return set;
}

struct authorities *
authorities_ref(struct authorities *set)
{
	if (set)
		set->n_refs++;
	return set;
}

void
authorities_free(struct authorities *set)
{
	if (!set || --set->n_refs > 0)
		return;
	for (size_t i = 0; i < set->n; i++)
		authority_free(set->item[i]);
	certs_clear(&set->all);
	anchors_free(set->any);
	certs_clear(&set->between);
	mem_free(set->memo);
	pthread_mutex_destroy(&set->lock);
	mem_free(set);
}

static struct anchors *
anchor_of(struct cert *cert, struct err *err)
{
	struct certs one = { .item = &cert, .n = 1 };

	return anchors_new(&one, err);
}

static int
renew_any(struct authorities *set, struct err *err)
{
	struct anchors *any = anchors_new(&set->all, err);

	if (!any)
		return -1;
	anchors_free(set->any);
	set->any = any;
	return 0;
}

int
authorities_add(struct authorities *set, const char *name, struct cert *cert, const struct authority_scope *scope, bool is_verified,
	struct err *err)
{
	struct anchors *anchors;
	struct authority *authority;

	if (set->n == AUTHORITIES_MAX)
		return err_set(err, ERR_LIMIT, "there are %d CAs already", AUTHORITIES_MAX);
	anchors = anchor_of(cert, err);
	if (!anchors)
		return -1;
	authority = NEW(authority);
	*authority = (struct authority){ .name = mem_text(name),
		.cert = cert_ref(cert),
		.scope = authority_scope_copy(scope),
		.is_verified = is_verified,
		.anchors = anchors };
	set->item[set->n++] = authority;
	if (!is_verified)
		return 0;
	certs_add(&set->all, cert);
	return renew_any(set, err);
}

const struct authority *
authorities_find(const struct authorities *set, const uint8_t sha256[static DIGEST_SHA256_LEN])
{
	for (size_t i = 0; i < set->n; i++)
		if (set->item[i]->is_verified && mem_equal_ct(cert_sha256(set->item[i]->cert), sha256, DIGEST_SHA256_LEN))
			return set->item[i];
	return NULL;
}

size_t
authorities_count(const struct authorities *set)
{
	return set->n;
}

const struct authority *
authorities_item(const struct authorities *set, size_t i)
{
	return set->item[i];
}

int
authority_check_cert(const struct cert *cert, struct err *err)
{
	X509 *x509 = cert_x509(cert);
	EVP_PKEY *key = X509_get0_pubkey(x509);

	if (X509_get_version(x509) < X509_VERSION_3 || !cert_is_ca(cert))
		return err_set(err, ERR_INVALID, "%s is no CA: its basicConstraints do not say CA:TRUE", cert_subject(cert));
	if (!(X509_get_key_usage(x509) & KU_KEY_CERT_SIGN))
		return err_set(err, ERR_INVALID, "%s may not issue: its keyUsage lacks keyCertSign", cert_subject(cert));
	if (X509_get_extension_flags(x509) & EXFLAG_INVALID)
		return err_set(err, ERR_INVALID, "%s has an extension that cannot be read", cert_subject(cert));
	if (!key || !key_is_acceptable(key))
		return err_set(err, ERR_INVALID, "the key of %s is of a kind or size that is not accepted", cert_subject(cert));
	return 0;
}

/* -- The way from the leaf to a registered CA ----------------------------------------------------------------------------------- */

struct search {
	const struct authorities *set;
	const struct certs *sent;
	const struct identity *record;
	struct verdict *v;
	int64_t now;
	int n_trials;
	const struct authority *authority;
	struct certs way; /* borrows its items */
	struct cert *items[WAY_MAX];
};

static bool
names_fit(const struct cert *issuer, const struct cert *cert)
{
	return X509_check_issued(cert_x509(issuer), cert_x509(cert)) == X509_V_OK;
}

static bool
has_signed(struct search *s, const struct cert *issuer, const struct cert *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert_x509(issuer));
	bool good = key && s->n_trials++ < TRIALS_MAX && X509_verify(cert_x509(cert), key) == 1;

	ERR_clear_error();
	return good;
}

static size_t
n_sent(const struct search *s)
{
	return s->sent->n < SENT_MAX ? s->sent->n : SENT_MAX;
}

static bool
is_on_the_way(const struct search *s, const struct cert *cert)
{
	if (cert_is_same(s->sent->item[0], cert))
		return true;
	for (size_t i = 0; i < s->way.n; i++)
		if (cert_is_same(s->way.item[i], cert))
			return true;
	return false;
}

static bool
is_registered(const struct search *s, const struct cert *cert)
{
	return authorities_find(s->set, cert_sha256(cert)) != NULL;
}

/* How many could have issued it, by their names. */
static size_t
count_issuers(const struct search *s, const struct cert *cert)
{
	size_t n = 0;

	for (size_t i = 0; i < s->set->n; i++)
		n += s->set->item[i]->is_verified && names_fit(s->set->item[i]->cert, cert);
	for (size_t i = 1; i < n_sent(s); i++)
		n += names_fit(s->sent->item[i], cert) && !is_registered(s, s->sent->item[i]);
	return n;
}

/* The same key may be registered twice, when a CA was renewed: the one that is in date and may speak for this device comes first. */
static int
rank(const struct search *s, const struct authority *authority)
{
	return 1 + 2 * validity_is_good(authority->cert, s->now) + authority_scope_covers(&authority->scope, s->record);
}

static const struct authority *
find_registered(struct search *s, const struct cert *cert, bool is_choice)
{
	const struct authority *best = NULL;
	int best_rank = 0;

	for (size_t i = 0; i < s->set->n; i++) {
		const struct authority *authority = s->set->item[i];

		if (!authority->is_verified || !names_fit(authority->cert, cert))
			continue;
		if (is_choice && !has_signed(s, authority->cert, cert)) {
			verdict_note(s->v, CA_OTHER_KEY, "certificate authority", authority->name, "the key that signed",
				cert_subject(cert));
			continue;
		}
		if (rank(s, authority) > best_rank) {
			best = authority;
			best_rank = rank(s, authority);
		}
	}
	return best;
}

static struct cert *
find_sent(struct search *s, const struct cert *cert, bool is_choice)
{
	for (size_t i = 1; i < n_sent(s); i++) {
		struct cert *issuer = s->sent->item[i];

		if (!is_on_the_way(s, issuer) && names_fit(issuer, cert) && (!is_choice || has_signed(s, issuer, cert)))
			return issuer;
	}
	return NULL;
}

static bool
find_way(struct search *s)
{
	struct cert *cert = s->sent->item[0];

	s->way.item = s->items;
	while (cert) {
		bool is_choice = count_issuers(s, cert) > 1;

		s->authority = find_registered(s, cert, is_choice);
		if (s->authority)
			return true;
		cert = s->way.n < WAY_MAX ? find_sent(s, cert, is_choice) : NULL;
		if (cert)
			s->items[s->way.n++] = cert;
	}
	return false;
}

/* -- What is remembered ------------------------------------------------------------------------------------------------------------ */

static struct remembered *
slot_of(struct authorities *set, const struct cert *leaf)
{
	uint32_t at;

	memcpy(&at, cert_sha256(leaf), sizeof(at));
	return &set->memo[at % MEMO_SLOTS];
}

/* One copy of an intermediate for all chains through it; NULL when there are too many to keep. */
static struct cert *
keep_between(struct authorities *set, struct cert *cert)
{
	for (size_t i = 0; i < set->between.n; i++)
		if (cert_is_same(set->between.item[i], cert))
			return set->between.item[i];
	if (set->between.n == BETWEEN_MAX)
		return NULL;
	certs_add(&set->between, cert);
	return cert;
}

static void
narrow(struct remembered *r, const struct cert *cert)
{
	if (cert_not_before(cert) > r->not_before)
		r->not_before = cert_not_before(cert);
	if (cert_not_after(cert) < r->not_after)
		r->not_after = cert_not_after(cert);
}

static void
remember(struct authorities *set, const struct search *s)
{
	const struct cert *leaf = s->sent->item[0];
	struct remembered r = { .authority = s->authority, .not_before = INT64_MIN, .not_after = INT64_MAX, .n_way = s->way.n };

	memcpy(r.leaf, cert_sha256(leaf), sizeof(r.leaf));
	narrow(&r, leaf);
	narrow(&r, s->authority->cert);
	pthread_mutex_lock(&set->lock);
	for (size_t i = 0; i < s->way.n; i++) {
		narrow(&r, s->way.item[i]);
		r.way[i] = keep_between(set, s->way.item[i]);
		if (!r.way[i])
			r.authority = NULL;
	}
	if (r.authority)
		*slot_of(set, leaf) = r;
	pthread_mutex_unlock(&set->lock);
}

/* Only while all of its dates hold: else the chain is gone through again, and the verdict says which of them doesn't. */
static bool
recall(struct authorities *set, const struct cert *leaf, int64_t now, struct remembered *out)
{
	bool found;

	pthread_mutex_lock(&set->lock);
	*out = *slot_of(set, leaf);
	pthread_mutex_unlock(&set->lock);
	found = out->authority && mem_equal_ct(out->leaf, cert_sha256(leaf), DIGEST_SHA256_LEN);
	return found && now >= out->not_before && now < out->not_after;
}

static void
add_line(struct verdict *v, const struct cert *cert)
{
	OWN_TEXT line = cert_line(cert);

	verdict_add_chain(v, line);
}

static void
tell_remembered(struct verdict *v, const struct remembered *r, const struct cert *leaf, int64_t now)
{
	add_line(v, leaf);
	for (size_t i = 0; i < r->n_way; i++)
		add_line(v, r->way[i]);
	add_line(v, r->authority->cert);
	verdict_pass(v, "chain", cert_subject(leaf), "a trusted root", cert_subject(r->authority->cert));
	validity_check(v, leaf, now);
	verdict_pass(v, "purpose", cert_subject(leaf), "", "may be used by a client");
}

/* -- The decision --------------------------------------------------------------------------------------------------------------------- */

static void
verify_under(struct verdict *v, const struct anchors *anchors, const struct cert *leaf, const struct certs *untrusted, int64_t now)
{
	chain_verify(v, anchors,
		&(struct chain_query){ .leaf = leaf,
			.untrusted = untrusted,
			.purpose = CHAIN_CLIENT,
			.now = now,
			.partial = true,
			.refuse_ca_leaf = true });
}

/* Nobody vouches for it: say so in pki's words, and whether a CA that was not verified would have. */
static void
refuse(struct search *s)
{
	const struct cert *leaf = s->sent->item[0];
	const struct cert *last = s->way.n > 0 ? s->way.item[s->way.n - 1] : leaf;

	for (size_t i = 0; i < s->set->n; i++)
		if (!s->set->item[i]->is_verified && names_fit(s->set->item[i]->cert, last))
			verdict_fail(s->v, CA_NOT_VERIFIED, "certificate authority", s->set->item[i]->name, "a verified CA",
				"its owner has not proven to hold its key");
	if (s->set->any)
		verify_under(s->v, s->set->any, leaf, s->sent, s->now);
	if (verdict_accepted(s->v)) /* a way that OpenSSL found, and that gave no CA to answer for it */
		verdict_fail(s->v, TRUST_UNKNOWN_ISSUER, "chain", cert_subject(leaf), "a registered CA", "none of them issued it");
}

static const struct authority *
check_scope(struct verdict *v, const struct authority *authority, const struct identity *record)
{
	OWN_TEXT wanted = authority_scope_text(&authority->scope);
	OWN_TEXT found = mem_textf("%s%s", record->device_id, record->is_edge ? ", a gateway" : "");

	if (!authority_scope_covers(&authority->scope, record)) {
		verdict_fail(v, CA_OUT_OF_SCOPE, "certificate authority", authority->name, wanted, found);
		return NULL;
	}
	verdict_pass(v, "certificate authority", authority->name, wanted, found);
	return authority;
}

const struct authority *
authorities_verify(
	struct verdict *v, struct authorities *set, const struct certs *chain, const struct identity *record, int64_t now)
{
	struct search s = { .set = set, .sent = chain, .record = record, .v = v, .now = now };
	struct remembered known;

	if (recall(set, chain->item[0], now, &known)) {
		tell_remembered(v, &known, chain->item[0], now);
		return check_scope(v, known.authority, record);
	}
	if (!find_way(&s)) {
		refuse(&s);
		return NULL;
	}
	verify_under(v, s.authority->anchors, chain->item[0], &s.way, now);
	if (!verdict_accepted(v))
		return NULL;
	remember(set, &s);
	return check_scope(v, s.authority, record);
}
