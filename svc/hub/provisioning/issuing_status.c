/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and answers of the issuing CA (issuing_status.h), made as those of an EST server's issuer. */
#include "hub/provisioning/issuing_status.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "est/est_status.h"

#define NAME "issuing"
#define OCSP_PATH "ocsp-" NAME
#define LOOK_MS 1000
#define QUEUE_MAX 256

struct issuing_status {
	struct loop *loop;
	struct est_revocation *revocation;
	struct est_config *config;
	struct pool *worker;
	struct timer timer;
	struct job looking;
	bool is_looking;
	struct err said; /* of the last look */
};

static void
tell(struct issuing_status *s, const struct err *err)
{
	if (!text_is(s->said.text, err->text) && err->kind != ERR_NONE)
		log_error("the revocation list of the issuing CA: %s", err->text);
	s->said = *err;
}

static void
run(struct job *job)
{
	struct issuing_status *s = CONTAINER_OF(job, struct issuing_status, looking);
	struct err err = ERR_INIT;

	(void)est_revocation_refresh(s->revocation, s->config, clock_wall(), &err);
	tell(s, &err);
}

static void
looked(struct job *job)
{
	struct issuing_status *s = CONTAINER_OF(job, struct issuing_status, looking);

	s->is_looking = false;
}

static void
look(struct timer *timer)
{
	struct issuing_status *s = CONTAINER_OF(timer, struct issuing_status, timer);

	if (!s->is_looking && s->worker) {
		s->looking = (struct job){ .run = run, .done = looked, .owner = loop_owner(s->loop) };
		s->is_looking = pool_try(s->worker, &s->looking);
	}
	timer_arm(&s->timer, LOOK_MS);
}

struct issuing_status *
issuing_status_open(const struct issuing_status_config *config, struct err *err)
{
	struct issuing_status *s = NEW(issuing_status);
	OWN_TEXT dir = file_join(config->state_dir, "ca");

	s->loop = config->loop;
	s->config = est_config_of_signer(NAME, config->issuing->signer);
	s->revocation = est_revocation_open(dir, config->issuing->journal, err);
	if (!s->revocation) {
		issuing_status_close(s);
		return NULL;
	}
	s->worker = pool_new("issuing-status", 1, QUEUE_MAX);
	return s;
}

void
issuing_status_start(struct issuing_status *s)
{
	if (!s)
		return;
	timer_init(&s->timer, s->loop, look);
	timer_arm(&s->timer, 1);
}

static bool
wants(const struct http_request *req)
{
	return text_is(http_segment(req, 0), OCSP_PATH) ||
	       (text_is(http_segment(req, 0), "crl") && text_is(http_segment(req, 1), NAME ".crl"));
}

bool
issuing_status_serve(struct issuing_status *s, struct http_request *req)
{
	if (!s || !wants(req))
		return false;
	est_status_handle(&(struct est_status){ s->revocation, s->worker }, req, est_config_ref(s->config));
	return true;
}

void
issuing_status_stop(struct issuing_status *s)
{
	if (!s)
		return;
	pool_free(s->worker);
	s->worker = NULL;
}

void
issuing_status_close(struct issuing_status *s)
{
	if (!s)
		return;
	issuing_status_stop(s);
	est_revocation_close(s->revocation);
	est_config_free(s->config);
	mem_free(s);
}
