/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock, the Edge CA, the names and the addresses of this box are looked at every few seconds: a clock may be set, a box may sleep or be moved, and what was issued under an Edge CA that is replaced is to be replaced at once.  A
 * certificate that can't be had now is tried for again a minute later, for other names alone a few times before, as edged may hear of them after us; the old one serves meanwhile. */
#include "gateway/server_cert.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/renewal.h"
#include "gateway/further_cert.h"
#include "gateway/gauges/noted.h"
#include "gateway/scope/asked.h"
#include "gateway/server_names.h"
#include "net/interfaces.h"
#include "net/listen_address.h"

#define KEY_ALGORITHMS "ec-p256:rsa-2048:*"
#define LOOK_EVERY_MS 10000
#define LOOK_AT_FURTHER_MS 1000 /* their keys change in keyd a moment before the files do, or after */
#define DOUBT_LOOKS 10
#define EDGED_LATE_MS 2000	   /* it is told of other names a moment after us, or before: asked again so soon, */
#define EDGED_LATE_MAX 5	   /* so often, before it counts as a failure */
#define MISSED_MS (10 * 60 * 1000) /* a name that is missed is not told of again for so long, at least */
#define SESSION_SCOPE "gateway-mqtt"

struct server_cert {
	struct server_cert_config config;
	struct tls_holder *holder;
	struct renewal_life life;
	uint8_t edge_ca[DIGEST_SHA256_LEN]; /* under which it was issued */
	bool knows_edge_ca;
	struct server_names names;	  /* in it; written on the loop */
	pthread_mutex_t lock;		  /* of names, against server_cert_has_name */
	struct asked *missed;		  /* names that were asked for and no certificate has */
	int64_t doubted_since, failed_at; /* boot clock; 0: no */
	struct timer timer;
	struct job job;
	bool is_looking;
	/* The job's. */
	struct further_cert *further[SERVER_CERT_FURTHER_MAX];
	struct certs chain; /* the one in use, to be made a context of anew when another beside it has changed */
	struct key *key;
	struct tls_server *made;
	bool is_issued; /* what was made */
	struct renewal_life made_life;
	uint8_t seen_ca[DIGEST_SHA256_LEN];
	struct server_names given, seen_names;
	bool sees_ca, has_failed;
	bool are_same;	   /* the names are those of the one in use */
	bool is_for_names; /* one was to be issued for other ones, and for nothing else */
	int n_late;	   /* how often that failed; on the loop */
	bool is_unread;	   /* the file of names, and that was told */
	bool is_another;   /* of the further ones, that is not shown yet */
	struct err err;
};

/* -- Is it time? ---------------------------------------------------------------------------------------------------------------------- */

/* A clock that was set back to before its beginning is doubted for a while before the certificate is. */
static bool
is_due(const struct server_cert *s)
{
	static const struct renewal_policy policy = RENEWAL_POLICY_DEFAULT;
	int64_t doubted_ms = s->doubted_since ? clock_boot_ms() - s->doubted_since : 0;

	return renewal_decide(&policy, &(struct renewal_view){ .current = s->life,
					       .now = clock_wall(),
					       .doubt_is_over = doubted_ms >= (int64_t)DOUBT_LOOKS * clock_look_ms() }) ==
	       RENEWAL_RENEW;
}

static void
note_doubt(struct server_cert *s)
{
	if (clock_wall() >= s->life.from)
		s->doubted_since = 0;
	else if (!s->doubted_since)
		s->doubted_since = clock_boot_ms();
}

static bool
has_another_ca(const struct server_cert *s)
{
	return s->sees_ca && (!s->knows_edge_ca || memcmp(s->edge_ca, s->seen_ca, sizeof(s->edge_ca)) != 0);
}

/* -- Issuing -------------------------------------------------------------------------------------------------------------------------- */

/* On any thread.  Whoever finds the wrong name says so to himself at most: here it can be told which name he meant. */
static void
on_name(void *arg, const char *name)
{
	struct server_cert *s = arg;

	if (!asked_may(s->missed, name, "", 0))
		return;
	asked_close(s->missed, name, "", 0, true);
	log_warn("NAME_MISMATCH: a client asks for '%.253s', for which the server certificate was not issued; where that is a name "
		 "of this gateway, it belongs to hostname or [gateway] names",
		name);
}

