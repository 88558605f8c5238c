/* SPDX-License-Identifier: Apache-2.0 */
/* Making certificates.  What a certificate of ours may do follows from its id, never from the extensions of the CSR: the original copies those, so that a caller could ask for CA:TRUE. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/issuance.h"
#include "common/principal.h"
#include "pki/issue.h"
#include "wire/json.h"

#define DEFAULT_DAYS 30
#define DAYS_MAX 36500
#define CHAIN_MAX 16
#define PEM_MAX (1024 * 1024)
#define DAY_S 86400
#define EDGE_CA_ID "aziot-edged-ca"
#define LOCAL_CA_ID "local-ca"
#define DEVICE_ID "device-id"
#define TEMP "-temp"

struct kind_row {
	const char *pattern;
	enum issue_kind kind;
};

static const struct kind_row kinds[] = {
	{ EDGE_CA_ID, ISSUE_EDGE_CA },
	{ EDGE_CA_ID "-temp", ISSUE_EDGE_CA },
	{ LOCAL_CA_ID, ISSUE_INTERMEDIATE },
	{ "aziot-edged/module/*:server", ISSUE_SERVER },
	{ "aziot-edged/module/*:identity", ISSUE_MODULE_IDENTITY },
};

static enum issue_kind
kind_of(const char *id)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (text_fits(id, kinds[i].pattern))
			return kinds[i].kind;
	return ISSUE_DEVICE;
}

/* A CA is known by its subject; names in it would make it a server too. */
static bool
is_ca(enum issue_kind kind)
{
	return kind == ISSUE_ROOT || kind == ISSUE_INTERMEDIATE || kind == ISSUE_EDGE_CA;
}

/* What is made to follow a certificate (svc/renewal) is made as that one is. */
static char *
name_of(const struct issuance *i, const char *id)
{
	size_t len = strlen(id), suffix = strlen(TEMP);

	if (len > suffix && text_is(id + len - suffix, TEMP) && !json_object_get(i->config, id))
		return mem_textn(id, len - suffix);
	return mem_text(id);
}

struct signer {
	struct certs chain; /* the issuer's certificate first; empty: self-signed */
	struct key *key;
};

static void
signer_clear(struct signer *s)
{
	certs_clear(&s->chain);
	key_free(s->key);
}

static int
load_signer(struct signer *s, const struct issuance *i, const char *cert_id, const char *handle, struct err *err)
{
	struct buf pem = BUF_INIT(PEM_MAX);
	int status = cert_store_load(i->store, cert_id, &pem, err);

	if (status == 0)
		status = certs_parse(&s->chain, buf_text(&pem), pem.len, CHAIN_MAX, err);
	buf_clear(&pem);
	if (status < 0)
		return err_wrap(err, "parameter \"issuer.certId\" has an invalid value");
	s->key = handle ? keyd_client_pair_of_handle(i->keyd, handle, err) : keyd_client_load_pair(i->keyd, cert_id, err);
	return s->key ? 0 : err_wrap(err, "the key of %s", cert_id);
}

static bool
is_for(const struct csr *csr, const struct key *key)
{
	return EVP_PKEY_eq(csr_public_key(csr), key_pkey(key)) == 1;
}

/* What signs itself and follows another has a key of its own, or goes on with the other's. */
static int
load_own_key(struct signer *s, const struct issuance *i, const char *id, const struct csr *csr, struct err *err)
{
	OWN_TEXT name = name_of(i, id);

	s->key = keyd_client_load_pair(i->keyd, id, err);
	if ((s->key && is_for(csr, s->key)) || text_is(name, id))
		return s->key ? 0 : err_wrap(err, "self-signing %s", id);
	key_free(s->key);
	*err = (struct err)ERR_INIT;
	s->key = keyd_client_load_pair(i->keyd, name, err);
	return s->key ? 0 : err_wrap(err, "self-signing %s", id);
}

static int
choose_signer(struct signer *s, const struct issuance *i, const struct issuance_request *r, const json_t *config,
	const struct csr *csr, struct err *err)
{
	const char *method;

	if (r->issuer_id)
		return load_signer(s, i, r->issuer_id, r->issuer_handle, err);
	if (!config)
		return err_set(err, ERR_BROKEN, "nothing says how to issue %s: no issuer in the request and no cert_issuance entry",
			r->id);
	if (json_get_text(config, "method", &method, err) < 0)
		return -1;
	if (text_is(method, "local_ca"))
		return load_signer(s, i, LOCAL_CA_ID, NULL, err);
	return load_own_key(s, i, r->id, csr, err);
}

