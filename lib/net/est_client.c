/* SPDX-License-Identifier: Apache-2.0 */
/* EST over our HTTP client.  Requests are written as the oldest servers insist on (lines of 64, a transfer encoding that says so), answers read in every form that servers of the field
 * send; how large they may be is the reader's ceiling (pki/est.h). */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/est_client.h"
#include "pki/est.h"
#include "wire/codec.h"

#define TIMEOUT_MS 20000
#define URL_MAX 4096
#define CREDENTIAL_MAX 1024
#define SHOWN_MAX 160
#define HEADERS_MAX 4
#define RETRY_AFTER_S 60
#define RETRY_AFTER_MAX_S 86400

static char *
url_of(const struct est_client *c, const char *operation)
{
	return mem_textf("%s%s%s", c->url, text_ends(c->url, "/") ? "" : "/", operation);
}

/* "Authorization: Basic ...", or nothing. */
static void
put_authorization(struct buf *out, const struct est_client *c)
{
	struct buf pair = BUF_INIT(CREDENTIAL_MAX);

	if (!c->username)
		return;
	buf_putf(&pair, "%s:%s", c->username, c->password ? c->password : "");
	buf_puts(out, "Authorization: Basic ");
	base64_encode(out, pair.data, pair.len);
	out->failed |= pair.failed;
	buf_wipe(&pair);
}

static struct http_call
call_of(const struct est_client *c, const char *method, const char *url)
{
	return (struct http_call){ .method = method,
		.url = url,
		.anchors = c->anchors,
		.chain = c->chain,
		.key = c->key,
		.timeout_ms = TIMEOUT_MS,
		.max_body = EST_BODY_MAX,
		.cancelled = c->cancelled,
		.session = c->session,
		.connect_to = c->connect_to,
		.who = c->who ? c->who : "certd" };
}

static int
exchange(struct http_answer *answer, const struct est_client *c, struct http_call *call, const struct buf *body, struct err *err)
{
	struct buf authorization = BUF_INIT(4 * CREDENTIAL_MAX);
	const char *headers[HEADERS_MAX + 1] = { 0 };
	OWN_TEXT holds = c->holds ? mem_textf("x-rootedge-roots: %s", c->holds) : NULL;
	size_t n = 0;
	int status;

	put_authorization(&authorization, c);
	if (authorization.len > 0)
		headers[n++] = buf_text(&authorization);
	if (!body && !c->keeps_roots)
		headers[n++] = holds ? holds : "x-rootedge-roots: none";
	if (body) {
		headers[n++] = "Content-Type: application/pkcs10";
		headers[n++] = "Content-Transfer-Encoding: base64";
		call->body = body->data;
		call->body_len = body->len;
	}
	call->headers = headers;
	status = authorization.failed ? err_set(err, ERR_LIMIT, "EST: the user name and password are too long")
				      : http_fetch(answer, call, err);
	buf_wipe(&authorization);
	return status < 0 ? err_wrap(err, "EST") : 0;
}

static int
get(struct http_answer *answer, const struct est_client *c, const char *operation, struct err *err)
{
	OWN_TEXT url = url_of(c, operation);
	struct http_call call = call_of(c, "GET", url);

	return exchange(answer, c, &call, NULL, err);
}

