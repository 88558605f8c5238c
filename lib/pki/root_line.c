/* SPDX-License-Identifier: Apache-2.0 */
/* Which roots follow which, and who has retired (root_line.h).  Pure; its file is root_line_file.c. */
#include "pki/root_line.h"

#include <ctype.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/text.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "wire/codec.h"

static void
step_clear(struct root_step *step)
{
	cert_free(step->root);
	cert_free(step->cross);
}

void
root_line_clear(struct root_line *line)
{
	for (size_t i = 0; i < line->n; i++)
		step_clear(&line->step[i]);
	*line = (struct root_line){ 0 };
}

void
root_line_copy(struct root_line *out, const struct root_line *line)
{
	*out = *line;
	for (size_t i = 0; i < out->n; i++) {
		cert_ref(out->step[i].root);
		cert_ref(out->step[i].cross);
	}
}

void
root_news_clear(struct root_news *news)
{
	certs_clear(&news->taken);
	certs_clear(&news->left);
	certs_clear(&news->not_signed);
	certs_clear(&news->kept);
}

/* -- What is trusted ---------------------------------------------------------------------------------------------------------------- */

static bool
is_it(const struct cert *cert, const uint8_t *sha256)
{
	return memcmp(cert_sha256(cert), sha256, DIGEST_SHA256_LEN) == 0;
}

static const struct cert *
find(const struct certs *among, const uint8_t *sha256)
{
	for (size_t i = 0; i < among->n; i++)
		if (is_it(among->item[i], sha256))
			return among->item[i];
	return NULL;
}

static bool
is_retired(const struct root_line *line, const struct cert *cert)
{
	for (size_t i = 0; i < line->n_retired; i++)
		if (is_it(cert, line->retired[i]))
			return true;
	return false;
}

/* What limits a CA, or could. */
static const int limits[] = { NID_basic_constraints, NID_key_usage, NID_ext_key_usage, NID_name_constraints, NID_policy_constraints,
	NID_certificate_policies, NID_policy_mappings, NID_inhibit_any_policy };

static const ASN1_OCTET_STRING *
limit_of(const struct cert *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert_x509(cert), nid, -1);

	return at < 0 ? NULL : X509_EXTENSION_get_data(X509_get_ext(cert_x509(cert), at));
}

static bool
is_same(const ASN1_OCTET_STRING *a, const ASN1_OCTET_STRING *b)
{
	return a && b ? ASN1_OCTET_STRING_cmp(a, b) == 0 : a == b;
}

static bool
says_the_same(const struct cert *cross, const struct cert *root)
{
	for (size_t i = 0; i < COUNT(limits); i++)
		if (!is_same(limit_of(cross, limits[i]), limit_of(root, limits[i])))
			return false;
	return true;
}

/* Is this that root, as another one signed it? */
static bool
is_cross_of(const struct cert *cross, const struct cert *root)
{
	return cert_is_cross(cross) && !cert_is_self_issued(cross) && cert_is_same_ca(cross, root) && says_the_same(cross, root);
}

/* Nobody gives away more than he has: a root with limits is followed by none without them. */
static bool
keeps_limits_of(const struct cert *root, const struct cert *signer)
{
	long most = cert_path_len(signer), wanted = cert_path_len(root);

	if (most == 0 || (most > 0 && (wanted < 0 || wanted > most)))
		return false;
	for (size_t i = 0; i < COUNT(limits); i++) {
		const ASN1_OCTET_STRING *limit = limit_of(signer, limits[i]);

		if (limit && limits[i] != NID_basic_constraints && !is_same(limit, limit_of(root, limits[i])))
			return false;
	}
	return true;
}

/* Whatever the dates say: it was signed in its time. */
static bool
was_signed(const struct root_step *step, const struct certs *among)
{
	const struct cert *after = find(among, step->after);

	return after && is_cross_of(step->cross, step->root) && keeps_limits_of(step->root, after) &&
	       cert_is_issued_by(step->cross, after);
}

/* With those that have retired: what they signed was signed before. */
static void
add_all_that_followed(const struct root_line *line, struct certs *roots)
{
	for (size_t before = SIZE_MAX; before != roots->n;) {
		before = roots->n;
		for (size_t i = 0; i < line->n; i++)
			if (!certs_have(roots, line->step[i].root) && was_signed(&line->step[i], roots))
				certs_add(roots, line->step[i].root);
	}
}

