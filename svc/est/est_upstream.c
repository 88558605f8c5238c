/* SPDX-License-Identifier: Apache-2.0 */
/* Asking upstream, and looking at the answer (est_upstream.h). */
#include "est/est_upstream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "common/service.h"
#include "est/est_path.h"
#include "net/est_client.h"
#include "pki/bounds.h"
#include "pki/issued.h"

#define CERTS_SHOWN_MAX 16
#define AHEAD_S 300 /* a clock there may be so much ahead of ours, and an answer takes its time */
#define PASSWORD_MAX (SECRET_MAX - 1)

struct est_upstream {
	char *url, *user, *connect_to;
	struct secret password;
	struct certs own; /* that we show */
	struct key *own_key;
	struct anchors *anchors; /* of its TLS */
	bool renews;		 /* by simplereenroll */
	const struct ca_signer *ca;
	struct ca_elsewhere elsewhere;
	atomic_bool cancelled;
	struct map *asking; /* ids */
	pthread_mutex_t lock;
};

void
est_upstream_free(struct est_upstream *u)
{
	if (!u)
		return;
	mem_free(u->url);
	mem_free(u->user);
	mem_free(u->connect_to);
	secret_clear(&u->password);
	certs_clear(&u->own);
	key_free(u->own_key);
	anchors_free(u->anchors);
	map_free(u->asking);
	pthread_mutex_destroy(&u->lock);
	mem_free(u);
}

/* -- The certificate that came ------------------------------------------------------------------------------------------------------------ */

static bool
is_granted(const struct ca_request *request, const char *name)
{
	bool is = text_is(name, request->requester.id);

	for (size_t i = 0; !is && i < request->requester.n_names; i++)
		is = text_is(name, request->requester.names[i]);
	return is;
}

/* A name that nobody asked for, or may have, would be somebody else's. */
static bool
has_granted_names(const struct cert *cert, const struct ca_request *request)
{
	char *names[ISSUE_NAMES_MAX];
	size_t n = cert_alternative_names(cert, names, ISSUE_NAMES_MAX);
	bool good = n == cert_count_alternative_names(cert);

	for (size_t i = 0; i < n; i++) {
		good = good && is_granted(request, names[i]);
		mem_free(names[i]);
	}
	return good;
}

static enum issued_use
use_of(enum ca_kind kind)
{
	static const enum issued_use uses[] = {
		[CA_DEVICE] = ISSUED_CLIENT, [CA_SERVER] = ISSUED_SERVER, [CA_EDGE_CA] = ISSUED_CA, [CA_BOOTSTRAP] = ISSUED_CLIENT
	};

	return uses[kind];
}

static void
judge_granted(struct verdict *v, const struct cert *cert, const struct ca_request *request, const struct ca_grant *grant,
	const struct cert *ca)
{
	OWN_TEXT names = cert_names(cert);

	if (cert_is_issued_by(cert, ca))
		verdict_pass(v, "issuer", cert_subject(cert), cert_subject(ca), "the same");
	else
		verdict_fail(v, TRUST_UNKNOWN_ISSUER, "issuer", cert_subject(cert), cert_subject(ca), cert_issuer(cert));
	if (has_granted_names(cert, request))
		verdict_pass(v, "alternative names", cert_subject(cert), request->requester.id, names);
	else
		verdict_fail(v, CSR_FOREIGN_NAME, "alternative names", cert_subject(cert), request->requester.id, names);
	bounds_judge_cert(v, cert, grant->profile.kind);
	if (request->profile->kind == CA_EDGE_CA && (cert_path_len(cert) < 0 || cert_path_len(cert) > grant->profile.path_len))
		verdict_fail(v, CSR_ASKS_CA, "CAs below it", cert_subject(cert), "as many as the label gives", "more");
}

