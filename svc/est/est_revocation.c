/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, their files and their set (est_revocation.h). */
#include "est/est_revocation.h"

#include <pthread.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/ca_crl.h"
#include "wire/codec.h"

#define LISTS_MAX 16 /* as there may be issuers */
#define OCSP_LIFETIME_S 3600

struct list {
	char *name;
	struct cert *ca;
	struct buf der;
	int64_t made, n; /* when, and how many were revoked by then */
};

struct est_revocation {
	char *dir;
	struct ca_journal *journal;
	struct ca_revoked *revoked;
	pthread_mutex_t making; /* held while lists are made */
	pthread_mutex_t lock;	/* of what is below, held for a moment */
	struct list lists[LISTS_MAX];
	size_t n_lists;
	struct revocations *current;
	int64_t n_current; /* how many were revoked when it was made */
};

static void
list_clear(struct list *l)
{
	mem_free(l->name);
	cert_free(l->ca);
	buf_clear(&l->der);
}

struct est_revocation *
est_revocation_open(const char *state_dir, struct ca_journal *journal, struct err *err)
{
	struct est_revocation *r = NEW(est_revocation);
	OWN_TEXT path = file_join(state_dir, "revoked.db");

	r->journal = journal;
	r->dir = file_join(state_dir, "crl");
	pthread_mutex_init(&r->making, NULL);
	pthread_mutex_init(&r->lock, NULL);
	r->revoked = file_make_dir(r->dir, 0755, err) == 0 ? ca_revoked_open(path, err) : NULL;
	if (r->revoked)
		return r;
	est_revocation_close(r);
	return NULL;
}

void
est_revocation_close(struct est_revocation *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_lists; i++)
		list_clear(&r->lists[i]);
	revocations_free(r->current);
	ca_revoked_close(r->revoked);
	pthread_mutex_destroy(&r->making);
	pthread_mutex_destroy(&r->lock);
	mem_free(r->dir);
	mem_free(r);
}

/* -- Making -------------------------------------------------------------------------------------------------------------------------- */

static struct list *
find_list(struct est_revocation *r, const char *name)
{
	for (size_t i = 0; i < r->n_lists; i++)
		if (text_is(r->lists[i].name, name))
			return &r->lists[i];
	return NULL;
}

/* A clock that was put back makes a list that is older than its successor: it is made again, too. */
static bool
is_due(const struct list *l, const struct est_issuer *issuer, int64_t n, int64_t now)
{
	return !l || l->n != n || !cert_is_same(l->ca, ca_signer_chain(issuer->signer)->item[0]) || now < l->made ||
	       now >= l->made + issuer->crl_lifetime_s / 2;
}

static void
put_list(struct est_revocation *r, struct list *fresh_take)
{
	struct list *place;

	pthread_mutex_lock(&r->lock);
	place = find_list(r, fresh_take->name);
	if (place)
		list_clear(place);
	else
		place = &r->lists[r->n_lists++];
	*place = *fresh_take;
	pthread_mutex_unlock(&r->lock);
}

static int
make_list(struct est_revocation *r, const struct est_issuer *issuer, int64_t n, int64_t now, struct err *err)
{
	struct list fresh = { .der = BUF_INIT(CA_CRL_MAX_BYTES), .made = now, .n = n };
	OWN_TEXT file = mem_textf("%s/%s.crl", r->dir, issuer->name);

	if (ca_crl_make(&fresh.der, issuer->signer, r->revoked, r->journal, now, issuer->crl_lifetime_s, err) < 0 ||
		file_save(file, fresh.der.data, fresh.der.len, 0644, err) < 0) {
		buf_clear(&fresh.der);
		return -1;
	}
	fresh.name = mem_text(issuer->name);
	fresh.ca = cert_ref(ca_signer_chain(issuer->signer)->item[0]);
	put_list(r, &fresh);
	return 0;
}

/* One that the CA's key is needed for and can't be had: what was published before the start is published still.  It stays due. */
static void
show_last(struct est_revocation *r, const struct est_issuer *issuer)
{
	struct list last = { .der = BUF_INIT(CA_CRL_MAX_BYTES), .n = -1 };
	OWN_TEXT file = mem_textf("%s/%s.crl", r->dir, issuer->name);
	struct err err = ERR_INIT;

	if (find_list(r, issuer->name) || file_load(&last.der, file, &err) < 0) {
		buf_clear(&last.der);
		return;
	}
	last.name = mem_text(issuer->name);
	last.ca = cert_ref(ca_signer_chain(issuer->signer)->item[0]);
	put_list(r, &last);
}

