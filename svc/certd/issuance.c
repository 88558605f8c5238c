/* SPDX-License-Identifier: Apache-2.0 */
/* Making certificates.  What a certificate of ours may do follows from its id, never from the extensions of the CSR: the original copies those, so that a caller could ask for CA:TRUE. */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/issuance.h"
#include "certd/local_ca.h"
#include "certd/signer.h"
#include "common/principal.h"
#include "pki/issue.h"
#include "pki/subject.h"
#include "wire/json.h"

#define DEFAULT_DAYS 30
#define DAYS_MAX 36500
#define DAY_S 86400
#define EDGE_CA_ID "aziot-edged-ca"
#define DEVICE_ID "device-id"
#define LOCAL_IDENTITIES "aziot-identityd/local" /* all of them are issued as this id is configured */
#define TEMP "-temp"
#define MODULE_IDS "aziot-edged/module/"

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
	{ LOCAL_IDENTITIES "/*:server", ISSUE_SERVER },
	{ LOCAL_IDENTITIES "/*:client", ISSUE_DEVICE },
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

/* What is made to follow a certificate (svc/renewal) is made as that one is, local identities as one id for all of them. */
static char *
name_of(const struct issuance *i, const char *id)
{
	size_t len = strlen(id), suffix = strlen(TEMP);

	if (text_starts(id, LOCAL_IDENTITIES "/") && !json_object_get(i->config, id))
		return mem_text(LOCAL_IDENTITIES);
	if (len > suffix && text_is(id + len - suffix, TEMP) && !json_object_get(i->config, id))
		return mem_textn(id, len - suffix);
	return mem_text(id);
}

/* What the configuration has for a request. */
struct issuance_entry {
	const char *name;
	const json_t *config; /* or NULL */
	bool by_est;
};

/* -- What goes in ------------------------------------------------------------------------------------------------------------------------- */

/* Of a module's request the common name is all that counts: what else it says of itself is nobody's business. */
static X509_NAME *
subject_of_request(const char *id, const struct csr *csr, struct err *err)
{
	const struct subject_part name = { "CN", csr_common_name(csr) };

	if (!name.value || csr_count_common_names(csr) > 1)
		return err_null(
			err, ERR_INVALID, "parameter \"csr\" has an invalid value\ncaused by: a subject has one common name");
	if (strlen(name.value) > ISSUE_COMMON_NAME_MAX)
		return err_null(err, ERR_INVALID,
			"parameter \"csr\" has an invalid value\ncaused by: its common name has more than %d characters",
			ISSUE_COMMON_NAME_MAX);
	return text_starts(id, MODULE_IDS) ? subject_new(&name, 1, err) : X509_NAME_dup(csr_subject(csr));
}

/* NULL without an error: it has none. */
static X509_NAME *
subject_of_config(const json_t *config, struct err *err)
{
	const char *common_name = NULL;
	json_t *table = NULL;
	X509_NAME *subject = NULL;

	if (config && json_find_text(config, "common_name", &common_name, err) == 0 &&
		json_find_object(config, "subject", &table, err) == 0) {
		if (table)
			subject = subject_from_json(table, err);
		else if (common_name)
			subject = subject_new(&(struct subject_part){ "CN", common_name }, 1, err);
	}
	if (err->kind != ERR_NONE)
		err->kind = ERR_BROKEN; /* nothing that the caller did */
	return subject;
}

static X509_NAME *
choose_subject(const char *id, const struct csr *csr, const json_t *config, struct err *err)
{
	X509_NAME *subject = subject_of_config(config, err);

	return subject || err->kind != ERR_NONE ? subject : subject_of_request(id, csr, err);
}

/* It is not earlier than when the issuer began: a clock that says so is not set yet. */
static int64_t
now_by(const struct signer *signer)
{
	int64_t now = clock_wall(), began = signer->chain.n > 0 ? cert_not_before(signer->chain.item[0]) + ISSUE_BACKDATE_S : now;

	return now > began ? now : began;
}

static int
take_life(struct profile *profile, const json_t *config, const struct signer *signer, struct err *err)
{
	int64_t now = now_by(signer), days = DEFAULT_DAYS;

	if (config && json_find_int(config, "expiry_days", &days, err) < 0)
		return -1;
	profile->not_before = now - ISSUE_BACKDATE_S;
	profile->not_after = now + (days > 0 && days < DAYS_MAX ? days : DEFAULT_DAYS) * DAY_S;
	return 0;
}

/* -- Signing here ------------------------------------------------------------------------------------------------------------------------- */

static int
sign_profile(struct profile *profile, const struct csr *csr, const struct signer *signer, struct buf *pem, struct err *err)
{
	struct issuer issuer = { .cert = signer->chain.n > 0 ? signer->chain.item[0] : NULL, .key = signer->key };
	char *names[ISSUE_NAMES_MAX];
	size_t n = is_ca(profile->kind) ? 0 : csr_names(csr, names, ISSUE_NAMES_MAX);
	int status;

	for (size_t i = 0; i < n; i++)
		profile->names[i] = names[i];
	profile->n_names = n;
	status = issue_pem(profile, csr_public_key(csr), &issuer, pem, err);
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	if (status < 0 && err->kind == ERR_INVALID)
		err->kind = ERR_BROKEN; /* the request is as it should be: our issuer, or our clock, is not */
	return status;
}

