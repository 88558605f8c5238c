/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, methods and content types, and the way from loop to workers to writer and back (est_service.h). */
#include "est/est_service.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "est/est_call.h"
#include "est/est_holding.h"
#include "est/est_status.h"
#include "pki/est.h"
#include "pki/est_attributes.h"

#define QUEUE_MAX 4096
#define WORKERS_MAX 64
#define LOOK_MS 1000
#define UPSTREAM_WORKERS 8 /* that wait for other servers */

struct est_service {
	char *config_path;
	struct key_source *keys;
	pthread_mutex_t lock; /* of config */
	struct est_config *config;
	struct est_desk desk;
	struct pool *workers, *writer;
	struct pool *upstream; /* in the place of workers, where a CA is upstream; made with the first one, under lock */
	struct job_group batch;
	struct est_recipient recipient;
	struct timer timer;
	struct job looking;
	struct loop *loop;
	bool is_looking;		       /* on the loop */
	char trouble[480];		       /* of the last look; of who looks */
	char roots_tried[TRUST_DIR_STAMP_LEN]; /* of who looks: what was loaded, or could not be */
};

static struct est_config *
current_config(struct est_service *s)
{
	struct est_config *config;

	pthread_mutex_lock(&s->lock);
	config = est_config_ref(s->config);
	pthread_mutex_unlock(&s->lock);
	return config;
}

/* -- Revocation -------------------------------------------------------------------------------------------------------------------------- */

/* Once, however often it is looked at. */
static void
tell_trouble(struct est_service *s, const struct err *err)
{
	if (text_is(s->trouble, err->text))
		return;
	if (err->kind != ERR_NONE)
		log_error("revocation lists: %s", err->text);
	else if (*s->trouble)
		log_info("revocation lists are made again");
	snprintf(s->trouble, sizeof(s->trouble), "%s", err->text);
}

/* Roots that were announced, activated or retired (rootedge trust).  What can't be loaded is said once, and what was in use stays. */
static void
follow_roots(struct est_service *s)
{
	OWN(est_config) config = current_config(s);
	char stamp[TRUST_DIR_STAMP_LEN];
	struct err err = ERR_INIT;

	if (!est_config_is_stale(config, stamp) || text_is(stamp, s->roots_tried))
		return;
	memcpy(s->roots_tried, stamp, sizeof(stamp));
	if (est_service_reload(s, &err) < 0)
		log_error("the roots that were in use stay: %s", err.text);
	else
		log_info("the roots have changed, and /cacerts shows them");
}

static void
run_looking(struct job *job)
{
	struct est_service *s = CONTAINER_OF(job, struct est_service, looking);
	OWN(est_config) config = NULL;
	struct err err = ERR_INIT;

	follow_roots(s);
	config = current_config(s);
	(void)est_revocation_refresh(s->desk.revocation, config, clock_wall(), &err);
	tell_trouble(s, &err);
}

static void
looked(struct job *job)
{
	struct est_service *s = CONTAINER_OF(job, struct est_service, looking);

	s->is_looking = false;
}

/* A tool that revokes writes into the same file: that is looked at, not told. */
static void
look(struct timer *timer)
{
	struct est_service *s = CONTAINER_OF(timer, struct est_service, timer);

	if (!s->is_looking && s->workers) {
		s->looking = (struct job){ .run = run_looking, .done = looked, .owner = loop_owner(s->loop) };
		s->is_looking = pool_try(s->workers, &s->looking);
	}
	timer_arm(&s->timer, LOOK_MS);
}

void
est_service_start(struct est_service *s)
{
	timer_init(&s->timer, s->loop, look);
	timer_arm(&s->timer, LOOK_MS);
}

struct revocations *
est_service_revocations(struct est_service *s)
{
	return est_revocation_current(s->desk.revocation);
}

/* -- Asking for a certificate ------------------------------------------------------------------------------------------------------------ */

static void
finish(struct est_call *c)
{
	est_call_answer(c);
	est_call_free(c);
}

static void
too_much(struct est_call *c)
{
	(void)err_set(&c->err, ERR_LIMIT, "too many requests at a time, or the server ends");
	finish(c);
}

static void
run_writing(struct job *job)
{
	(void)job; /* together with all others, at the end of the group */
}

static void
begin_batch(struct job_group *batch)
{
	(void)batch;
}

static void
end_batch(struct job_group *batch, struct job *jobs)
{
	struct est_service *s = CONTAINER_OF(batch, struct est_service, batch);
	struct est_call *calls[JOB_GROUP_MAX];
	size_t n = 0;

	for (struct job *job = jobs; job; job = job->next)
		calls[n++] = CONTAINER_OF(job, struct est_call, writing);
	est_calls_write(calls, n, &s->desk, clock_wall());
}

