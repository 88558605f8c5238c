/* SPDX-License-Identifier: Apache-2.0 */
/* The request and its answer.  Of an answer that is not 101 only the status counts, so its body is not waited for.  A proxy hears CONNECT, and no token. */
#include "net/carrier_dial.h"

#include "base/mem.h"
#include "net/http_answer.h"
#include "wire/strand_frame.h"

#define REQUEST_MAX 16384
#define ANSWER_MAX 65536
#define ANSWER_WITHIN_MS 30000

struct carrier_dial {
	struct conn *conn;
	struct carrier_dial_config config;
	struct buf connect, request;
	char *proxy, *host; /* proxy: through which we are not yet; NULL: none, or we are */
	struct tls_client *tls;
	struct http_answer answer;
	struct http_answer_reader reader;
	struct timer timer;
	bool is_untrusted;
};

static void
dial_free(struct carrier_dial *d)
{
	timer_cancel(&d->timer);
	http_answer_reader_clear(&d->reader);
	http_answer_clear(&d->answer);
	buf_wipe(&d->connect); /* they hold a password and a token */
	buf_wipe(&d->request);
	tls_client_free(d->tls);
	mem_free(d->proxy);
	mem_free(d->host);
	mem_free(d);
}

static void
put_request(struct carrier_dial *d)
{
	const struct carrier_dial_config *c = &d->config;

	buf_putf(&d->request,
		"GET %s HTTP/1.1\r\nHost: %s:%d\r\nAuthorization: %s\r\nConnection: Upgrade\r\nUpgrade: " STRAND_PROTOCOL
		"\r\n\r\n",
		c->path, c->target.host, c->target.port, c->authorization);
}

static void
judge(struct carrier_dial *d)
{
	const struct verdict *verdict = conn_verdict(d->conn);

	if (!verdict)
		return;
	d->is_untrusted = !verdict_accepted(verdict);
	if (d->config.ops && d->config.ops->on_verdict)
		d->config.ops->on_verdict(d->config.arg, verdict);
}

static void
ask(struct carrier_dial *d, struct buf *request)
{
	conn_write(d->conn, request->data, request->len);
	buf_wipe(request);
	timer_arm(&d->timer, d->config.answer_within_ms > 0 ? d->config.answer_within_ms : ANSWER_WITHIN_MS);
}

static void
on_open(struct conn *conn)
{
	struct carrier_dial *d = conn_user(conn);

	if (d->proxy) {
		ask(d, &d->connect);
		return;
	}
	judge(d);
	ask(d, &d->request);
}

static void
expect_answer(struct carrier_dial *d, bool is_of_proxy)
{
	http_answer_reader_clear(&d->reader);
	http_answer_clear(&d->answer);
	d->answer = (struct http_answer){ .body = BUF_INIT(ANSWER_MAX) };
	http_answer_begin(&d->reader, &d->answer, is_of_proxy);
	d->reader.upgrades = !is_of_proxy;
}

/* What follows the proxy's yes is the server's, and a server of TLS speaks second. */
static void
on_proxy_answer(struct carrier_dial *d, bool more_follows)
{
	OWN_TEXT refusal = mem_textf("it answers CONNECT with status %d", d->answer.status);
	bool is_early = more_follows || conn_queued(d->conn) > 0;

	if (d->answer.status / 100 != 2 || is_early) {
		conn_abort(d->conn, is_early ? "it answers before it was asked" : refusal);
		return;
	}
	mem_free(d->proxy);
	d->proxy = NULL;
	timer_cancel(&d->timer);
	expect_answer(d, false);
	conn_start_tls(d->conn, d->tls, d->host, ANSWER_WITHIN_MS, d->config.target.has_neighbours);
}

static void
go_up(struct carrier_dial *d)
{
	const struct carrier_dial_ops *ops = d->config.ops;
	void *arg = d->config.arg;
	struct conn_carrier *carrier = conn_carrier_begin(d->conn, &d->config.carrier);

	dial_free(d);
	ops->on_up(arg, carrier);
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct carrier_dial *d = conn_user(conn);
	size_t used;

	http_answer_feed(&d->reader, data, len, &used);
	if (d->proxy && d->reader.state == HTTP_ANSWER_WHOLE)
		on_proxy_answer(d, used < len);
	else if (d->proxy && d->reader.state != HTTP_ANSWER_MORE)
		conn_abort(conn, "its answer is not HTTP");
	else if (d->proxy)
		return used;
	else if (d->answer.status == 101 && d->reader.state == HTTP_ANSWER_WHOLE)
		go_up(d);
	else if (d->answer.status != 0 || d->reader.state != HTTP_ANSWER_MORE)
		conn_abort(conn, d->answer.status != 0 ? "the server does not carry strands" : "the server's answer is not HTTP");
	return used;
}

static void
on_timer(struct timer *timer)
{
	conn_abort(CONTAINER_OF(timer, struct carrier_dial, timer)->conn, "the server does not answer");
}

static void
on_close(struct conn *conn, const char *why)
{
	struct carrier_dial *d = conn_user(conn);
	enum carrier_dial_end end = CARRIER_DIAL_UNREACHABLE;
	OWN_TEXT words = *why ? mem_text(why) : mem_textf("%s closed the connection", d->proxy ? "it" : "the server");
	OWN_TEXT at_proxy = d->proxy ? mem_textf("the proxy %s: %s", d->proxy, words) : NULL;

	if (d->request.len > 0)
		judge(d); /* it has not been open */
	if (d->proxy)
		end = CARRIER_DIAL_NO_TUNNEL;
	else if (d->is_untrusted)
		end = CARRIER_DIAL_UNTRUSTED;
	else if (d->answer.status != 0)
		end = CARRIER_DIAL_REFUSED;
	if (d->config.ops)
		d->config.ops->on_failed(
			d->config.arg, end, end == CARRIER_DIAL_REFUSED ? d->answer.status : 0, at_proxy ? at_proxy : words);
	dial_free(d);
}

static const struct conn_ops conn_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.on_close = on_close,
	.read_max = ANSWER_MAX,
};

/* Where TCP goes. */
static struct conn_target
first_target(struct carrier_dial *d, const struct carrier_dial_config *config)
{
	const struct conn_target *t = &config->target;

	if (!config->proxy)
		return *t;
	d->proxy = mem_textf("%s:%d", config->proxy->host, config->proxy->port);
	d->host = mem_text(t->host);
	d->tls = tls_client_ref(t->tls);
	http_proxy_put_connect(&d->connect, config->proxy, t->connect_to ? t->connect_to : t->host, t->port);
	return (struct conn_target){ .host = config->proxy->host, .port = config->proxy->port, .timeout_ms = t->timeout_ms };
}

struct carrier_dial *
carrier_dial(struct loop *loop, const struct carrier_dial_config *config, struct err *err)
{
	struct carrier_dial *d = NEW(carrier_dial);
	struct conn_target target;

	d->config = *config;
	d->connect = d->request = (struct buf)BUF_INIT(REQUEST_MAX);
	target = first_target(d, config);
	expect_answer(d, d->proxy);
	timer_init(&d->timer, loop, on_timer);
	put_request(d);
	if (d->request.failed || d->connect.failed)
		err_set(err, ERR_LIMIT, "the path or the token is too long");
	else
		d->conn = conn_connect(loop, &target, &conn_ops, d, err);
	if (d->conn)
		return d;
	dial_free(d);
	return NULL;
}

/* The connection ends by itself. */
void
carrier_dial_cancel(struct carrier_dial *d)
{
	d->config.ops = NULL;
	conn_abort(d->conn, "");
}
