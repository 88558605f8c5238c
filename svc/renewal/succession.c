/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates by certd, keys by keyd, and nothing of our own: what a crash leaves is read from what lies there. */
#include "renewal/succession.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "certd/client.h"
#include "pki/chain.h"

#define PEM_MAX (1024 * 1024)
#define CSR_MAX 65536
#define CHAIN_MAX 64
#define KEPT_MAX 16 /* certificates of predecessors, with what they came with */

void
succession_lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

static char *
temp_id(const struct succession *s)
{
	return mem_textf("%s-temp", s->id);
}

static char *
previous_id(const struct succession *s)
{
	return mem_textf("%s-previous", s->id);
}

void
succession_pair_clear(struct succession_pair *p)
{
	certs_clear(&p->chain);
	key_free(p->key);
	mem_free(p->key_id);
	*p = (struct succession_pair){ 0 };
}

/* -- What is there ------------------------------------------------------------------------------------------------------------------ */

static int
load_chain(const struct succession *s, const char *id, struct certs *out, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	if (certd_client_get(s->certd, id, &pem, err) < 0)
		return -1;
	if (certs_parse(out, buf_text(&pem), pem.len, CHAIN_MAX, err) == 0)
		return 0;
	err->kind = ERR_MISSING; /* what can't be read is as good as nothing */
	return err_wrap(err, "%s in certd's store", id);
}

static int
save_chain(const struct succession *s, const char *id, const struct certs *chain, struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);

	certs_put_pem(chain, &pem);
	return certd_client_import(s->certd, id, buf_text(&pem), err);
}

/* 1: it belongs to the certificate, and *out is it; 0: no, or there is none. */
static int
find_key(const struct succession *s, const char *id, const struct cert *cert, struct key **out, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(key) key = keyd_client_load_pair(s->keyd, id, &why);

	if (!key && why.kind != ERR_MISSING) {
		*err = why;
		return err_wrap(err, "the key %s", id);
	}
	if (!key || !cert_matches_key(cert, key))
		return 0;
	*out = GIVE(key);
	return 1;
}

static int
find_its_key(const struct succession *s, struct succession_pair *pair, struct err *err)
{
	OWN_TEXT temp = temp_id(s);
	OWN_TEXT previous = previous_id(s);
	const char *ids[] = { s->id, temp, previous };

	for (size_t i = 0; i < COUNT(ids); i++) {
		int found = find_key(s, ids[i], pair->chain.item[0], &pair->key, err);

		if (found < 0)
			return -1;
		if (found == 0)
			continue;
		pair->key_id = mem_text(ids[i]);
		return 0;
	}
	return err_set(err, ERR_MISSING, "no key belongs to the certificate %s", s->id);
}

static int
load_pair(const struct succession *s, const char *cert_id, struct succession_pair *out, struct err *err)
{
	struct succession_pair pair = { 0 };

	if (load_chain(s, cert_id, &pair.chain, err) < 0 || find_its_key(s, &pair, err) < 0) {
		succession_pair_clear(&pair);
		return -1;
	}
	*out = pair;
	return 0;
}

int
succession_load(const struct succession *s, struct succession_pair *out, struct err *err)
{
	return load_pair(s, s->id, out, err);
}

static struct renewal_life
life_of(const struct cert *cert)
{
	return (struct renewal_life){ .from = cert_not_before(cert), .until = cert_not_after(cert) };
}

static void
look_at_kept(const struct succession *s, struct renewal_found *out)
{
	OWN_TEXT id = previous_id(s);
	struct succession_pair kept = { 0 };
	struct err ignored = ERR_INIT;

	if (load_pair(s, id, &kept, &ignored) == 0)
		out->previous = life_of(kept.chain.item[0]);
	succession_pair_clear(&kept);
}

int
succession_look(const struct succession *s, struct renewal_found *out, struct err *err)
{
	struct succession_pair pair = { 0 };

	*out = (struct renewal_found){ 0 };
	if (succession_load(s, &pair, err) < 0)
		return -1;
	out->current = life_of(pair.chain.item[0]);
	memcpy(out->sha256, cert_sha256(pair.chain.item[0]), sizeof(out->sha256));
	succession_pair_clear(&pair);
	if (!renewal_is_good(&out->current, clock_wall()))
		look_at_kept(s, out);
	return 0;
}

/* -- The swap ------------------------------------------------------------------------------------------------------------------------- */

static bool
is_in(const struct certs *list, const struct cert *cert)
{
	for (size_t i = 0; i < list->n; i++)
		if (cert_is_same(list->item[i], cert))
			return true;
	return false;
}

