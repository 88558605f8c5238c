/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an [issuer.NAME] (est_issuer.h). */
#include "est/est_issuer.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/ca_crl.h"
#include "ca/ca_profile.h"
#include "est/est_path.h"
#include "pki/root_line.h"

#define CHAIN_MAX 16
#define URL_MAX 1024
#define RETIRED_MAX 4096
#define DAY_S INT64_C(86400)

void
est_issuer_clear(struct est_issuer *i)
{
	mem_free(i->name);
	est_upstream_free(i->upstream);
	if (!i->signer_is_borrowed)
		ca_signer_free(i->signer);
	certs_clear(&i->shown);
	anchors_free(i->anchors);
	mem_free(i->crl_url);
	mem_free(i->ocsp_url);
	mem_free(i->trust_dir);
	mem_free(i->retired);
}

static void
add_all(struct certs *to, const struct certs *from)
{
	for (size_t i = 0; i < from->n; i++)
		certs_add(to, from->item[i]);
}

static int
add_file(struct certs *to, const struct toml *table, const char *key, struct err *err)
{
	OWN_TEXT path = est_path_find(table, key, err);
	struct certs more = { 0 };
	int done;

	if (!path)
		return err->kind == ERR_NONE ? 0 : -1;
	done = certs_load(&more, path, CHAIN_MAX, err);
	if (done == 0)
		add_all(to, &more);
	certs_clear(&more);
	return done;
}

static const struct cert *
find_issuer(const struct cert *cert, const struct certs *among)
{
	for (size_t i = 0; i < among->n; i++)
		if (cert_is_issued_by(cert, among->item[i]))
			return among->item[i];
	return NULL;
}

/* A root retires while its CAs still issue.  That is said, and no reason to stop: the server would not start any more, and nobody could renew. */
static bool
is_under_retired(const struct cert *top, const struct rollover *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->roots[i].state == ROLLOVER_RETIRED && cert_is_issued_by(top, r->roots[i].cert)) {
			log_error(
				"%s stands under %s, which is retired: who trusts the roots of now trusts nothing that it issues; "
				"have it signed by the active one",
				cert_subject(top), cert_subject(r->roots[i].cert));
			return true;
		}
	return false;
}

/* In the CA's own file it may stand still, and who fetches it would go on trusting it. */
static void
drop_root(struct certs *shown)
{
	if (cert_is_self_issued(shown->item[shown->n - 1]))
		cert_free(shown->item[--shown->n]);
}

/* Who is not shown any more may be trusted still: a device lets a root go only because it is said. */
static char *
say_retired(const struct rollover *r)
{
	struct buf text = BUF_INIT(RETIRED_MAX);

	for (size_t i = 0; i < r->n; i++)
		if (r->roots[i].state == ROLLOVER_RETIRED)
			root_line_put_fingerprint(&text, r->roots[i].cert);
	return text.len > 0 ? buf_take_text(&text) : NULL;
}

/* The roots that are trusted now, the active one first, and during a rollover each signed by the other (RFC 7030 4.1.3). */
static int
add_trust(struct est_issuer *i, const struct toml *table, struct err *err)
{
	const struct cert *top = i->shown.item[i->shown.n - 1];
	CLEAR(trust_dir) dir = { .lock = -1 };
	CLEAR(certs) roots = { 0 };

	trust_dir_stamp(i->trust_dir, i->trust_stamp); /* before it is read: what changes in between is noticed */
	if (trust_dir_read(&dir, i->trust_dir, err) < 0)
		return err_wrap(err, "trust");
	rollover_bundle(&dir.roots, &roots);
	if (!find_issuer(top, &roots)) {
		if (!is_under_retired(top, &dir.roots))
			return toml_err(table, err, "none of the roots in %s has issued %s: is it to be signed by the active one?",
				i->trust_dir, cert_subject(top));
		drop_root(&i->shown);
	}
	for (size_t n = 0; n < roots.n; n++)
		if (!certs_have(&i->shown, roots.item[n]))
			certs_add(&i->shown, roots.item[n]);
	add_all(&i->shown, &dir.roots.cross);
	i->retired = say_retired(&dir.roots);
	return 0;
}