void
root_line_apply(const struct root_line *line, const struct certs *given, struct certs *out)
{
	CLEAR(certs) all = { 0 };
	size_t before = out->n;

	for (size_t i = 0; i < given->n; i++)
		certs_add(&all, given->item[i]);
	add_all_that_followed(line, &all);
	for (size_t i = 0; i < all.n; i++)
		if (!is_retired(line, all.item[i]))
			certs_add(out, all.item[i]);
	for (size_t i = 0; out->n == before && i < all.n; i++)
		certs_add(out, all.item[i]);
}

/* -- Another root ------------------------------------------------------------------------------------------------------------------- */

static bool
is_signed_by(const struct cert *cross, const struct cert *root, int64_t now)
{
	struct cert *item = (struct cert *)(uintptr_t)root;
	struct err ignored = ERR_INIT;
	OWN(anchors) anchors = anchors_new(&(struct certs){ .item = &item, .n = 1 }, &ignored);
	OWN(verdict) v = verdict_new("trust", "Does the old root vouch for the new one?", NULL);

	if (!anchors || !cert_is_issued_by(cross, root))
		return false;
	chain_verify(v, anchors, &(struct chain_query){ .leaf = cross, .purpose = CHAIN_ANY, .now = now });
	return verdict_accepted(v);
}

/* The trusted root that signed this one, and by which certificate; NULL: none has. */
static const struct cert *
find_signer(const struct cert *root, const struct certs *shown, const struct certs *trusted, int64_t now, struct cert **cross)
{
	for (size_t i = 0; i < shown->n; i++) {
		*cross = shown->item[i];
		for (size_t k = 0; is_cross_of(*cross, root) && k < trusted->n; k++)
			if (!cert_is_same(trusted->item[k], root) && keeps_limits_of(root, trusted->item[k]) &&
				is_signed_by(*cross, trusted->item[k], now))
				return trusted->item[k];
	}
	return NULL;
}

static bool
is_sound_root(const struct cert *cert, int64_t now)
{
	return cert_is_self_issued(cert) && cert_is_ca(cert) && cert_is_issued_by(cert, cert) && cert_has_acceptable_key(cert) &&
	       validity_is_good(cert, now);
}

static bool
has_step(const struct root_line *line, const struct cert *root, const struct cert *after)
{
	for (size_t i = 0; i < line->n; i++)
		if (cert_is_same(line->step[i].root, root) && is_it(after, line->step[i].after))
			return true;
	return false;
}

static bool
add_step(struct root_line *line, struct cert *root, struct cert *cross, const struct cert *after, struct err *err)
{
	if (line->n == ROOT_LINE_MAX) {
		(void)err_set(err, ERR_LIMIT, "%d roots have followed: give this device its bundle anew", ROOT_LINE_MAX);
		return false;
	}
	line->step[line->n].root = cert_ref(root);
	line->step[line->n].cross = cert_ref(cross);
	memcpy(line->step[line->n++].after, cert_sha256(after), DIGEST_SHA256_LEN);
	return true;
}

struct learning {
	struct root_line *line;
	const struct certs *given;
	const struct root_answer *answer;
	uint8_t said[ROOT_LINE_MAX][DIGEST_SHA256_LEN]; /* to be retired */
	size_t n_said;
	int64_t now;
	struct certs trusted; /* as of now */
};

static bool
is_said(const struct learning *l, const struct cert *cert)
{
	for (size_t i = 0; i < l->n_said; i++)
		if (is_it(cert, l->said[i]))
			return true;
	return false;
}

/* One of those that are shown: is it new, or known to follow another now?  One that retires has no place any more. */
static bool
look_at(struct learning *l, struct cert *root, struct root_news *news, struct err *err)
{
	bool is_trusted = certs_have(&l->trusted, root);
	const struct cert *signer;
	struct cert *cross;

	if (!is_sound_root(root, l->now) || is_said(l, root) || is_retired(l->line, root))
		return false;
	signer = find_signer(root, l->answer->shown, &l->trusted, l->now, &cross);
	if (!signer || has_step(l->line, root, signer) || !add_step(l->line, root, cross, signer, err))
		return false;
	if (!is_trusted) {
		certs_add(&l->trusted, root);
		certs_add(&news->taken, root);
	}
	return true;
}