/* NULL: it is not what was asked for, and *v says so. */
static struct cert *
take(const struct est_upstream *u, const struct ca_request *request, const struct ca_grant *grant, const struct certs *answer,
	int64_t now, struct verdict *v)
{
	struct certs ca = { .item = ca_signer_chain(u->ca)->item, .n = 1 };
	struct issued_query query = {
		.csr = request->csr, .use = use_of(request->profile->kind), .answer = answer, .cas = &ca, .now = now + AHEAD_S
	};
	OWN(verdict) found = verdict_new("est", "Is this the certificate that was asked for upstream?", request->requester.id);
	CLEAR(certs) chain = { 0 };

	issued_judge(&chain, found, &query);
	if (verdict_accepted(found))
		judge_granted(found, chain.item[0], request, grant, ca.item[0]);
	if (verdict_accepted(found))
		return cert_ref(chain.item[0]);
	service_log_verdict(found);
	verdict_fail(v, EST_UPSTREAM_OTHER, "certificate from upstream", request->requester.id, "what was asked for",
		reason_row(verdict_cause(found))->code);
	return NULL;
}

/* -- Asking ------------------------------------------------------------------------------------------------------------------------------- */

static void
refuse(struct verdict *v, const struct est_upstream *u, const struct err *err)
{
	bool away = err->kind == ERR_UNAVAILABLE || err->kind == ERR_LIMIT;

	verdict_fail(v, away ? EST_UPSTREAM_AWAY : EST_UPSTREAM_REFUSED, "CA upstream",
		cert_subject(ca_signer_chain(u->ca)->item[0]), "a certificate", away ? "no answer" : "a refusal");
}

static struct cert *
obtain(void *arg, const struct ca_request *request, const struct ca_grant *grant, int64_t now, struct verdict *v, struct err *err)
{
	const struct est_upstream *u = arg;
	struct est_client client = { .url = u->url,
		.username = u->user,
		.password = (const char *)u->password.bytes,
		.anchors = u->anchors,
		.chain = u->own.n > 0 ? &u->own : NULL,
		.key = u->own_key,
		.cancelled = &u->cancelled,
		.who = "est",
		.connect_to = u->connect_to };
	struct est_request ask = { .operation = request->renews && u->renews ? "simplereenroll" : "simpleenroll",
		.csr = request->csr };
	CLEAR(certs) answer = { 0 };
	int64_t wait_s = 0;
	enum est_outcome outcome;

	bounds_judge_request(v, request->csr, grant->profile.kind);
	if (!verdict_accepted(v))
		return NULL;
	outcome = est_client_enroll(&client, &ask, &answer, &wait_s, err);
	if (outcome == EST_ISSUED)
		return take(u, request, grant, &answer, now, v);
	if (outcome == EST_PENDING) {
		*err = (struct err)ERR_INIT;
		*request->wait_s = wait_s;
	} else {
		refuse(v, u, err);
	}
	return NULL;
}

const struct ca_elsewhere *
est_upstream_elsewhere(const struct est_upstream *u)
{
	return &u->elsewhere;
}

bool
est_upstream_enter(struct est_upstream *u, const char *id)
{
	bool is_free;

	pthread_mutex_lock(&u->lock);
	is_free = !map_find_text(u->asking, id);
	if (is_free)
		map_put_text(u->asking, id, u);
	pthread_mutex_unlock(&u->lock);
	return is_free;
}

void
est_upstream_leave(struct est_upstream *u, const char *id)
{
	pthread_mutex_lock(&u->lock);
	map_remove_text(u->asking, id);
	pthread_mutex_unlock(&u->lock);
}

void
est_upstream_cancel(struct est_upstream *u)
{
	u->cancelled = true;
}

/* -- Loading ------------------------------------------------------------------------------------------------------------------------------ */

static int
take_place(struct est_upstream *u, const struct toml *table, struct err *err)
{
	const char *url, *connect_to = NULL;

	if (toml_get_text(table, "url", &url, err) < 0 || toml_find_text(table, "connect_to", &connect_to, err) < 0 ||
		toml_find_bool(table, "reenroll", &u->renews, err) < 0)
		return -1;
	if (!text_starts(url, "https://"))
		return toml_err(
			table, err, "url: '%.100s' is no https:// address, such as https://HOST/.well-known/est/LABEL", url);
	u->url = mem_text(url);
	u->connect_to = mem_text(connect_to);
	return 0;
}

