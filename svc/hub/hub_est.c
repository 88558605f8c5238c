/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting the EST server, and what the hub does with what it issues (hub_est.h). */
#include "hub/hub_est.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/codec.h"

struct hub_est {
	struct est_service *service;
	struct registry *registry;
	struct rotation_keeper *rotations;
};

static bool
work(void *arg, struct job *job)
{
	struct hub_est *est = arg;

	return registry_work(est->registry, job);
}

static char *
thumbprint_of(const struct cert *cert)
{
	struct buf hex = BUF_INIT(2 * DIGEST_SHA256_LEN + 1);

	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

/* On the registry's worker.  Of servers, Edge CAs and bootstrap certificates no device is known. */
static int
take(void *arg, const struct est_given *given, struct err *err)
{
	struct hub_est *est = arg;
	const char *id = cert_common_name(given->cert);
	struct rotation_call call = { .renews = true, .may_be_first = given->may_be_first };
	int done = 0;

	if (given->kind != CA_DEVICE || !id || !identity_id_is_valid(id))
		return 0;
	call.device_id = mem_text(id);
	call.thumbprint = thumbprint_of(given->cert);
	rotation_keeper_run_offer(est->rotations, &call);
	if (call.failed) {
		*err = call.err;
		done = err_wrap(err, "the thumbprint of %s", id);
	}
	rotation_call_clear(&call);
	return done;
}

struct hub_est *
hub_est_open(const struct hub_est_config *config, struct err *err)
{
	struct hub_est *est = NEW(hub_est);
	OWN_TEXT dir = file_join(config->state_dir, "est");
	struct est_service_config service = { .state_dir = dir,
		.config_path = config->config_path,
		.keys = config->keys,
		.n_workers = config->n_workers,
		.loop = config->loop,
		.recipient = { est, work, take } };

	est->registry = config->registry;
	est->rotations = config->rotations;
	est->service = file_make_dir(dir, 0700, err) == 0 ? est_service_open(&service, err) : NULL;
	if (est->service) {
		log_info("EST is served at /.well-known/est, by %s", config->config_path);
		return est;
	}
	mem_free(est);
	return NULL;
}

void
hub_est_start(struct hub_est *est)
{
	if (est)
		est_service_start(est->service);
}

struct revocations *
hub_est_revocations(struct hub_est *est)
{
	return est ? est_service_revocations(est->service) : NULL;
}

void
hub_est_each_trust_dir(struct hub_est *est, void (*each)(void *arg, const char *dir), void *arg)
{
	if (est)
		est_service_each_trust_dir(est->service, each, arg);
}

bool
hub_est_serve(struct hub_est *est, struct http_request *req)
{
	if (!est || !est_service_wants(req))
		return false;
	est_service_handle(req, est->service);
	return true;
}

bool
hub_est_serve_plain(struct hub_est *est, struct http_request *req)
{
	if (est)
		est_service_handle_plain(req, est->service);
	return est != NULL;
}

int
hub_est_reload(struct hub_est *est, struct err *err)
{
	return est_service_reload(est->service, err);
}

void
hub_est_stop(struct hub_est *est)
{
	if (est)
		est_service_stop(est->service);
}

void
hub_est_close(struct hub_est *est)
{
	if (!est)
		return;
	est_service_close(est->service);
	mem_free(est);
}