static struct tls_server_config
settings(const struct server_cert *s)
{
	return (struct tls_server_config){ .ask_client_cert = true, .session_scope = SESSION_SCOPE, .cache = s->config.cache };
}

/* The first one, with those that are there beside it. */
static struct tls_server *
make(struct server_cert *s, const struct certs *chain, struct key *key, struct err *err)
{
	struct tls_server *others[SERVER_CERT_FURTHER_MAX];
	struct tls_server_config tls = settings(s);

	tls.chain = chain;
	tls.key = key;
	tls.on_name = on_name;
	tls.name_arg = s;
	tls.others = others;
	for (size_t i = 0; i < s->config.n_further; i++)
		if (further_cert_current(s->further[i]))
			others[tls.n_others++] = further_cert_current(s->further[i]);
	return tls_server_new(&tls, err);
}

static struct tls_server *
issue(struct server_cert *s, struct renewal_life *life, struct err *err)
{
	const struct server_cert_config *c = &s->config;
	const char *const *names = (const char *const *)s->seen_names.item;
	OWN(key) key = keyd_client_create_pair(c->keyd, SERVER_CERT_KEY_ID, KEY_ALGORITHMS, err);
	CLEAR(certs) chain = { 0 };
	OWN(tls_server) made = NULL;
	int64_t expires;

	if (!key || workload_server_certificate(c->workload, key, names, s->seen_names.n, &chain, &expires, err) < 0)
		return err_wrap_null(err, "the server certificate for %s", names[0]);
	made = make(s, &chain, key, err);
	if (!made)
		return NULL;
	*life = (struct renewal_life){ cert_not_before(chain.item[0]), cert_not_after(chain.item[0]) };
	noted_certificate(&chain);
	certs_clear(&s->chain);
	s->chain = chain;
	chain = (struct certs){ 0 };
	key_free(s->key);
	s->key = GIVE(key);
	s->is_issued = true;
	return GIVE(made);
}

static bool
look_at_further(struct server_cert *s)
{
	struct tls_server_config like = settings(s);
	bool changed = false;

	for (size_t i = 0; i < s->config.n_further; i++)
		changed |= further_cert_look(s->further[i], s->config.keyd, &like);
	return changed;
}

/* Those that were read last stay where they can't be. */
static int
load_names(struct server_cert *s, struct err *err)
{
	struct server_names given;

	if (server_names_load(&given, s->config.hostname, s->config.names_file, err) < 0)
		return -1;
	server_names_clear(&s->given);
	s->given = given;
	return 0;
}

static void
look_at_names(struct server_cert *s)
{
	struct err err = ERR_INIT;
	bool is_unread = load_names(s, &err) < 0;

	if (is_unread && !s->is_unread)
		log_error("%s; the ones that were read last stay", err.text);
	s->is_unread = is_unread;
}

/* The Edge CA is asked for first: one that changes in between is noticed the next time. */
static void
look(struct server_cert *s)
{
	struct err ignored = ERR_INIT;
	char *addresses[INTERFACES_MAX];
	size_t n_addresses;

	s->sees_ca = workload_edge_ca(s->config.workload, s->seen_ca, &ignored) == 0;
	server_names_clear(&s->seen_names);
	n_addresses = interfaces_addresses(addresses);
	server_names_fill(&s->seen_names, listen_address_here(s->config.address), &s->given, addresses, n_addresses);
	while (n_addresses > 0)
		mem_free(addresses[--n_addresses]);
}

static void
run(struct job *job)
{
	struct server_cert *s = CONTAINER_OF(job, struct server_cert, job);
	bool waits = s->failed_at && clock_boot_ms() - s->failed_at < clock_look_ms(), wants;

	s->is_another |= look_at_further(s);
	s->err = (struct err)ERR_INIT;
	s->has_failed = s->is_issued = false;
	look_at_names(s);
	look(s);
	wants = is_due(s) || has_another_ca(s);
	s->are_same = server_names_are_same(&s->names, &s->seen_names);
	s->is_for_names = !waits && !wants && !s->are_same;
	if ((wants && !waits) || s->is_for_names)
		s->made = issue(s, &s->made_life, &s->err);
	if (!s->made && s->is_another)
		s->made = make(s, &s->chain, s->key, &s->err);
	s->has_failed = s->err.kind != ERR_NONE;
	s->is_another = s->is_another && !s->made;
}

