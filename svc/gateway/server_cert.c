/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock is looked at once a minute, because it may be set, and a box may sleep.  A certificate that can't be had now is tried for again at each look; the
 * old one serves meanwhile. */
#include "gateway/server_cert.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define KEY_ID "edgehub-server"
#define KEY_ALGORITHMS "ec-p256:rsa-2048:*"
#define LOOK_EVERY_MS 60000
#define SESSION_SCOPE "gateway-mqtt"

/* Wall clock. */
struct times {
	int64_t valid_from, renew_at;
};

struct server_cert {
	struct server_cert_config config;
	struct tls_holder *holder;
	struct times times;
	struct timer timer;
	struct job job;
	bool is_renewing;
	struct tls_server *made; /* the job's */
	struct times made_times;
	struct err err;
};

static struct times
times_of(const struct cert *leaf)
{
	int64_t from = cert_not_before(leaf), until = cert_not_after(leaf);

	return (struct times){ .valid_from = from, .renew_at = from + (until - from) / 5 * 4 };
}

/* Four fifths of its life are over; or it has not begun, because the clock was set back since. */
static bool
is_due(const struct times *times)
{
	int64_t now = clock_wall();

	return now >= times->renew_at || now < times->valid_from;
}

static struct tls_server *
issue(const struct server_cert_config *c, struct times *times, struct err *err)
{
	OWN(key) key = keyd_client_create_pair(c->keyd, KEY_ID, KEY_ALGORITHMS, err);
	CLEAR(certs) chain = { 0 };
	struct tls_server_config tls = {
		.chain = &chain,
		.key = key,
		.ask_client_cert = true,
		.session_scope = SESSION_SCOPE,
		.cache = c->cache,
	};
	int64_t expires;

	if (!key || workload_server_certificate(c->workload, key, c->names, c->n_names, &chain, &expires, err) < 0)
		return err_wrap_null(err, "the server certificate for %s", c->names[0]);
	*times = times_of(chain.item[0]);
	return tls_server_new(&tls, err);
}

static void
renew(struct job *job)
{
	struct server_cert *s = CONTAINER_OF(job, struct server_cert, job);

	s->err = (struct err)ERR_INIT;
	s->made = issue(&s->config, &s->made_times, &s->err);
}

static void
on_renewed(struct job *job)
{
	struct server_cert *s = CONTAINER_OF(job, struct server_cert, job);

	s->is_renewing = false;
	if (!s->made) {
		log_error("%s; the one in use stays", s->err.text);
		return;
	}
	tls_holder_swap(s->holder, GIVE(s->made));
	s->times = s->made_times;
	log_info("the server certificate for %s was renewed", s->config.names[0]);
}

static void
on_timer(struct timer *timer)
{
	struct server_cert *s = CONTAINER_OF(timer, struct server_cert, timer);

	if (!s->is_renewing && is_due(&s->times)) {
		s->job = (struct job){ .run = renew, .done = on_renewed, .owner = loop_owner(s->config.loop) };
		s->is_renewing = pool_try(s->config.workers, &s->job);
	}
	timer_arm(timer, LOOK_EVERY_MS);
}

struct server_cert *
server_cert_open(const struct server_cert_config *config, struct err *err)
{
	struct times times;
	struct tls_server *first = issue(config, &times, err);
	struct server_cert *s;

	if (!first)
		return NULL;
	s = NEW(server_cert);
	s->config = *config;
	s->holder = tls_holder_new(first);
	s->times = times;
	timer_init(&s->timer, config->loop, on_timer);
	timer_arm(&s->timer, LOOK_EVERY_MS);
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
	mem_free(s);
}

struct tls_holder *
server_cert_holder(struct server_cert *s)
{
	return s->holder;
}