/* It is not earlier than when the issuer began: a clock that says so is not set yet. */
static int64_t
now_by(const struct cert *issuer)
{
	int64_t now = clock_wall(), began = issuer ? cert_not_before(issuer) + ISSUE_BACKDATE_S : now;

	return now > began ? now : began;
}

static int
sign(const struct issuance_request *r, const json_t *config, const struct csr *csr, const struct signer *signer, struct buf *pem,
	struct err *err)
{
	struct issuer issuer = { .cert = signer->chain.n > 0 ? signer->chain.item[0] : NULL, .key = signer->key };
	int64_t now = now_by(issuer.cert), days = DEFAULT_DAYS;
	struct profile profile = {
		.kind = kind_of(r->id), .path_len = -1, .not_before = now - ISSUE_BACKDATE_S, .common_name = csr_common_name(csr)
	};
	char *names[ISSUE_NAMES_MAX];
	const char *configured = NULL;
	OWN_TEXT common_name = NULL;
	OWN(cert) cert = NULL;

	if (config && (json_find_int(config, "expiry_days", &days, err) < 0 ||
			      json_find_text(config, "common_name", &configured, err) < 0))
		return -1;
	if (configured)
		profile.common_name = common_name = mem_textn(configured, strnlen(configured, 64));
	profile.not_after = now + (days > 0 && days < DAYS_MAX ? days : DEFAULT_DAYS) * DAY_S;
	profile.path_len = profile.kind == ISSUE_EDGE_CA ? 0 : -1;
	profile.n_names = is_ca(profile.kind) ? 0 : csr_names(csr, names, ISSUE_NAMES_MAX);
	for (size_t n = 0; n < profile.n_names; n++)
		profile.names[n] = names[n];
	cert = issue_cert(&profile, csr_public_key(csr), &issuer, err);
	for (size_t n = 0; n < profile.n_names; n++)
		mem_free(names[n]);
	if (!cert) {
		if (err->kind == ERR_INVALID)
			err->kind = ERR_BROKEN; /* the request is as it should be: our issuer, or our clock, is not */
		return -1;
	}
	if (!issuer.cert && !cert_matches_key(cert, signer->key))
		return err_set(err, ERR_INVALID,
			"parameter \"csr\" has an invalid value: %s signs itself, and the request is for another key", r->id);
	cert_put_pem(cert, pem);
	certs_put_pem(&signer->chain, pem);
	return 0;
}

static int
sign_here(const struct issuance *i, const struct issuance_request *r, const json_t *config, const struct csr *csr, struct buf *pem,
	struct err *err)
{
	struct signer signer = { 0 };
	int status = choose_signer(&signer, i, r, config, csr, err);

	if (status == 0)
		status = sign(r, config, csr, &signer, pem, err);
	signer_clear(&signer);
	return status;
}

/* What an EST server's certificate must be good for.  Of ids that mean nothing to us the request says whether it is a CA. */
static enum issued_use
use_of(const char *id, const struct csr *csr)
{
	enum issue_kind kind = kind_of(id);

	if (is_ca(kind) || (kind == ISSUE_DEVICE && csr_asks_ca(csr)))
		return ISSUED_CA;
	if (kind == ISSUE_SERVER)
		return ISSUED_SERVER;
	return kind == ISSUE_MODULE_IDENTITY || text_fits(id, DEVICE_ID "*") ? ISSUED_CLIENT : ISSUED_LEAF;
}

static bool
is_by_est(const struct issuance_request *r, const json_t *config)
{
	return !r->issuer_id && text_is(json_string_value(json_object_get(config, "method")), "est");
}

int
issuance_create(const struct issuance *i, const struct issuance_request *r, struct buf *pem, struct err *err)
{
	OWN(csr) csr = csr_parse(r->csr, strlen(r->csr), err);
	OWN_TEXT name = name_of(i, r->id);
	const json_t *config = json_object_get(i->config, name);
	bool by_est = is_by_est(r, config);
	size_t before = pem->len;
	int status;

	if (!csr)
		return err_wrap(err, "parameter \"csr\" has an invalid value");
	if (by_est && est_enter(i->est, err) < 0)
		return -1;
	cert_store_lock(i->store, r->id);
	status = by_est ? est_issue(i->est, name, csr, use_of(r->id, csr), pem, err) : sign_here(i, r, config, csr, pem, err);
	if (status < 0 && by_est)
		err->kind = err->kind == ERR_UNAVAILABLE ? ERR_UNAVAILABLE : ERR_BROKEN; /* nothing that the caller did */
	if (status == 0)
		status = cert_store_save(i->store, r->id, buf_text(pem) + before, pem->len - before, err);
	cert_store_unlock(i->store, r->id);
	if (by_est)
		est_leave(i->est);
	return status;
}