static void
run_taking(struct job *job)
{
	struct est_call *c = CONTAINER_OF(job, struct est_call, taking);
	const struct est_recipient *to = &c->service->recipient;

	(void)to->take(to->arg, &(struct est_given){ c->label->profile.kind, c->entry->cert, c->label->first_thumbprint }, &c->err);
}

static void
taken(struct job *job)
{
	finish(CONTAINER_OF(job, struct est_call, taking));
}

static void
written(struct job *job)
{
	struct est_call *c = CONTAINER_OF(job, struct est_call, writing);
	const struct est_recipient *to = &c->service->recipient;

	if (!c->entry || !to->work || !c->service->writer) { /* stopped: so is who would take it */
		finish(c);
		return;
	}
	c->taking = (struct job){ .run = run_taking, .done = taken, .owner = job->owner };
	if (!to->work(to->arg, &c->taking))
		too_much(c);
}

static void
run_judging(struct job *job)
{
	struct est_call *c = CONTAINER_OF(job, struct est_call, judging);

	est_call_judge(c, &c->service->desk, clock_wall());
}

static void
judged(struct job *job)
{
	struct est_call *c = CONTAINER_OF(job, struct est_call, judging);
	struct est_service *s = c->service;

	if (!c->entry) {
		finish(c);
		return;
	}
	c->writing = (struct job){ .run = run_writing, .done = written, .owner = job->owner, .group = &s->batch };
	if (!s->writer || !pool_try(s->writer, &c->writing))
		too_much(c);
}

static bool
try_judging(struct est_service *s, struct est_call *c)
{
	struct pool *pool = s->workers;

	if (c->label->issuer->upstream) {
		pthread_mutex_lock(&s->lock);
		pool = s->upstream;
		pthread_mutex_unlock(&s->lock);
	}
	return pool && pool_try(pool, &c->judging);
}

static void
ask(struct est_service *s, struct http_request *req, const struct est_label *label, struct est_config *config_take,
	enum est_ask what)
{
	struct conn *conn = http_conn(req);
	struct est_call *c = est_call_new(s, req, config_take, label, what);

	if (!conn) { /* nobody is there any more */
		est_respond_text(req, 503, NULL, "the connection has gone");
		est_call_free(c);
		return;
	}
	c->judging = (struct job){ .run = run_judging, .done = judged, .owner = loop_owner(conn_loop(conn)) };
	if (!try_judging(s, c))
		too_much(c);
}

static bool
is_pkcs10(const char *type)
{
	static const char wanted[] = "application/pkcs10";
	size_t len = sizeof(wanted) - 1;

	if (!type || strncasecmp(type, wanted, len) != 0)
		return false;
	return type[len] == '\0' || type[len] == ';' || type[len] == ' ';
}

static void
read_ask(struct est_service *s, struct http_request *req, const struct est_label *label, enum est_ask what)
{
	size_t len;

	(void)http_body(req, &len);
	if (len > EST_SERVICE_BODY_MAX)
		est_respond_text(req, 413, NULL, "the body is too large for a request for a certificate");
	else if (is_pkcs10(http_header(req, "Content-Type")))
		ask(s, req, label, current_config(s), what);
	else
		est_respond_text(req, 415, NULL, "the body is a request for a certificate, Content-Type: application/pkcs10");
}

static void
enroll(struct est_service *s, struct http_request *req, const struct est_label *label)
{
	read_ask(s, req, label, EST_ENROLL);
}

static void
renew(struct est_service *s, struct http_request *req, const struct est_label *label)
{
	read_ask(s, req, label, EST_RENEW);
}

static void
make_key(struct est_service *s, struct http_request *req, const struct est_label *label)
{
	if (label->makes_keys)
		read_ask(s, req, label, EST_KEYGEN);
	else
		est_respond_text(req, 501, NULL, "no keys are made under this label");
}

/* -- What anybody may ask ---------------------------------------------------------------------------------------------------------------- */

/* The label is looked for again: the configuration may be another one than this request began with. */
static void
note_holder(struct est_service *s, struct conn *conn, const struct est_label *label, const char *said)
{
	struct est_holding_desk desk = { s->workers, s->desk.store, s->desk.revocation };
	struct est_holding_visit visit = { .peer = conn_peer_chain(conn), .sent = &label->issuer->shown, .said = said };

	if (visit.peer.n == 0)
		return;
	visit.config = current_config(s);
	visit.label = est_config_label(visit.config, label->name);
	if (visit.label) {
		est_holding_note(&desk, &visit, loop_owner(conn_loop(conn)));
		return;
	}
	est_config_free(visit.config);
	certs_clear(&visit.peer);
}