static void
add_new(struct certs *list, const struct certs *more)
{
	for (size_t i = 0; i < more->n && list->n < KEPT_MAX; i++)
		if (!is_in(list, more->item[i]))
			certs_add(list, more->item[i]);
}

/* Before the swap: whatever it issued is trusted on, and it can be put back. */
static int
keep_predecessor(const struct succession *s, struct err *err)
{
	OWN_TEXT id = previous_id(s);
	const char *ids[] = { s->id, id };
	CLEAR(certs) kept = { 0 };

	for (size_t i = 0; i < COUNT(ids); i++) {
		CLEAR(certs) some = { 0 };
		struct err why = ERR_INIT;

		if (load_chain(s, ids[i], &some, &why) < 0 && why.kind != ERR_MISSING) {
			*err = why;
			return err_wrap(err, "what is replaced");
		}
		add_new(&kept, &some);
	}
	return kept.n > 0 ? save_chain(s, id, &kept, err) : 0;
}

/* A key that is not there has been moved already. */
static int
move_key(const struct succession *s, const char *from, const char *to, struct err *err)
{
	struct err why = ERR_INIT;
	OWN(key) key = keyd_client_load_pair(s->keyd, from, &why);

	if (!key && why.kind == ERR_MISSING)
		return 0;
	return keyd_client_move_pair(s->keyd, from, to, err);
}

/* The key in force lies under another id than its own: what lies there is the predecessor's. */
static int
settle_key(const struct succession *s, const struct succession_pair *pair, struct err *err)
{
	OWN_TEXT temp = temp_id(s);
	OWN_TEXT previous = previous_id(s);

	if (!text_is(pair->key_id, temp))
		return 0;
	if (move_key(s, s->id, previous, err) < 0)
		return -1;
	return keyd_client_move_pair(s->keyd, temp, s->id, err);
}

static int
settle_certificate(const struct succession *s, const struct certs *chain, struct err *err)
{
	OWN_TEXT temp = temp_id(s);
	CLEAR(certs) left = { 0 };
	struct err why = ERR_INIT;

	if (load_chain(s, temp, &left, &why) < 0 || !cert_is_same(left.item[0], chain->item[0]))
		return 0;
	return certd_client_delete(s->certd, temp, err);
}

int
succession_settle(const struct succession *s, struct err *err)
{
	struct succession_pair pair = { 0 };
	int status = succession_load(s, &pair, err);

	if (status < 0 && err->kind == ERR_MISSING) {
		*err = (struct err)ERR_INIT;
		return 0;
	}
	if (status == 0)
		status = settle_key(s, &pair, err);
	if (status == 0)
		status = settle_certificate(s, &pair.chain, err);
	succession_pair_clear(&pair);
	return status;
}

static int
swap(const struct succession *s, const struct certs *next, struct err *err)
{
	int status = keep_predecessor(s, err);
	struct err why = ERR_INIT;

	pthread_rwlock_wrlock(s->in_use);
	if (status == 0)
		status = save_chain(s, s->id, next, err);
	if (s->on_swap)
		s->on_swap(s->arg); /* also where it failed: certd may have done it all the same */
	if (status == 0 && succession_settle(s, &why) < 0)
		log_warn("the certificate %s was replaced, tidying up waits for the next look: %s", s->id, why.text);
	pthread_rwlock_unlock(s->in_use);
	return status;
}

/* -- The successor -------------------------------------------------------------------------------------------------------------------- */

/* One that an attempt before this has left, and that is still good. */
static bool
find_candidate(const struct succession *s, const struct key *key, struct certs *out)
{
	OWN_TEXT temp = temp_id(s);
	struct err err = ERR_INIT;

	if (load_chain(s, temp, out, &err) == 0 && cert_matches_key(out->item[0], key) &&
		validity_is_good(out->item[0], clock_wall()) && s->judge(s->arg, out, key, &err) == 0)
		return true;
	certs_clear(out);
	return false;
}

static int
obtain(const struct succession *s, const struct key *key, struct certs *out, struct err *err)
{
	OWN_TEXT temp = temp_id(s);
	CLEAR(buf) csr = BUF_INIT(CSR_MAX);
	CLEAR(buf) pem = BUF_INIT(PEM_MAX);
	struct err ignored = ERR_INIT;

	if (s->request(s->arg, key, &csr, err) < 0 ||
		certd_client_create(s->certd, temp, buf_text(&csr), NULL, NULL, &pem, err) < 0 ||
		certs_parse(out, buf_text(&pem), pem.len, CHAIN_MAX, err) < 0)
		return -1;
	if (!validity_is_good(out->item[0], clock_wall()))
		err_set(err, ERR_BROKEN, "what was issued for %s is not valid now", s->id);
	else if (!cert_matches_key(out->item[0], key))
		err_set(err, ERR_BROKEN, "what was issued for %s is for another key", s->id);
	else if (s->judge(s->arg, out, key, err) == 0)
		return 0;
	certs_clear(out);
	certd_client_delete(s->certd, temp, &ignored);
	return -1;
}