/* The beginning of what the server says, fit to be shown. */
static char *
words_of(const struct http_answer *answer)
{
	char *words = mem_textn((const char *)answer->body.data, answer->body.len < SHOWN_MAX ? answer->body.len : SHOWN_MAX);

	for (char *at = words; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	text_repair_utf8(words);
	return words;
}

static enum err_kind
kind_of(int status)
{
	if (status == 401 || status == 403)
		return ERR_DENIED;
	return status >= 500 || status == 429 || status == 408 ? ERR_UNAVAILABLE : ERR_INVALID;
}

static int
refuse(const struct est_client *c, const char *operation, const struct http_answer *answer, struct err *err)
{
	OWN_TEXT words = answer->body.len > 0 ? words_of(answer) : NULL;

	return err_set(err, kind_of(answer->status), "the EST server %s answers %s with status %d%s%s%s", c->url, operation,
		answer->status,
		answer->status / 100 == 3 ? " (redirections are not followed: configure the place that it names)" : "",
		words ? ": " : "", words ? words : "");
}

static bool
is_type(const char *found, const char *wanted)
{
	OWN_TEXT word = found ? mem_textn(found, strcspn(found, "; \t")) : NULL;

	return text_is_nocase(word, wanted);
}

static int
take_certs(struct certs *out, const struct est_client *c, const char *operation, const struct http_answer *answer, struct err *err)
{
	static const char type[] = "application/pkcs7-mime";

	if (!is_type(answer->content_type, type))
		return err_set(err, ERR_INVALID, "the EST server %s answers %s with %.80s, where %s was expected", c->url,
			operation, answer->content_type ? answer->content_type : "no content type", type);
	if (est_take_certs(out, answer->body.data, answer->body.len, err) < 0)
		return err_wrap(err, "the EST server %s answers %s with what can't be read", c->url, operation);
	return 0;
}

int
est_client_roots(const struct est_client *c, struct certs *out, char **retired, struct err *err)
{
	static const char operation[] = "cacerts";
	CLEAR(http_answer) answer = { 0 };

	if (get(&answer, c, operation, err) < 0)
		return -1;
	if (answer.status != 200)
		return refuse(c, operation, &answer, err);
	*retired = mem_text(answer.retired_roots);
	return take_certs(out, c, operation, &answer, err);
}

int
est_client_cas(const struct est_client *c, struct certs *out, struct err *err)
{
	OWN_TEXT retired = NULL;

	return est_client_roots(c, out, &retired, err);
}

static bool
has_no_such(int status)
{
	return status == 404 || status == 405 || status == 501;
}

int
est_client_attributes(const struct est_client *c, struct est_attributes *out, struct err *err)
{
	static const char operation[] = "csrattrs";
	CLEAR(http_answer) answer = { 0 };

	*out = (struct est_attributes){ 0 };
	if (get(&answer, c, operation, err) < 0)
		return -1;
	if (answer.status == 204 || has_no_such(answer.status))
		return 0;
	if (answer.status != 200)
		return refuse(c, operation, &answer, err);
	return est_take_attributes(out, answer.body.data, answer.body.len, err) < 0
		       ? err_wrap(err, "the EST server %s answers %s with what can't be read", c->url, operation)
		       : 0;
}

char *
est_client_challenge(const struct est_client *c, struct err *err)
{
	OWN_TEXT url = url_of(c, "");
	const struct http_call call = call_of(c, "GET", url);
	uint8_t binding[CONN_BINDING_MAX];
	CLEAR(buf) text = BUF_INIT(4 * CONN_BINDING_MAX);
	size_t len;

	if (http_connect(&call, err) < 0)
		return err_wrap_null(err, "EST");
	len = http_session_binding(c->session, binding);
	if (len == 0)
		return err_null(err, ERR_UNAVAILABLE, "EST: the connection to %s was closed at once", c->url);
	base64_encode(&text, binding, len);
	return buf_take_text(&text);
}

/* In seconds, or as a date by the server's clock. */
static int64_t
wait_of(const struct http_answer *answer)
{
	int64_t now = answer->date >= 0 ? answer->date : clock_wall(), wait = answer->retry_after_s;

	if (wait < 0 && answer->retry_at > now)
		wait = answer->retry_at - now;
	if (wait <= 0)
		return RETRY_AFTER_S;
	return wait < RETRY_AFTER_MAX_S ? wait : RETRY_AFTER_MAX_S;
}

static enum est_outcome
outcome_of(const struct est_client *c, const char *operation, const struct http_answer *answer, struct certs *out,
	int64_t *retry_after_s, struct err *err)
{
	if (answer->status == 200)
		return take_certs(out, c, operation, answer, err) < 0 ? EST_FAILED : EST_ISSUED;
	if (answer->status == 202) {
		*retry_after_s = wait_of(answer);
		err_set(err, ERR_UNAVAILABLE, "the EST server %s has not decided yet and asks to come back in %lld s", c->url,
			(long long)*retry_after_s);
		return EST_PENDING;
	}
	refuse(c, operation, answer, err);
	if (answer->status == 401)
		return EST_UNAUTHENTICATED;
	return has_no_such(answer->status) ? EST_NO_OPERATION : EST_FAILED;
}

enum est_outcome
est_client_enroll(
	const struct est_client *c, const struct est_request *request, struct certs *out, int64_t *retry_after_s, struct err *err)
{
	OWN_TEXT url = url_of(c, request->operation);
	struct http_call call = call_of(c, "POST", url);
	CLEAR(http_answer) answer = { 0 };
	CLEAR(buf) der = BUF_INIT(EST_BODY_MAX);
	CLEAR(buf) body = BUF_INIT(2 * EST_BODY_MAX);

	csr_put_der(request->csr, &der);
	est_put_der(&body, der.data, der.len);
	call.bound = request->is_bound;
	if (exchange(&answer, c, &call, &body, err) < 0)
		return EST_FAILED;
	return outcome_of(c, request->operation, &answer, out, retry_after_s, err);
}