static void
show_cas(struct est_service *s, struct http_request *req, const struct est_label *label)
{
	OWN_TEXT retired = label->issuer->retired ? mem_textf("x-rootedge-retired-roots: %s", label->issuer->retired) : NULL;
	const char *const headers[] = { "Content-Type: application/pkcs7-mime; smime-type=certs-only",
		"Content-Transfer-Encoding: base64", retired, NULL };
	OWN_TEXT said = mem_text(http_header(req, "x-rootedge-roots"));
	struct conn *conn = text_is(said, "none") ? NULL : http_conn(req);
	struct loop *loop = conn ? conn_loop(conn) : NULL;
	uint64_t id = conn ? conn_id(conn) : 0;
	CLEAR(buf) body = BUF_INIT(4 * EST_BODY_MAX);
	struct err err = ERR_INIT;

	if (est_put_certs(&body, &label->issuer->shown, &err) == 0) {
		http_respond(req, 200, headers, body.data, body.len); /* which may be the end of the connection */
		conn = loop ? conn_find(loop, id) : NULL;
		if (conn)
			note_holder(s, conn, label, said);
		return;
	}
	log_error("%s", err.text);
	est_respond_text(req, 500, NULL, err.text);
}

static void
show_attributes(struct est_service *s, struct http_request *req, const struct est_label *label)
{
	static const char *const headers[] = { "Content-Type: application/csrattrs", "Content-Transfer-Encoding: base64", NULL };
	struct est_attributes wish = { .challenge_password = label->demands_linking,
		.has_key = label->announces_key,
		.key = label->key,
		.digest_bits = !label->announces_key	   ? 0
			       : label->key == KEY_ED25519 ? 0
			       : label->key == KEY_EC_P384 ? 384
							   : 256 };
	CLEAR(buf) body = BUF_INIT(EST_BODY_MAX);
	struct err err = ERR_INIT;

	(void)s;
	if (!wish.challenge_password && !wish.has_key)
		http_respond(req, 204, NULL, NULL, 0);
	else if (est_put_attributes(&body, &wish, &err) == 0)
		http_respond(req, 200, headers, body.data, body.len);
	else
		est_respond_text(req, 500, NULL, err.text);
}

static void
not_offered(struct est_service *s, struct http_request *req, const struct est_label *label)
{
	(void)s;
	(void)label;
	est_respond_text(req, 501, NULL, "this operation is not offered");
}

/* -- Paths ------------------------------------------------------------------------------------------------------------------------------- */

static const struct operation {
	const char *name, *method, *allow;
	void (*run)(struct est_service *s, struct http_request *req, const struct est_label *label);
} operations[] = {
	{ "cacerts", "GET", "Allow: GET", show_cas },
	{ "csrattrs", "GET", "Allow: GET", show_attributes },
	{ "simpleenroll", "POST", "Allow: POST", enroll },
	{ "simplereenroll", "POST", "Allow: POST", renew },
	{ "serverkeygen", "POST", "Allow: POST", make_key },
	{ "fullcmc", "POST", "Allow: POST", not_offered },
};

static bool
is_est(const struct http_request *req)
{
	return text_is(http_segment(req, 0), ".well-known") && text_is(http_segment(req, 1), "est");
}

bool
est_service_wants(const struct http_request *req)
{
	return is_est(req) || est_status_wants(req);
}

static const struct operation *
find_operation(const char *name)
{
	for (size_t i = 0; i < COUNT(operations); i++)
		if (text_is(operations[i].name, name))
			return &operations[i];
	return NULL;
}

static void
run(struct est_service *s, struct http_request *req, const struct operation *op, const struct est_label *label)
{
	if (!op)
		est_respond_text(req, 404, NULL, "there is no such operation");
	else if (!label)
		est_respond_text(req, 404, NULL, "there is no such label, or none is needed here");
	else if (!text_is(http_method(req), op->method))
		est_respond_text(req, 405, op->allow, "this operation has another method");
	else
		op->run(s, req, label);
}

static void
show_status(struct est_service *s, struct http_request *req)
{
	est_status_handle(&(struct est_status){ s->desk.revocation, s->workers }, req, current_config(s));
}

void
est_service_handle_plain(struct http_request *req, void *service)
{
	if (est_status_wants(req))
		show_status(service, req);
	else
		est_respond_text(req, 404, NULL, "without TLS there is /crl and /ocsp, nothing else");
}