static int
sign(const struct issuance_request *r, const json_t *config, const struct csr *csr, const struct signer *signer, struct buf *pem,
	struct err *err)
{
	enum issue_kind kind = kind_of(r->id);
	struct profile profile = { .kind = kind, .path_len = kind == ISSUE_EDGE_CA ? 0 : -1 };
	int status;

	if (signer->chain.n == 0 && EVP_PKEY_eq(csr_public_key(csr), key_pkey(signer->key)) != 1)
		return err_set(err, ERR_INVALID,
			"parameter \"csr\" has an invalid value\ncaused by: %s signs itself, and the request is for another key",
			r->id);
	if (take_life(&profile, config, signer, err) < 0)
		return -1;
	profile.subject = choose_subject(r->id, csr, config, err);
	if (!profile.subject)
		return -1;
	status = sign_profile(&profile, csr, signer, pem, err);
	X509_NAME_free(profile.subject);
	if (status == 0)
		certs_put_pem(&signer->chain, pem);
	return status;
}

static int
ensure_issuer(const struct issuance *i, const struct issuance_request *r, const json_t *config, struct err *err)
{
	if (r->issuer_id || !text_is(json_string_value(json_object_get(config, "method")), "local_ca"))
		return 0;
	if (text_is(r->id, LOCAL_CA_ID))
		return err_set(err, ERR_BROKEN, "the local CA can't be issued by itself: est or self_signed");
	return local_ca_ensure(i, err);
}

static int
sign_here(const struct issuance *i, const struct issuance_request *r, const struct issuance_entry *entry, const struct csr *csr,
	struct buf *pem, struct err *err)
{
	const struct signer_query query = { .store = i->store,
		.keyd = i->keyd,
		.id = r->id,
		.name = entry->name,
		.config = entry->config,
		.issuer_id = r->issuer_id,
		.issuer_handle = r->issuer_handle,
		.csr = csr };
	struct signer signer = { 0 };
	int status = ensure_issuer(i, r, entry->config, err);

	if (status == 0)
		status = signer_choose(&signer, &query, err);
	if (status == 0)
		status = sign(r, entry->config, csr, &signer, pem, err);
	signer_clear(&signer);
	return status;
}

/* -- By a server, or here ----------------------------------------------------------------------------------------------------------------- */

/* What an EST server's certificate must be good for.  Of ids that mean nothing to us the request says whether it is a CA. */
static enum issued_use
use_of(const char *id, const struct csr *csr)
{
	enum issue_kind kind = kind_of(id);

	if (is_ca(kind) || (kind == ISSUE_DEVICE && csr_asks_ca(csr)))
		return ISSUED_CA;
	if (kind == ISSUE_SERVER)
		return ISSUED_SERVER;
	return kind == ISSUE_MODULE_IDENTITY || text_fits(id, DEVICE_ID "*") || text_fits(id, LOCAL_IDENTITIES "/*:client")
		       ? ISSUED_CLIENT
		       : ISSUED_LEAF;
}

static bool
is_by_est(const struct issuance_request *r, const json_t *config)
{
	return !r->issuer_id && text_is(json_string_value(json_object_get(config, "method")), "est");
}

/* The turn is ours. */
static int
make(const struct issuance *i, const struct issuance_request *r, const struct issuance_entry *entry, const struct csr *csr,
	struct buf *pem, struct err *err)
{
	size_t before = pem->len;

	if (!entry->by_est) {
		if (sign_here(i, r, entry, csr, pem, err) < 0)
			return -1;
	} else if (est_issue(i->est, entry->name, csr, use_of(r->id, csr), pem, err) < 0) {
		if (err->kind != ERR_UNAVAILABLE)
			err->kind = ERR_BROKEN; /* nothing that the caller did */
		return -1;
	}
	return cert_store_save(i->store, r->id, buf_text(pem) + before, pem->len - before, err);
}

static int
make_in_turn(const struct issuance *i, const struct issuance_request *r, const struct issuance_entry *entry, struct csr **csr,
	struct buf *pem, struct err *err)
{
	struct turn *turn = turns_take(i->turns, r->id);
	int status;

	if (!r->issuer_id && turn_was_made(turn, *csr)) {
		status = cert_store_load(i->store, r->id, pem, err);
	} else {
		status = make(i, r, entry, *csr, pem, err);
		if (status == 0)
			turn_made(turn, r->issuer_id ? NULL : GIVE(*csr));
	}
	turns_give(i->turns, turn);
	return status;
}

int
issuance_create(const struct issuance *i, const struct issuance_request *r, struct buf *pem, struct err *err)
{
	OWN_TEXT name = name_of(i, r->id);
	struct issuance_entry entry = { .name = name, .config = json_object_get(i->config, name) };
	OWN(csr) csr = csr_parse(r->csr, strlen(r->csr), err);
	int status;

	if (!csr)
		return err_wrap(err, "parameter \"csr\" has an invalid value\ncaused by");
	entry.by_est = is_by_est(r, entry.config);
	if (entry.by_est && est_enter(i->est, err) < 0)
		return -1;
	status = make_in_turn(i, r, &entry, &csr, pem, err);
	if (entry.by_est)
		est_leave(i->est);
	return status;
}