static int
make_set(struct est_revocation *r, int64_t n, struct err *err)
{
	struct revocations *fresh = revocations_new(), *old;

	if (ca_crl_set(fresh, r->revoked, r->journal, err) < 0) {
		revocations_free(fresh);
		return -1;
	}
	pthread_mutex_lock(&r->lock);
	old = r->current;
	r->current = fresh;
	r->n_current = n;
	pthread_mutex_unlock(&r->lock);
	revocations_free(old);
	return 0;
}

static int
make_lists(struct est_revocation *r, const struct est_config *config, int64_t n, int64_t now, struct err *err)
{
	int done = 0;

	for (size_t i = 0; i < est_config_n_issuers(config); i++) {
		const struct est_issuer *issuer = est_config_issuer(config, i);

		if (!ca_signer_key(issuer->signer)) /* its lists are made where it is */
			continue;
		if (!is_due(find_list(r, issuer->name), issuer, n, now))
			continue;
		if (r->n_lists == LISTS_MAX && !find_list(r, issuer->name))
			return err_set(err, ERR_LIMIT, "more issuers since the start than have lists: start it again");
		if (make_list(r, issuer, n, now, err) == 0)
			continue;
		show_last(r, issuer);
		done = -1; /* and the others' all the same */
	}
	return done;
}

/* What is revoked counts here from now on, whether a list can be made of it or not. */
static int
refresh(struct est_revocation *r, const struct est_config *config, int64_t now, struct err *err)
{
	int64_t n;

	if (ca_revoked_count(r->revoked, &n, err) < 0)
		return -1;
	if ((!r->current || n != r->n_current) && make_set(r, n, err) < 0)
		return -1;
	return make_lists(r, config, n, now, err);
}

int
est_revocation_refresh(struct est_revocation *r, const struct est_config *config, int64_t now, struct err *err)
{
	int done;

	pthread_mutex_lock(&r->making);
	done = refresh(r, config, now, err);
	pthread_mutex_unlock(&r->making);
	return done;
}

/* -- Asking --------------------------------------------------------------------------------------------------------------------------- */

struct revocations *
est_revocation_current(struct est_revocation *r)
{
	struct revocations *current;

	pthread_mutex_lock(&r->lock);
	current = revocations_ref(r->current);
	pthread_mutex_unlock(&r->lock);
	return current;
}

bool
est_revocation_list(struct est_revocation *r, const char *issuer, struct buf *out)
{
	const struct list *l;

	pthread_mutex_lock(&r->lock);
	l = find_list(r, issuer);
	if (l)
		buf_put(out, l->der.data, l->der.len);
	pthread_mutex_unlock(&r->lock);
	return l != NULL;
}

/* -- OCSP ----------------------------------------------------------------------------------------------------------------------------- */

/* A number that we gave to nobody is unknown, though no list has it.  A CA whose certificate was renewed answers for what it has issued by the one before. */
static int
find_state(struct est_revocation *r, const struct ocsp_ca *ca, const char *serial, struct ocsp_finding *out, struct err *err)
{
	CLEAR(buf) hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);
	OWN(ca_entry) entry = NULL;
	struct ca_revocation revocation;

	*out = (struct ocsp_finding){ .state = OCSP_IS_UNKNOWN };
	if (ca_journal_find_of_ca(r->journal, ca->cert, serial, &entry, err) < 0)
		return -1;
	if (!entry)
		return 0;
	hex_encode(&hex, cert_sha256(entry->chain.item[0]), DIGEST_SHA256_LEN, true);
	if (ca_revoked_find(r->revoked, buf_text(&hex), serial, &revocation, err) < 0)
		return -1;
	*out = (struct ocsp_finding){ .state = OCSP_IS_GOOD };
	if (revocation.when)
		*out = (struct ocsp_finding){ OCSP_IS_REVOKED, revocation.when, revocation.reason };
	return 0;
}

static int
find(void *arg, const struct ocsp_ca *ca, const char *serial, struct ocsp_finding *out)
{
	struct err err = ERR_INIT;

	if (find_state(arg, ca, serial, out, &err) == 0)
		return 0;
	log_error("OCSP: %s", err.text);
	return -1;
}

int
est_revocation_answer(struct est_revocation *r, const struct est_config *config, const void *request, size_t len, int64_t now,
	struct buf *out, struct err *err)
{
	struct ocsp_ca cas[LISTS_MAX];
	struct ocsp_desk desk = { .cas = cas, .find = find, .arg = r };

	for (size_t i = 0; i < est_config_n_issuers(config) && desk.n_cas < LISTS_MAX; i++) {
		const struct ca_signer *signer = est_config_issuer(config, i)->signer;

		if (ca_signer_key(signer))
			cas[desk.n_cas++] = (struct ocsp_ca){ ca_signer_chain(signer)->item[0], ca_signer_key(signer) };
	}
	return ocsp_answer(out, request, len, &desk, now, now + OCSP_LIFETIME_S, err);
}