static struct key *
key_of_successor(const struct succession *s, const struct succession_pair *current, struct err *err)
{
	OWN_TEXT temp = temp_id(s);

	if (!current->key)
		return keyd_client_create_pair(s->keyd, s->id, s->key_kinds, err);
	return s->rotate_key ? keyd_client_create_pair(s->keyd, temp, s->key_kinds, err) : key_ref(current->key);
}

int
succession_prepare(const struct succession *s, struct err *err)
{
	struct succession_pair current = { 0 };
	OWN(key) key = NULL;
	CLEAR(certs) next = { 0 };
	int status = succession_settle(s, err);

	if (status == 0)
		status = succession_load(s, &current, err);
	if (status == 0) {
		key = key_of_successor(s, &current, err);
		status = key && (find_candidate(s, key, &next) || obtain(s, key, &next, err) == 0) ? 0 : -1;
	}
	succession_pair_clear(&current);
	return status;
}

int
succession_look_at_next(const struct succession *s, struct renewal_found *out, struct err *err)
{
	OWN_TEXT temp = temp_id(s);
	CLEAR(certs) next = { 0 };
	OWN(key) key = keyd_client_load_pair(s->keyd, temp, err);

	if (!key)
		return -1;
	if (!find_candidate(s, key, &next))
		return err_set(err, ERR_MISSING, "nobody is there yet who follows %s", s->id);
	out->current = life_of(next.item[0]);
	memcpy(out->sha256, cert_sha256(next.item[0]), sizeof(out->sha256));
	return 0;
}

/* What has ended can't be worse off than what was not tried. */
static int
try_out(const struct succession *s, const struct succession_pair *current, const struct certs *next, const struct key *key,
	struct err *err)
{
	if (!s->test || !current->key || s->test(s->arg, next, key, err) == 0)
		return 0;
	if (validity_is_good(current->chain.item[0], clock_wall()))
		return -1;
	log_warn("the new certificate %s takes over untried, because there is no other that is valid: %s", s->id, err->text);
	*err = (struct err)ERR_INIT;
	return 0;
}

static int
renew(const struct succession *s, const struct succession_pair *current, struct err *err)
{
	OWN(key) key = key_of_successor(s, current, err);
	CLEAR(certs) next = { 0 };

	if (!key)
		return err_wrap(err, "the key of the new certificate");
	if (!find_candidate(s, key, &next) && obtain(s, key, &next, err) < 0)
		return -1;
	return try_out(s, current, &next, key, err) < 0 ? -1 : swap(s, &next, err);
}

/* The first of those that were kept, with what it came with. */
static void
cut_chain(const struct certs *kept, struct certs *out)
{
	for (size_t i = 0; i < kept->n; i++) {
		if (i > 0 && (cert_is_self_issued(kept->item[i - 1]) || !cert_is_issued_by(kept->item[i - 1], kept->item[i])))
			return;
		certs_add(out, kept->item[i]);
	}
}

/* What was kept becomes the successor. */
static int
restore(const struct succession *s, struct err *err)
{
	OWN_TEXT id = previous_id(s);
	OWN_TEXT temp = temp_id(s);
	struct succession_pair kept = { 0 };
	CLEAR(certs) chain = { 0 };
	int status = load_pair(s, id, &kept, err);

	if (status == 0 && text_is(kept.key_id, id))
		status = keyd_client_move_pair(s->keyd, id, temp, err);
	if (status == 0) {
		cut_chain(&kept.chain, &chain);
		status = swap(s, &chain, err);
	}
	succession_pair_clear(&kept);
	return status;
}

int
succession_act(const struct succession *s, enum renewal_step step, struct err *err)
{
	struct succession_pair current = { 0 };
	int status = succession_settle(s, err);

	if (status == 0)
		status = succession_load(s, &current, err);
	if (status < 0 && err->kind == ERR_MISSING) {
		*err = (struct err)ERR_INIT;
		status = 0;
	}
	if (status == 0)
		status = step == RENEWAL_RESTORE ? restore(s, err) : renew(s, &current, err);
	succession_pair_clear(&current);
	return status;
}