void
est_service_handle(struct http_request *req, void *service)
{
	struct est_service *s = service;
	OWN(est_config) config = current_config(s);
	size_t n = http_n_segments(req);
	const char *label = n == 4 ? http_segment(req, 2) : "";

	if (est_status_wants(req))
		show_status(s, req);
	else if (!is_est(req) || n < 3 || n > 4 || !label || (n == 4 && !*label))
		est_respond_text(
			req, 404, NULL, "EST is at /.well-known/est, with a label or without one, and an operation after it");
	else
		run(s, req, find_operation(http_segment(req, n - 1)), est_config_label(config, label));
}

/* -- Opening ----------------------------------------------------------------------------------------------------------------------------- */

static size_t
n_workers(size_t wanted)
{
	long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = wanted > 0 ? wanted : n_cores > 0 ? (size_t)n_cores : 1;

	return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static int
open_state(struct est_service *s, const char *dir, struct err *err)
{
	OWN_TEXT store = est_store_path(dir);
	OWN_TEXT journal = est_journal_path(dir);

	s->desk.store = est_store_open(store, err);
	s->desk.journal = s->desk.store ? ca_journal_open(journal, err) : NULL;
	s->desk.revocation = s->desk.journal ? est_revocation_open(dir, s->desk.journal, err) : NULL;
	if (!s->desk.revocation)
		return -1;
	if (est_revocation_refresh(s->desk.revocation, s->config, clock_wall(), err) == 0 || err->kind != ERR_UNAVAILABLE)
		return err->kind == ERR_NONE ? 0 : -1;
	*err = (struct err)ERR_INIT; /* a key that is away comes back: looking again tells of it */
	return 0;
}

/* Before it is the current one. */
static void
provide_upstream(struct est_service *s, const struct est_config *config)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; !s->upstream && i < est_config_n_issuers(config); i++)
		if (est_config_issuer(config, i)->upstream)
			s->upstream = pool_new("est-upstream", UPSTREAM_WORKERS, QUEUE_MAX);
	pthread_mutex_unlock(&s->lock);
}

struct est_service *
est_service_open(const struct est_service_config *config, struct err *err)
{
	struct est_service *s = NEW(est_service);

	pthread_mutex_init(&s->lock, NULL);
	s->config_path = mem_text(config->config_path);
	s->recipient = config->recipient;
	s->loop = config->loop;
	s->batch = (struct job_group){ begin_batch, end_batch };
	s->keys = config->keys;
	s->config = est_config_load(config->config_path, s->keys, err);
	if (!s->config || open_state(s, config->state_dir, err) < 0) {
		est_service_close(s);
		return NULL;
	}
	s->workers = pool_new("est", n_workers(config->n_workers), QUEUE_MAX);
	s->writer = pool_new("est-writer", 1, QUEUE_MAX);
	provide_upstream(s, s->config);
	return s;
}

int
est_service_reload(struct est_service *s, struct err *err)
{
	struct est_config *fresh = est_config_load(s->config_path, s->keys, err), *old;

	if (!fresh)
		return -1;
	provide_upstream(s, fresh);
	pthread_mutex_lock(&s->lock);
	old = s->config;
	s->config = fresh;
	pthread_mutex_unlock(&s->lock);
	est_config_free(old);
	return 0;
}

void
est_service_each_trust_dir(struct est_service *s, void (*each)(void *arg, const char *dir), void *arg)
{
	OWN(est_config) config = current_config(s);

	for (size_t i = 0; i < est_config_n_issuers(config); i++)
		if (est_config_issuer(config, i)->trust_dir)
			each(arg, est_config_issuer(config, i)->trust_dir);
}

/* What comes back to a loop after that finds no writer, and nobody who hears the answer. */
void
est_service_stop(struct est_service *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->config && i < est_config_n_issuers(s->config); i++)
		if (est_config_issuer(s->config, i)->upstream)
			est_upstream_cancel(est_config_issuer(s->config, i)->upstream);
	pool_free(s->upstream);
	s->upstream = NULL;
	pool_free(s->workers);
	s->workers = NULL;
	pool_free(s->writer);
	s->writer = NULL;
}

void
est_service_close(struct est_service *s)
{
	if (!s)
		return;
	est_service_stop(s);
	est_revocation_close(s->desk.revocation);
	ca_journal_close(s->desk.journal);
	est_store_close(s->desk.store);
	est_config_free(s->config);
	pthread_mutex_destroy(&s->lock);
	mem_free(s->config_path);
	mem_free(s);
}
