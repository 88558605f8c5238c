/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a request for a certificate (est_call.h). */
#include "est/est_call.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/service.h"
#include "pki/bounds.h"
#include "pki/est.h"
#include "wire/codec.h"

#define BATCH_MAX JOB_GROUP_MAX
#define RETRY_S 60
#define RETRY "Retry-After: 60"

struct est_call *
est_call_new(struct est_service *service, struct http_request *req, struct est_config *config_take, const struct est_label *label,
	enum est_ask ask)
{
	struct est_call *c = NEW(est_call);
	struct conn *conn = http_conn(req);

	c->service = service;
	c->req = req;
	c->config = config_take;
	c->label = label;
	c->ask = ask;
	if (conn) {
		c->peer = conn_peer_chain(conn);
		c->binding_len = conn_channel_binding(conn, c->binding);
	}
	return c;
}

void
est_call_free(struct est_call *c)
{
	if (c->has_entered)
		est_upstream_leave(c->label->issuer->upstream, c->claim.id);
	certs_clear(&c->peer);
	verdict_free(c->verdict);
	est_who_clear(&c->who);
	est_claim_clear(&c->claim);
	csr_free(c->csr);
	key_free(c->key);
	ca_entry_free(c->entry);
	est_config_free(c->config);
	mem_free(c);
}

/* -- Judging ------------------------------------------------------------------------------------------------------------------------ */

static void
take_csr(struct est_call *c)
{
	struct err err = ERR_INIT;
	size_t len;
	const void *body = http_body(c->req, &len);

	if (c->ask == EST_KEYGEN) {
		c->key = key_generate(c->label->server_key, &c->err);
		if (!c->key)
			return;
		c->csr = est_take_csr_for(body, len, c->key, &err);
	} else {
		c->csr = est_take_csr(body, len, &err);
	}
	if (!c->csr)
		verdict_fail(
			c->verdict, CSR_MALFORMED, "request", c->who.name, "PKCS #10 in base64, signed by its own key", err.text);
}

/* RFC 7030 4.4.1: who asks for an encrypted key, for a reader that we don't know, gets none at all. */
static void
check_encryption(struct est_call *c)
{
	if (c->ask == EST_KEYGEN && csr_wants_encryption(c->csr))
		verdict_fail(c->verdict, EST_NO_ENCRYPTION, "private key", c->who.name, "inside TLS only",
			"encrypted for a key that is not known");
}

/* What may not be asked for is named with who asks; the profile's own rules come later. */
static void
take_claim(struct est_call *c)
{
	const char *wanted = c->who.may.n == 1 ? c->who.may.item[0] : "one that the requester may have";
	const char *found = csr_common_name(c->csr);

	est_claim_make(&c->claim, c->ask == EST_RENEW ? NULL : &c->who.may, c->csr);
	if (!c->claim.id)
		verdict_fail(c->verdict, CSR_WRONG_NAME, "common name", c->who.name, wanted, found ? found : "none");
}

static void
log_of(struct buf *out, const struct est_call *c)
{
	static const char *const by[] = { [EST_BY_NOBODY] = "nobody",
		[EST_BY_CURRENT] = "certificate",
		[EST_BY_BOOTSTRAP] = "bootstrap certificate",
		[EST_BY_USER] = "user",
		[EST_BY_ONE_TIME] = "one-time password" };

	buf_putf(out, "%s %s at %s", by[c->who.by], c->who.name ? c->who.name : "", http_peer_name(c->req));
}

