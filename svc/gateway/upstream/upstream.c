/* SPDX-License-Identifier: Apache-2.0 */
/* The way up.  The gateway's key never comes here, only signatures; a token is made again when half of its life is over. */
#include "gateway/upstream/upstream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "common/service.h"
#include "wire/sas.h"

#define TOKEN_LIFE_S 3600
#define NO_CAUSE (-1)

struct upstream {
	struct upstream_config config;
	struct anchors *anchors;
	struct tls_client *tls;
	pthread_mutex_t making; /* of the token: held while it is signed */
	char *token;
	int64_t expires;
	atomic_int last_cause; /* enum reason, or NO_CAUSE */
	atomic_bool stopping;
};

struct upstream *
upstream_open(const struct upstream_config *config, struct err *err)
{
	struct upstream *u = NEW(upstream);
	CLEAR(certs) roots = { 0 };

	u->config = *config;
	u->last_cause = NO_CAUSE;
	pthread_mutex_init(&u->making, NULL);
	if (certs_load(&roots, config->trust_path, CERTS_MAX, err) == 0)
		u->anchors = anchors_new(&roots, err);
	if (u->anchors)
		u->tls = tls_client_new(&(struct tls_client_config){ .anchors = u->anchors }, err);
	if (u->tls)
		return u;
	upstream_close(u);
	return NULL;
}

void
upstream_close(struct upstream *u)
{
	if (!u)
		return;
	tls_client_free(u->tls);
	anchors_free(u->anchors);
	upstream_token_free(u->token);
	pthread_mutex_destroy(&u->making);
	mem_free(u);
}

const struct upstream_config *
upstream_config(const struct upstream *u)
{
	return &u->config;
}

struct anchors *
upstream_anchors(const struct upstream *u)
{
	return u->anchors;
}

struct tls_client *
upstream_tls(const struct upstream *u)
{
	return u->tls;
}

void
upstream_stop(struct upstream *u)
{
	if (u)
		atomic_store(&u->stopping, true);
}

const atomic_bool *
upstream_stopping(const struct upstream *u)
{
	return &u->stopping;
}

/* -- The token ------------------------------------------------------------------------------------------------------------------------- */

static int
sign(void *arg, const void *data, size_t len, uint8_t out[static DIGEST_SHA256_LEN], struct err *err)
{
	const struct upstream *u = arg;

	return workload_sign(&u->config.workload, data, len, out, err);
}

static int
make_token(struct upstream *u, struct err *err)
{
	OWN_TEXT resource =
		mem_textf("%s/devices/%s/modules/%s", u->config.hub_host, u->config.edge_id, u->config.workload.module_id);
	struct buf text = BUF_INIT(SAS_TOKEN_MAX);
	int64_t expires = clock_wall() + TOKEN_LIFE_S;

	if (sas_format(&text, resource, expires, NULL, sign, u, err) < 0) {
		buf_wipe(&text);
		return -1;
	}
	upstream_token_free(u->token);
	u->token = buf_take_text(&text);
	u->expires = expires;
	return 0;
}

char *
upstream_token(struct upstream *u, int64_t *expires, struct err *err)
{
	char *token = NULL;
	int64_t left;

	pthread_mutex_lock(&u->making);
	left = u->expires - clock_wall(); /* more than its life: the clock was set back */
	if ((u->token && left > TOKEN_LIFE_S / 2 && left <= TOKEN_LIFE_S) || make_token(u, err) == 0) {
		token = mem_text(u->token);
		*expires = u->expires;
	}
	pthread_mutex_unlock(&u->making);
	return token;
}

void
upstream_token_free(char *token)
{
	if (token)
		mem_wipe(token, strlen(token));
	mem_free(token);
}

void
upstream_judged(struct upstream *u, const struct verdict *verdict)
{
	int cause = (int)verdict_cause(verdict);

	if (atomic_exchange(&u->last_cause, cause) != cause)
		service_log_verdict(verdict);
}