/* Under which it was issued. */
static void
take_facts(struct server_cert *s)
{
	s->knows_edge_ca = s->sees_ca;
	memcpy(s->edge_ca, s->seen_ca, sizeof(s->edge_ca));
	pthread_mutex_lock(&s->lock);
	server_names_clear(&s->names);
	s->names = s->seen_names;
	pthread_mutex_unlock(&s->lock);
	s->seen_names = (struct server_names){ 0 };
}

static void
take_over(struct server_cert *s)
{
	s->life = s->made_life;
	noted_renewal(true);
	s->failed_at = 0;
	s->n_late = 0;
	take_facts(s);
	log_info("the server certificate for %s was renewed, with %zu names", s->names.item[0], s->names.n);
}

static void
on_looked(struct job *job)
{
	struct server_cert *s = CONTAINER_OF(job, struct server_cert, job);

	s->is_looking = false;
	if (s->made)
		tls_holder_swap(s->holder, GIVE(s->made));
	if (s->are_same)
		s->n_late = 0;
	if (s->is_issued)
		take_over(s);
	if (!s->has_failed)
		return;
	if (s->is_for_names && s->n_late++ < EDGED_LATE_MAX) {
		log_info("%s; asked again soon, as edged may hear of the names a moment later", s->err.text);
		timer_arm(&s->timer, EDGED_LATE_MS);
		return;
	}
	noted_renewal(false);
	log_error("%s; the one in use stays", s->err.text);
	s->failed_at = clock_boot_ms();
}

static int
look_every_ms(const struct server_cert *s)
{
	int most = s->config.n_further > 0 ? LOOK_AT_FURTHER_MS : LOOK_EVERY_MS;

	return clock_look_ms() < most ? clock_look_ms() : most;
}

static void
on_timer(struct timer *timer)
{
	struct server_cert *s = CONTAINER_OF(timer, struct server_cert, timer);

	if (!s->is_looking) {
		note_doubt(s);
		s->job = (struct job){ .run = run, .done = on_looked, .owner = loop_owner(s->config.loop) };
		s->is_looking = pool_try(s->config.workers, &s->job);
	}
	timer_arm(timer, look_every_ms(s));
}

static void
free_facts(struct server_cert *s)
{
	server_names_clear(&s->names);
	server_names_clear(&s->given);
	server_names_clear(&s->seen_names);
	asked_free(s->missed);
	for (size_t i = 0; i < s->config.n_further; i++)
		further_cert_free(s->further[i]);
	certs_clear(&s->chain);
	key_free(s->key);
	pthread_mutex_destroy(&s->lock);
	mem_free(s);
}

static int
open_further(struct server_cert *s, struct err *err)
{
	for (size_t i = 0; i < s->config.n_further; i++) {
		s->further[i] = further_cert_new(s->config.further[i], err);
		if (!s->further[i])
			return -1;
	}
	return 0;
}

static struct tls_server *
issue_first(struct server_cert *s, struct err *err)
{
	if (load_names(s, err) < 0)
		return NULL;
	look_at_further(s);
	look(s);
	return issue(s, &s->life, err);
}

struct server_cert *
server_cert_open(const struct server_cert_config *config, struct err *err)
{
	struct server_cert *s = NEW(server_cert);
	struct tls_server *first;

	s->config = *config;
	s->missed = asked_new(MISSED_MS);
	pthread_mutex_init(&s->lock, NULL);
	first = open_further(s, err) < 0 ? NULL : issue_first(s, err);
	if (!first) {
		free_facts(s);
		return NULL;
	}
	take_facts(s);
	s->holder = tls_holder_new(first);
	timer_init(&s->timer, config->loop, on_timer);
	timer_arm(&s->timer, look_every_ms(s));
	return s;
}

void
server_cert_close(struct server_cert *s)
{
	if (!s)
		return;
	timer_cancel(&s->timer);
	tls_server_free(s->made);
	tls_holder_free(s->holder);
	free_facts(s);
}

struct tls_holder *
server_cert_holder(struct server_cert *s)
{
	return s->holder;
}

/* The addresses are in no certificate's table of names: nobody asks for one by SNI. */
bool
server_cert_has_name(void *cert, const char *host)
{
	struct server_cert *s = cert;
	bool found;

	pthread_mutex_lock(&s->lock);
	found = server_names_have(&s->names, host);
	pthread_mutex_unlock(&s->lock);
	return found || tls_holder_has_name(s->holder, host);
}
