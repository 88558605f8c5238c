/* SPDX-License-Identifier: Apache-2.0 */
/* The way up.  The gateway's key never comes here, only signatures; a token is made again when half of its life is over. */
#include "gateway/upstream/upstream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "common/service.h"
#include "pki/root_line.h"
#include "wire/sas.h"

#define TOKEN_LIFE_S 3600
#define NO_CAUSE (-1)

/* What the hub is judged by.  Who connects borrows it for as long as that takes, so those before are kept: there are as many as steps of root rollovers. */
struct trusted {
	struct anchors *anchors;
	struct tls_client *tls;
	struct trusted *before;
};

struct upstream {
	struct upstream_config config;
	struct trusted *_Atomic trusted;
	struct file_version trust_version, line_version;
	pthread_mutex_t making; /* of the token: held while it is signed */
	char *token;
	int64_t expires;
	atomic_int last_cause; /* enum reason, or NO_CAUSE */
	atomic_bool stopping;
};

/* -- Roots ----------------------------------------------------------------------------------------------------------------------------- */

static void
trusted_free(struct trusted *t)
{
	while (t) {
		struct trusted *before = t->before;

		tls_client_free(t->tls);
		anchors_free(t->anchors);
		mem_free(t);
		t = before;
	}
}

static int
load_roots(struct upstream *u, struct err *err)
{
	struct trusted *next = NEW(trusted);
	CLEAR(certs) roots = { 0 };

	u->trust_version = file_version(u->config.trust_path);
	if (u->config.line_path)
		u->line_version = file_version(u->config.line_path);
	if (root_line_load_roots(&roots, u->config.trust_path, u->config.line_path, CERTS_MAX, err) == 0)
		next->anchors = anchors_new(&roots, err);
	if (next->anchors)
		next->tls = tls_client_new(&(struct tls_client_config){ .who = "gateway", .anchors = next->anchors }, err);
	if (!next->tls) {
		trusted_free(next);
		if (err->kind != ERR_INVALID && err->kind != ERR_BROKEN) /* those are said once */
			u->trust_version = u->line_version = (struct file_version){ 0 };
		return -1;
	}
	next->before = atomic_load(&u->trusted);
	atomic_store(&u->trusted, next);
	return 0;
}

static bool
is_another(const char *path, const struct file_version *before)
{
	struct file_version now = { 0 };

	if (path)
		now = file_version(path);
	return now.inode != 0 && !file_version_is(&now, before);
}

bool
upstream_follow_roots(struct upstream *u)
{
	struct err err = ERR_INIT;

	if (!is_another(u->config.trust_path, &u->trust_version) && !is_another(u->config.line_path, &u->line_version))
		return false;
	if (load_roots(u, &err) == 0)
		return true;
	log_error("the roots that the hub is trusted by stay: %s", err.text);
	return false;
}

/* -- Life ------------------------------------------------------------------------------------------------------------------------------ */

struct upstream *
upstream_open(const struct upstream_config *config, struct err *err)
{
	struct upstream *u = NEW(upstream);

	u->config = *config;
	u->last_cause = NO_CAUSE;
	pthread_mutex_init(&u->making, NULL);
	if (load_roots(u, err) == 0)
		return u;
	upstream_close(u);
	return NULL;
}

void
upstream_close(struct upstream *u)
{
	if (!u)
		return;
	trusted_free(atomic_load(&u->trusted));
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
	return atomic_load(&u->trusted)->anchors;
}

struct tls_client *
upstream_tls(const struct upstream *u)
{
	return atomic_load(&u->trusted)->tls;
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
