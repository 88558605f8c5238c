/* SPDX-License-Identifier: Apache-2.0 */
/* The issuing CA as an operator gives it, or as it is made at the first start.  What is wrong with it is said when it is loaded, not to the first device. */
#include "ca/ca_signer.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#define CHAIN_MAX 8
#define PEM_MAX 65536
#define MADE_S (3650 * INT64_C(86400))

struct ca_signer {
	struct certs chain;
	struct key *key;
	int64_t begins, ends;
};

void
ca_signer_free(struct ca_signer *s)
{
	if (!s)
		return;
	certs_clear(&s->chain);
	key_free(s->key);
	mem_free(s);
}

/* Who signs has to be one that verifiers follow to its root. */
static int
check_chain(const struct ca_signer *s, struct err *err)
{
	for (size_t i = 0; i < s->chain.n; i++) {
		const struct cert *cert = s->chain.item[i];

		if (!cert_is_ca(cert))
			return err_set(err, ERR_INVALID, "%s is no CA: it needs CA:TRUE to issue", cert_subject(cert));
		if (i + 1 < s->chain.n && !cert_is_issued_by(cert, s->chain.item[i + 1]))
			return err_set(err, ERR_INVALID, "%s was not issued by the certificate after it, %s", cert_subject(cert),
				cert_subject(s->chain.item[i + 1]));
	}
	if (!cert_has_acceptable_key(s->chain.item[0]))
		return err_set(err, ERR_INVALID, "the key of %s is of a kind or size that is not accepted",
			cert_subject(s->chain.item[0]));
	if (s->key && !cert_matches_key(s->chain.item[0], s->key))
		return err_set(err, ERR_INVALID, "the key does not belong to %s", cert_subject(s->chain.item[0]));
	return 0;
}

static void
take_dates(struct ca_signer *s)
{
	s->begins = INT64_MIN;
	s->ends = INT64_MAX;
	for (size_t i = 0; i < s->chain.n; i++) {
		int64_t from = cert_not_before(s->chain.item[i]), until = cert_not_after(s->chain.item[i]);

		s->begins = from > s->begins ? from : s->begins;
		s->ends = until < s->ends ? until : s->ends;
	}
}

static struct key *
load_key(const struct cert *ca, const char *place, struct key_source *keys, struct err *err)
{
	EVP_PKEY *public_half = X509_get0_pubkey(cert_x509(ca));
	struct err away = ERR_INIT;
	struct key *key;

	if (!keys || !public_half)
		return key_load(place, err);
	key = key_source_load_late(keys, place, public_half, &away, err);
	if (away.kind != ERR_NONE)
		log_warn("%s issues nothing until its key is back: %s", cert_subject(ca), away.text);
	return key;
}

static struct ca_signer *
ready(struct ca_signer *signer_take, const char *cert_path, struct err *err)
{
	OWN(ca_signer) s = signer_take;

	if (check_chain(s, err) < 0)
		return err_wrap_null(err, "the issuing CA of %s", cert_path);
	take_dates(s);
	return GIVE(s);
}

struct ca_signer *
ca_signer_load_keyless(const char *cert_path, struct err *err)
{
	OWN(ca_signer) s = NEW(ca_signer);

	if (certs_load(&s->chain, cert_path, CHAIN_MAX, err) < 0)
		return err_wrap_null(err, "the issuing CA");
	return ready(GIVE(s), cert_path, err);
}

struct ca_signer *
ca_signer_load(const char *cert_path, const char *key_place, struct key_source *keys, struct err *err)
{
	OWN(ca_signer) s = NEW(ca_signer);

	if (certs_load(&s->chain, cert_path, CHAIN_MAX, err) < 0)
		return err_wrap_null(err, "the issuing CA");
	s->key = load_key(s->chain.item[0], key_place, keys, err);
	if (!s->key)
		return err_wrap_null(err, "the key of the issuing CA");
	return ready(GIVE(s), cert_path, err);
}

/* The key first: a certificate without its key would be of no use, and never be made again. */
static struct key *
make_key(const char *path, struct err *err)
{
	OWN(key) key = NULL;

	if (file_exists(path))
		return key_load(path, err);
	key = key_generate(KEY_EC_P384, err);
	return key && key_save(key, path, err) == 0 ? GIVE(key) : NULL;
}

int
ca_signer_make(const char *cert_path, const char *key_path, const char *name, int64_t now, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	OWN(key) key = NULL;
	OWN(cert) cert = NULL;
	struct profile profile = { .kind = ISSUE_ROOT,
		.common_name = name,
		.path_len = 0,
		.not_before = now - ISSUE_BACKDATE_S,
		.not_after = now + MADE_S };

	if (file_exists(cert_path))
		return 0;
	key = make_key(key_path, err);
	if (!key)
		return -1;
	cert = issue_cert(&profile, key_pkey(key), &(struct issuer){ .key = key }, err);
	if (!cert)
		return -1;
	cert_put_pem(cert, &pem);
	return file_save(cert_path, pem.data, pem.len, 0644, err);
}

const struct certs *
ca_signer_chain(const struct ca_signer *s)
{
	return &s->chain;
}

const struct key *
ca_signer_key(const struct ca_signer *s)
{
	return s->key;
}

int64_t
ca_signer_begins(const struct ca_signer *s)
{
	return s->begins;
}

int64_t
ca_signer_ends(const struct ca_signer *s)
{
	return s->ends;
}

struct cert *
ca_signer_sign(const struct ca_signer *s, const struct profile *profile, EVP_PKEY *subject_public, struct err *err)
{
	return issue_cert_bytes(profile, subject_public, &(struct issuer){ .cert = s->chain.item[0], .key = s->key }, err);
}