/* Somebody is asked, once, and of nothing that would not be given anyway.  true: go on. */
static bool
is_approved(struct est_call *c, const struct est_desk *desk, const struct ca_request *request, int64_t now)
{
	struct ca_circumstances around = { c->label->issuer->signer, now, ca_journal_last_issued(desk->journal, now) };
	CLEAR(buf) who = BUF_INIT(1024);
	CLEAR(buf) hex = BUF_INIT(EST_DIGEST_LEN);
	uint8_t wish[DIGEST_SHA256_LEN];
	struct est_waiting waiting;
	struct ca_grant grant;

	if (!ca_policy_decide(c->verdict, &grant, request, &around))
		return false;
	if (c->label->issuer->upstream)
		bounds_judge_request(c->verdict, c->csr, grant.profile.kind);
	ca_grant_clear(&grant);
	if (!verdict_accepted(c->verdict))
		return false;
	log_of(&who, c);
	csr_wish_sha256(c->csr, wish); /* one that is linked to its session is signed anew each time */
	hex_encode(&hex, wish, sizeof(wish), true);
	waiting = (struct est_waiting){
		.label = c->label->name, .requester = c->claim.id, .request = buf_text(&hex), .who = buf_text(&who)
	};
	if (est_store_ask(desk->store, &waiting, now, &c->err) < 0)
		return false;
	c->waiting = waiting.number;
	c->has_to_wait = waiting.state == EST_PENDING;
	c->wait_s = RETRY_S;
	if (waiting.state == EST_DENIED)
		verdict_fail(c->verdict, EST_NOT_APPROVED, "approval", c->claim.id, "approved", "denied");
	return waiting.state == EST_APPROVED || waiting.state == EST_ISSUED;
}

/* What this one would be told when it came after the one that is on its way; and a one-time password that was spent meanwhile, before anything is signed for it. */
static void
enter(struct est_call *c, const struct est_desk *desk)
{
	CLEAR(est_one_time) password = { 0 };
	bool found;

	c->has_entered = est_upstream_enter(c->label->issuer->upstream, c->claim.id);
	if (!c->has_entered)
		verdict_fail(c->verdict, EST_ON_ITS_WAY, "requests for this name", c->claim.id, "one at a time", "another one");
	else if (c->who.one_time[0] && est_store_find_one_time(desk->store, c->who.one_time, &password, &found, &c->err) == 0 &&
		 password.used)
		verdict_fail(c->verdict, EST_ONE_TIME_USED, "one-time password", c->who.name, "unused", "used");
}

static void
prepare(struct est_call *c, const struct est_desk *desk, int64_t now)
{
	const struct est_issuer *issuer = c->label->issuer;
	struct ca_desk ca = { issuer->signer, desk->journal, issuer->upstream ? est_upstream_elsewhere(issuer->upstream) : NULL };
	struct ca_request request = {
		.csr = c->csr,
		.profile = &c->label->profile,
		.requester = { c->claim.id, (const char *const *)c->claim.names, c->claim.n },
		/* Who did not hear the answer asks again, with the same request; with a key that is gone the certificate would be of no use. */
		.once = c->ask != EST_KEYGEN,
		.renews = c->ask == EST_RENEW,
		.wait_s = &c->wait_s,
	};

	if (c->label->demands_approval && !is_approved(c, desk, &request, now))
		return;
	if (issuer->upstream)
		enter(c, desk);
	if (!verdict_accepted(c->verdict) || c->err.kind != ERR_NONE)
		return;
	c->entry = ca_issue_prepare(&ca, &request, now, c->verdict, &c->err);
	c->has_to_wait = !c->entry && verdict_accepted(c->verdict) && c->err.kind == ERR_NONE;
}

/* The same request would get a certificate again that nobody takes any more. */
static void
check_again(struct est_call *c, const struct revocations *revoked)
{
	OWN_TEXT serial = NULL;

	if (!c->entry || c->entry->added != CA_WAS_THERE || !revocations_have(revoked, c->entry->cert))
		return;
	serial = cert_serial(c->entry->cert);
	verdict_fail(c->verdict, CERT_REVOKED, "certificate of this request", cert_subject(c->entry->cert), "not revoked", serial);
	ca_entry_free(c->entry);
	c->entry = NULL;
}

void
est_call_judge(struct est_call *c, const struct est_desk *desk, int64_t now)
{
	OWN(revocations) revoked = est_revocation_current(desk->revocation);
	struct est_visit visit = { c->label, c->ask == EST_RENEW, now, revoked };
	struct est_credentials credentials = { &c->peer, http_header(c->req, "Authorization") };

	c->verdict = verdict_new("est", "May it have this certificate?", http_peer_name(c->req));
	if (est_judge_who(c->verdict, &c->who, &visit, &credentials, desk->store, &c->err) < 0 || !verdict_accepted(c->verdict))
		return;
	take_csr(c);
	if (!c->csr)
		return;
	check_encryption(c);
	est_judge_linking(c->verdict, c->label, c->csr, c->binding, c->binding_len);
	if (c->ask == EST_RENEW)
		est_judge_names(c->verdict, c->csr, c->peer.item[0]);
	take_claim(c);
	if (!verdict_accepted(c->verdict))
		return;
	c->is_known = true;
	prepare(c, desk, now);
	check_again(c, revoked);
}