static int
take_anchors(struct est_upstream *u, const struct toml *table, struct err *err)
{
	const char *path;
	OWN_TEXT place = NULL;
	CLEAR(certs) roots = { 0 };

	if (toml_get_text(table, "ca", &path, err) < 0)
		return -1;
	place = est_path_place(table, path);
	if (certs_load(&roots, place, CERTS_SHOWN_MAX, err) < 0)
		return -1;
	u->anchors = anchors_new(&roots, err);
	return u->anchors ? 0 : -1;
}

static struct key *
load_key(const struct toml *table, const char *text, const struct cert *cert, struct key_source *keys, struct err *err)
{
	OWN_TEXT place = key_source_is_file(text) ? est_path_place(table, text) : mem_text(text);
	struct err away = ERR_INIT;
	struct key *key;

	if (!keys)
		return key_load(place, err);
	key = key_source_load_late(keys, place, X509_get0_pubkey(cert_x509(cert)), &away, err);
	if (away.kind != ERR_NONE)
		log_warn("%s asks nothing upstream until its key is back: %s", cert_subject(cert), away.text);
	return key;
}

static int
take_own(struct est_upstream *u, const struct toml *table, struct key_source *keys, struct err *err)
{
	const char *key = NULL;
	OWN_TEXT cert = est_path_find(table, "certificate", err);

	if (err->kind != ERR_NONE || toml_find_text(table, "key", &key, err) < 0)
		return -1;
	if (!cert != !key)
		return toml_err(table, err, "certificate and key go together");
	if (!cert)
		return 0;
	if (certs_load(&u->own, cert, CERTS_SHOWN_MAX, err) < 0)
		return -1;
	u->own_key = load_key(table, key, u->own.item[0], keys, err);
	if (!u->own_key)
		return -1;
	return cert_matches_key(u->own.item[0], u->own_key)
		       ? 0
		       : toml_err(table, err, "the key does not belong to %s", cert_subject(u->own.item[0]));
}

/* Its first line. */
static int
load_password(struct secret *out, const char *path, struct err *err)
{
	struct buf text = BUF_INIT(PASSWORD_MAX);
	int done = file_load(&text, path, err);

	if (done == 0)
		secret_set(out, text.data, strcspn(buf_text(&text), "\r\n") + 1);
	if (done == 0)
		out->bytes[out->len - 1] = '\0';
	buf_wipe(&text);
	return done;
}

static int
take_user(struct est_upstream *u, const struct toml *table, struct err *err)
{
	const char *user = NULL;
	OWN_TEXT file = est_path_find(table, "password_file", err);

	if (err->kind != ERR_NONE || toml_find_text(table, "user", &user, err) < 0)
		return -1;
	if (!user != !file)
		return toml_err(table, err, "user and password_file go together");
	if (!user && u->own.n == 0)
		return toml_err(table, err, "who we are there is missing: certificate and key, or user and password_file");
	u->user = mem_text(user);
	return user ? load_password(&u->password, file, err) : 0;
}

struct est_upstream *
est_upstream_load(const struct toml *table, const struct ca_signer *ca, struct key_source *keys, struct err *err)
{
	static const char *const known[] = { "url", "ca", "connect_to", "certificate", "key", "user", "password_file", "reenroll" };
	OWN(est_upstream) u = NEW(est_upstream);

	u->ca = ca;
	u->asking = map_new();
	u->elsewhere = (struct ca_elsewhere){ u, obtain };
	pthread_mutex_init(&u->lock, NULL);
	if (toml_check_keys(table, known, COUNT(known), err) < 0 || take_place(u, table, err) < 0 ||
		take_anchors(u, table, err) < 0 || take_own(u, table, keys, err) < 0 || take_user(u, table, err) < 0)
		return NULL;
	return GIVE(u);
}