/* /cacerts has the root and all between (RFC 7030 4.1.3): who trusts it then can follow each certificate to it. */
static int
gather_shown(struct est_issuer *i, const struct toml *table, struct err *err)
{
	const struct certs *chain = ca_signer_chain(i->signer);
	const struct cert *top;

	add_all(&i->shown, chain);
	i->trust_dir = est_path_find(table, "trust", err);
	if (!i->trust_dir && err->kind != ERR_NONE)
		return -1;
	if (i->trust_dir && (toml_find(table, "root") || toml_find(table, "rollover")))
		return toml_err(table, err, "trust takes the place of root and rollover");
	if (i->trust_dir)
		return add_trust(i, table, err);
	if (add_file(&i->shown, table, "root", err) < 0)
		return -1;
	top = i->shown.item[i->shown.n - 1];
	if (!cert_is_self_issued(top))
		return toml_err(
			table, err, "the chain of the CA ends with %s, which is no root: give it as `root`", cert_subject(top));
	for (size_t n = 0; n + 1 < i->shown.n; n++)
		if (!cert_is_issued_by(i->shown.item[n], i->shown.item[n + 1]))
			return toml_err(table, err, "%s was not issued by %s", cert_subject(i->shown.item[n]),
				cert_subject(i->shown.item[n + 1]));
	return add_file(&i->shown, table, "rollover", err);
}

static int
make_anchors(struct est_issuer *i, struct err *err)
{
	struct certs ca = { .item = ca_signer_chain(i->signer)->item, .n = 1 };

	i->anchors = anchors_new(&ca, err);
	return i->anchors ? 0 : -1;
}

/* Who reads a certificate fetches a list before it trusts anybody, so over plain HTTP (RFC 5280 4.2.1.13): it is signed. */
static int
take_url(char **out, const struct toml *table, const char *key, struct err *err)
{
	const char *text = NULL;

	if (toml_find_text(table, key, &text, err) < 0)
		return -1;
	if (text && (!text_starts(text, "http://") || strlen(text) > URL_MAX || strpbrk(text, " ,;\"\\\n")))
		return toml_err(table, err, "%s: '%.80s' is no http:// address", key, text);
	*out = mem_text(text);
	return 0;
}

static int
take_status(struct est_issuer *i, const struct toml *table, struct err *err)
{
	int64_t days = CA_CRL_DAYS;

	if (toml_find_int(table, "crl_days", 1, 365, &days, err) < 0 || take_url(&i->crl_url, table, "crl_url", err) < 0)
		return -1;
	i->crl_lifetime_s = days * DAY_S;
	return take_url(&i->ocsp_url, table, "ocsp_url", err);
}

/* Its name is that of a file, and stands in a path. */
static int
take_name(struct est_issuer *i, const struct toml *table, struct err *err)
{
	if (!ca_profile_name_is_valid(table->key) || table->key[0] == '.')
		return toml_err(table, err, "'%.80s' can't be the name of an issuer: 1 to 64 letters, digits and -._", table->key);
	i->name = mem_text(table->key);
	return 0;
}

/* The key here, or who has it. */
static int
take_signer(struct est_issuer *i, const struct toml *table, struct key_source *keys, struct err *err)
{
	const struct toml *upstream = NULL;
	const char *cert_path, *text = NULL;
	OWN_TEXT cert = NULL;
	OWN_TEXT key = NULL;

	if (toml_get_text(table, "certificate", &cert_path, err) < 0 || toml_find_text(table, "key", &text, err) < 0 ||
		toml_find_table(table, "upstream", &upstream, err) < 0)
		return -1;
	if (!text == !upstream)
		return toml_err(table, err, "either key is needed, the CA's private key, or upstream, the EST server that signs");
	cert = est_path_place(table, cert_path);
	if (upstream) {
		i->signer = ca_signer_load_keyless(cert, err);
		i->upstream = i->signer ? est_upstream_load(upstream, i->signer, keys, err) : NULL;
		return i->upstream ? 0 : -1;
	}
	key = key_source_is_file(text) ? est_path_place(table, text) : mem_text(text);
	i->signer = ca_signer_load(cert, key, keys, err);
	return i->signer ? 0 : -1;
}

/* What stands in certificates, and what is revoked of them, is the affair of who signs. */
static int
check_upstream(const struct est_issuer *i, const struct toml *table, struct err *err)
{
	static const char *const keys[] = { "crl_days", "crl_url", "ocsp_url" };

	for (size_t n = 0; i->upstream && n < COUNT(keys); n++)
		if (toml_find(table, keys[n]))
			return toml_err(table, err, "%s: the CA is upstream, and so are its lists", keys[n]);
	return 0;
}

int
est_issuer_load(struct est_issuer *i, const struct toml *table, struct key_source *keys, struct err *err)
{
	static const char *const known[] = { "certificate", "key", "root", "rollover", "trust", "crl_days", "crl_url", "ocsp_url",
		"upstream" };

	if (take_name(i, table, err) < 0 || toml_check_keys(table, known, COUNT(known), err) < 0 ||
		take_signer(i, table, keys, err) < 0 || check_upstream(i, table, err) < 0 || gather_shown(i, table, err) < 0 ||
		take_status(i, table, err) < 0)
		return -1;
	return make_anchors(i, err);
}