/* -- Writing ------------------------------------------------------------------------------------------------------------------------ */

static void
drop(struct est_call *c, const struct err *err)
{
	if (err)
		c->err = *err;
	ca_entry_free(c->entry);
	c->entry = NULL;
}

static void
drop_all(struct est_call *const *calls, size_t n, const struct err *err)
{
	for (size_t i = 0; i < n; i++)
		drop(calls[i], err);
}

/* false: all are dropped. */
static bool
spend(struct est_call *const *calls, size_t n, const struct est_desk *desk, int64_t now)
{
	struct est_spending *list[BATCH_MAX];
	struct err err = ERR_INIT;
	size_t n_spent = 0;

	for (size_t i = 0; i < n; i++) {
		calls[i]->spending.digest = calls[i]->who.one_time;
		if (calls[i]->who.one_time[0])
			list[n_spent++] = &calls[i]->spending;
	}
	if (n_spent > 0 && est_store_spend(desk->store, list, n_spent, now, &err) < 0) {
		drop_all(calls, n, &err);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		if (calls[i]->who.one_time[0] && !calls[i]->spending.got) {
			verdict_fail(
				calls[i]->verdict, EST_ONE_TIME_USED, "one-time password", calls[i]->who.name, "unused", "used");
			drop(calls[i], NULL);
		}
	return true;
}

static void
add(struct est_call *const *calls, size_t n, const struct est_desk *desk)
{
	struct ca_entry *entries[BATCH_MAX];
	struct err err = ERR_INIT;
	size_t n_new = 0;

	for (size_t i = 0; i < n; i++)
		if (calls[i]->entry && calls[i]->entry->added != CA_WAS_THERE)
			entries[n_new++] = calls[i]->entry;
	if (n_new > 0 && ca_journal_add(desk->journal, entries, n_new, &err) < 0)
		drop_all(calls, n, &err);
	for (size_t i = 0; i < n; i++)
		if (calls[i]->entry && !ca_issue_settle(calls[i]->entry, calls[i]->verdict))
			drop(calls[i], NULL);
}

void
est_calls_write(struct est_call *const *calls, size_t n, const struct est_desk *desk, int64_t now)
{
	struct err err = ERR_INIT;

	if (!spend(calls, n, desk, now))
		return;
	add(calls, n, desk);
	for (size_t i = 0; i < n; i++)
		if (calls[i]->entry && calls[i]->waiting && est_store_settle(desk->store, calls[i]->waiting, &err) < 0)
			log_warn("request %lld is issued, and still shown as approved: %s", (long long)calls[i]->waiting, err.text);
}

/* -- Answering ---------------------------------------------------------------------------------------------------------------------- */

void
est_respond_text(struct http_request *req, int status, const char *header, const char *text)
{
	const char *headers[] = { "Content-Type: text/plain; charset=utf-8", "Cache-Control: no-store", header, NULL };
	OWN_TEXT line = mem_textf("%s\n", text);

	http_respond(req, status, headers, line, strlen(line));
}

static int
status_of(const struct est_call *c)
{
	static const struct {
		enum reason reason;
		int status;
	} rows[] = {
		{ EST_WRONG_PASSWORD, 401 },
		{ EST_ONE_TIME_USED, 401 },
		{ CSR_MALFORMED, 400 },
		{ CSR_WEAK_SIGNATURE, 400 },
		{ CSR_KEY_REFUSED, 400 },
		{ EST_NOT_LINKED, 400 },
		{ EST_NO_ENCRYPTION, 400 },
		{ EST_ON_ITS_WAY, 503 },
		{ EST_UPSTREAM_AWAY, 503 },
		{ EST_UPSTREAM_REFUSED, 502 },
		{ EST_UPSTREAM_OTHER, 502 },
	};
	enum reason cause = verdict_cause(c->verdict);

	if (cause == EST_NO_CREDENTIALS)
		return c->label->takes_passwords && c->ask != EST_RENEW ? 401 : 403;
	/* The requester is who he says: it is our CA that is not in its time. */
	if (c->is_known && ca_issue_is_later(c->verdict))
		return 503;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (rows[i].reason == cause)
			return rows[i].status;
	return 403;
}

static void
answer_refused(struct est_call *c)
{
	OWN_TEXT sentence = verdict_sentence(c->verdict);
	int status = status_of(c);

	service_log_verdict(c->verdict);
	est_respond_text(c->req, status,
		status == 401	? "WWW-Authenticate: Basic realm=\"EST\", charset=\"UTF-8\""
		: status == 503 ? RETRY
				: NULL,
		sentence);
}

/* The certificate alone (RFC 7030 4.2.3).  The parameter of the type is what the RFC says, the encoding is what old clients insist on. */
#define TYPE_CERTS "Content-Type: application/pkcs7-mime; smime-type=certs-only"
#define ENCODING "Content-Transfer-Encoding: base64"
#define BETWEEN "est-part" /* "-" is in no base64 */

/* RFC 7030 4.4.2: the key, then its certificate. */
static int
put_with_key(struct buf *out, const struct certs *one, const struct key *key, struct err *err)
{
	buf_puts(out, "--" BETWEEN "\r\nContent-Type: application/pkcs8\r\n" ENCODING "\r\n\r\n");
	if (est_put_key(out, key, err) < 0)
		return -1;
	buf_puts(out, "\r\n--" BETWEEN "\r\n" TYPE_CERTS "\r\n" ENCODING "\r\n\r\n");
	if (est_put_certs(out, one, err) < 0)
		return -1;
	buf_puts(out, "\r\n--" BETWEEN "--\r\n");
	return 0;
}

static int
put_answer(struct buf *out, struct est_call *c)
{
	struct certs one = { .item = &c->entry->cert, .n = 1 };

	return c->key ? put_with_key(out, &one, c->key, &c->err) : est_put_certs(out, &one, &c->err);
}

static void
answer_issued(struct est_call *c)
{
	static const char *const alone[] = { TYPE_CERTS, ENCODING, "Cache-Control: no-store", NULL };
	static const char *const with_key[] = { "Content-Type: multipart/mixed; boundary=" BETWEEN, "Cache-Control: no-store",
		NULL };
	CLEAR(buf) body = BUF_INIT(2 * EST_BODY_MAX);
	CLEAR(buf) who = BUF_INIT(1024);
	OWN_TEXT serial = cert_serial(c->entry->cert);

	if (put_answer(&body, c) < 0) {
		buf_wipe(&body);
		log_error("%s", c->err.text);
		est_respond_text(c->req, 500, NULL, "the certificate can't be told");
		return;
	}
	log_of(&who, c);
	service_log_verdict(c->verdict);
	log_info("%s %s under %s, serial number %s, for %s", cert_subject(c->entry->cert),
		c->entry->added == CA_WAS_THERE ? "is given once more"
		: c->ask == EST_RENEW		? "is renewed"
		: c->ask == EST_KEYGEN		? "is issued with its key"
						: "is issued",
		c->label->profile.name, serial, buf_text(&who));
	http_respond(c->req, 200, c->key ? with_key : alone, body.data, body.len);
	buf_wipe(&body);
}

static void
answer_later(struct est_call *c)
{
	OWN_TEXT after = mem_textf("Retry-After: %lld", (long long)c->wait_s);

	if (!c->has_entered)
		log_info(
			"request %lld waits for approval: rootedge est approve %lld", (long long)c->waiting, (long long)c->waiting);
	else
		log_info("%s waits for the CA upstream", c->claim.id);
	est_respond_text(c->req, 202, after, "somebody has to approve it first: send the same request again later");
}

void
est_call_answer(struct est_call *c)
{
	bool refused = c->verdict && !verdict_accepted(c->verdict);

	if (c->err.kind != ERR_NONE)
		log_error("no certificate for %s: %s", http_peer_name(c->req), c->err.text);
	if (c->err.kind != ERR_NONE && !refused) {
		est_respond_text(c->req, 503, RETRY,
			c->err.kind == ERR_LIMIT ? c->err.text
						 : "no certificate can be issued just now, the server's log says why");
	} else if (refused) {
		answer_refused(c);
	} else if (c->has_to_wait) {
		answer_later(c);
	} else {
		answer_issued(c);
	}
}