/* One that is taken may have signed another one that is shown. */
static bool
take_new(struct learning *l, struct root_news *news, struct err *err)
{
	const struct certs *shown = l->answer->shown;
	bool changed = false;

	for (size_t before = SIZE_MAX; before != l->trusted.n && err->kind == ERR_NONE;) {
		before = l->trusted.n;
		for (size_t i = 0; i < shown->n; i++)
			changed |= look_at(l, shown->item[i], news, err);
	}
	for (size_t i = 0; i < shown->n; i++)
		if (cert_is_self_issued(shown->item[i]) && !certs_have(&l->trusted, shown->item[i]) && !is_said(l, shown->item[i]))
			certs_add(&news->not_signed, shown->item[i]);
	return changed;
}

/* -- One less ----------------------------------------------------------------------------------------------------------------------- */

/* Those whom this one has signed, and whom those have, and so on. */
static void
add_followers(const struct root_line *line, const struct cert *root, struct certs *out)
{
	certs_add(out, (struct cert *)(uintptr_t)root);
	for (size_t before = 0; before != out->n;) {
		before = out->n;
		for (size_t i = 0; i < line->n; i++)
			if (find(out, line->step[i].after) && !certs_have(out, line->step[i].root))
				certs_add(out, line->step[i].root);
	}
}

static bool
follows(const struct root_line *line, const struct cert *root, const struct cert *before)
{
	CLEAR(certs) followers = { 0 };

	add_followers(line, before, &followers);
	return certs_have(&followers, root);
}

/* May who shows these say that this root has retired?  Who shows one whom it has signed; or, of a root that no operator gave, one that has signed it.  Who has signed a root of somebody else's, which
 * anybody can, may not. */
static bool
speaks_for(const struct learning *l, const struct cert *root)
{
	const struct certs *shown = l->answer->shown;

	for (size_t i = 0; i < shown->n; i++) {
		const struct cert *other = shown->item[i];

		if (cert_is_same(other, root) || is_said(l, other) || !certs_have(&l->trusted, other))
			continue;
		if (follows(l->line, other, root) || (!certs_have(l->given, root) && follows(l->line, root, other)))
			return true;
	}
	return false;
}

static bool
let_leave(struct learning *l, struct root_news *news)
{
	bool changed = false;

	for (size_t i = 0; i < l->trusted.n; i++) {
		struct cert *root = l->trusted.item[i];

		if (!is_said(l, root))
			continue;
		if (l->line->n_retired == ROOT_LINE_MAX || !speaks_for(l, root)) {
			certs_add(&news->kept, root);
			continue;
		}
		memcpy(l->line->retired[l->line->n_retired++], cert_sha256(root), DIGEST_SHA256_LEN);
		certs_add(&news->left, root);
		changed = true;
	}
	return changed;
}

bool
root_line_learn(struct root_line *line, const struct certs *given, const struct root_answer *answer, int64_t now,
	struct root_news *news, struct err *err)
{
	struct learning l = { .line = line, .given = given, .answer = answer, .now = now };
	bool changed;

	if (answer->retired && !root_line_parse_fingerprints(answer->retired, l.said, &l.n_said)) {
		(void)err_set(err, ERR_INVALID, "which roots have retired is not said in SHA-256 fingerprints: '%.100s'",
			answer->retired);
		return false;
	}
	root_line_apply(line, given, &l.trusted);
	changed = take_new(&l, news, err);
	changed |= let_leave(&l, news);
	certs_clear(&l.trusted);
	return changed;
}

/* -- Who has retired, as text ------------------------------------------------------------------------------------------------------- */

bool
root_line_parse_fingerprints(const char *text, uint8_t out[static ROOT_LINE_MAX][DIGEST_SHA256_LEN], size_t *n)
{
	*n = 0;
	for (const char *at = text + strspn(text, " \t"); *at;) {
		size_t len = strcspn(at, ", \t");

		if (*n == ROOT_LINE_MAX || !hex_decode(out[*n], DIGEST_SHA256_LEN, at, len))
			return false;
		(*n)++;
		at += len;
		at += strspn(at, " \t");
		if (*at == ',')
			at += 1 + strspn(at + 1, " \t");
		else if (*at)
			return false;
	}
	return true;
}

void
root_line_put_fingerprint(struct buf *out, const struct cert *root)
{
	if (out->len > 0)
		buf_puts(out, ", ");
	hex_encode(out, cert_sha256(root), DIGEST_SHA256_LEN, true);
}
