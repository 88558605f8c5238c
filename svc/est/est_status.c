/* SPDX-License-Identifier: Apache-2.0 */
/* /crl and /ocsp (est_status.h). */
#include "est/est_status.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/ca_crl.h"
#include "est/est_call.h"
#include "wire/codec.h"

#define SUFFIX ".crl"

bool
est_status_wants(const struct http_request *req)
{
	return text_is(http_segment(req, 0), "crl") || text_is(http_segment(req, 0), "ocsp");
}

/* -- Lists ---------------------------------------------------------------------------------------------------------------------------- */

static void
show_list(const struct est_status *status, struct http_request *req)
{
	static const char *const headers[] = { "Content-Type: application/pkix-crl", "Cache-Control: max-age=60", NULL };
	const char *file = http_n_segments(req) == 2 ? http_segment(req, 1) : NULL;
	size_t len = file ? strlen(file) : 0;
	bool is_list = len > sizeof(SUFFIX) - 1 && text_is(file + len - (sizeof(SUFFIX) - 1), SUFFIX);
	OWN_TEXT name = is_list ? mem_textn(file, len - (sizeof(SUFFIX) - 1)) : mem_text("");
	CLEAR(buf) der = BUF_INIT(CA_CRL_MAX_BYTES);

	if (!text_is(http_method(req), "GET"))
		est_respond_text(req, 405, "Allow: GET", "a list can only be fetched");
	else if (est_revocation_list(status->revocation, name, &der))
		http_respond(req, 200, headers, der.data, der.len);
	else
		est_respond_text(req, 404, NULL, "there is no such list: it is called by its issuer, NAME.crl");
}

/* -- OCSP ------------------------------------------------------------------------------------------------------------------------------ */

struct question {
	struct job job;
	struct est_revocation *revocation;
	struct est_config *config;
	struct http_request *req;
	struct buf request, answer;
	struct err err;
};

static void
run(struct job *job)
{
	struct question *q = CONTAINER_OF(job, struct question, job);

	(void)est_revocation_answer(q->revocation, q->config, q->request.data, q->request.len, clock_wall(), &q->answer, &q->err);
}

static void
done(struct job *job)
{
	static const char *const headers[] = { "Content-Type: application/ocsp-response", "Cache-Control: no-cache", NULL };
	struct question *q = CONTAINER_OF(job, struct question, job);

	if (q->err.kind == ERR_NONE) {
		http_respond(q->req, 200, headers, q->answer.data, q->answer.len);
	} else {
		log_error("%s", q->err.text);
		est_respond_text(q->req, 503, NULL, "no answer can be made just now");
	}
	buf_clear(&q->request);
	buf_clear(&q->answer);
	est_config_free(q->config);
	mem_free(q);
}

/* In the path (RFC 6960 A.1), where the base64 may have been encoded or not, so that it is one segment or several; or in the body.  What can't be read gets OCSP's own word for that. */
static void
take_request(struct buf *out, const struct http_request *req)
{
	CLEAR(buf) text = BUF_INIT(2 * OCSP_REQUEST_MAX);
	size_t len;
	const void *body = http_body(req, &len);

	if (text_is(http_method(req), "POST")) {
		buf_put(out, body, len);
		return;
	}
	for (size_t i = 1; i < http_n_segments(req); i++)
		buf_putf(&text, "%s%s", i > 1 ? "/" : "", http_segment(req, i) ? http_segment(req, i) : "!");
	(void)base64_decode(out, buf_text(&text), text.len, BASE64_STRICT);
}

static void
answer(const struct est_status *status, struct http_request *req, struct est_config *config_take)
{
	struct question *q = NEW(question);
	struct conn *conn = http_conn(req);

	*q = (struct question){ .revocation = status->revocation,
		.config = config_take,
		.req = req,
		.request = BUF_INIT(OCSP_REQUEST_MAX),
		.answer = BUF_INIT(OCSP_ANSWER_MAX) };
	take_request(&q->request, req);
	q->job = (struct job){ .run = run, .done = done, .owner = conn ? loop_owner(conn_loop(conn)) : NULL };
	if (!conn || !status->workers || !pool_try(status->workers, &q->job)) {
		(void)err_set(&q->err, ERR_LIMIT, "OCSP: too many requests at a time");
		done(&q->job);
	}
}

void
est_status_handle(const struct est_status *status, struct http_request *req, struct est_config *config_take)
{
	OWN(est_config) config = config_take;
	bool asks = !text_is(http_segment(req, 0), "crl");

	if (!asks)
		show_list(status, req);
	else if (text_is(http_method(req), "POST") || text_is(http_method(req), "GET"))
		answer(status, req, GIVE(config));
	else
		est_respond_text(req, 405, "Allow: GET, POST", "a question is asked by GET or POST");
}
