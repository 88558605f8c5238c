/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP exchange on a connection of ours, awaited on a loop that each calling thread has for this.  Over https the server is judged inside the handshake, before a byte of
 * the request leaves.  Connections to unix sockets are kept, and used again by their thread: signatures by keyd go this way.  So are those over https of a client that
 * calls share; those of a session are kept by it.
 *
 * A connection (struct link) may outlive its exchange: kept, or because a worker still has its handshake when the time is over. */
#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/conn_inside.h"
#include "net/http_answer.h"
#include "net/http_proxy.h"
#include "wire/json.h"
#include "wire/uri.h"

#define MAX_BODY (4 * 1024 * 1024)
#define TIMEOUT_MS 30000
#define LOOK_MS 200	      /* between two looks at `cancelled` */
#define IDLE_MAX_MS 60000     /* shorter than any of our servers keeps an idle connection */
#define HEAD_MAX (256 * 1024) /* of a request */
#define WRITE_MAX (64 * 1024 * 1024)

struct exchange;

struct link {
	struct conn *conn;
	char *place;		      /* what it may be used again for; NULL: for nothing, or by its session */
	struct tls_client *tls;	      /* whose it is; NULL: of that call alone */
	struct exchange *exchange;    /* NULL: kept, or left */
	struct http_session *session; /* whose it is while it is kept */
	struct link *next;	      /* of those kept */
	int64_t kept_at_ms;
	bool used; /* for an exchange before this one */
};

struct http_session {
	struct link *link; /* NULL: none, or it was closed */
};

/* What a thread has. */
struct caller {
	struct loop *loop;
	struct link *kept;
};

struct exchange {
	const struct http_call *call;
	struct http_answer *answer, proxy_answer;
	struct uri *uri;
	struct http_proxy *proxy;
	struct tls_client *tls; /* NULL until it is needed */
	char *place;		/* NULL: a connection of its own, or of its session */
	struct link *link;	/* NULL: closed */
	struct http_answer_reader reader;
	struct timer timer;
	int64_t deadline_ms;
	struct err trouble;
	bool connecting; /* to the proxy, and through it */
	bool only_connects;
	bool heard; /* anything */
	bool done, again;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t caller_key; /* for its destructor; the pointer itself is in `own` */
static __thread struct caller *own;

static void
free_caller(void *arg)
{
	struct caller *caller = arg;

	own = caller; /* closing links looks for it */
	loop_free(caller->loop);
	own = NULL;
	mem_free(caller);
}

static void
make_key(void)
{
	pthread_key_create(&caller_key, free_caller);
}

static struct caller *
caller_get(void)
{
	pthread_once(&once, make_key);
	if (own)
		return own;
	own = NEW(caller);
	own->loop = loop_new("http");
	pthread_setspecific(caller_key, own);
	return own;
}

/* -- How it ends ----------------------------------------------------------------------------------------------------------------------- */

static const char *
where(const struct http_call *call)
{
	return call->unix_path ? call->unix_path : call->url;
}

/* How much of it an error may show: behind the question mark may be a key. */
static int
shown(const char *where)
{
	return (int)strcspn(where, "?");
}

static int64_t
timeout_ms(const struct http_call *call)
{
	return call->timeout_ms > 0 ? call->timeout_ms : TIMEOUT_MS;
}

/* What is left of the time for a handshake. */
static int64_t
connect_ms(const struct exchange *x)
{
	int64_t left = x->deadline_ms - clock_boot_ms();

	return x->call->connect_ms > 0 && x->call->connect_ms < left ? x->call->connect_ms : left;
}

static void
finish(struct exchange *x)
{
	x->done = true;
	timer_cancel(&x->timer);
}

static void
fail(struct exchange *x, enum err_kind kind, const char *why)
{
	err_set(&x->trouble, kind, "%s %.*s: %s", x->call->method, shown(where(x->call)), where(x->call), why);
	finish(x);
}

static void
fail_at_proxy(struct exchange *x, const char *why)
{
	OWN_TEXT words = mem_textf("the proxy %s:%d: %s", x->proxy->host, x->proxy->port, why);

	fail(x, ERR_UNAVAILABLE, words);
}

static void
on_timer(struct timer *timer)
{
	struct exchange *x = CONTAINER_OF(timer, struct exchange, timer);
	int64_t left = x->deadline_ms - clock_boot_ms();

	if (x->call->cancelled && atomic_load_explicit(x->call->cancelled, memory_order_relaxed))
		fail(x, ERR_UNAVAILABLE, "the answer is not needed any more");
	else if (left <= 0)
		fail(x, ERR_UNAVAILABLE, "no answer in time");
	else
		timer_arm(timer, x->call->cancelled && left > LOOK_MS ? LOOK_MS : left);
}

/* -- The request ----------------------------------------------------------------------------------------------------------------------- */

static bool
sends(const struct http_call *call)
{
	/* A POST without a body says so: some servers insist on the length. */
	return call->body || text_is(call->method, "POST") || text_is(call->method, "PUT") || text_is(call->method, "PATCH");
}

static void
put_host(struct buf *out, const char *host, int port)
{
	buf_putf(out, strchr(host, ':') ? "[%s]" : "%s", host);
	if (port)
		buf_putf(out, ":%d", port);
}

static void
write_request(struct exchange *x, struct conn *conn)
{
	const struct http_call *call = x->call;
	bool usual_port = x->uri->port == (call->unix_path ? 80 : 443);
	struct buf head = BUF_INIT(HEAD_MAX);

	buf_putf(&head, "%s %s HTTP/1.1\r\nHost: ", call->method, x->uri->path);
	put_host(&head, x->uri->host, usual_port ? 0 : x->uri->port);
	buf_puts(&head, "\r\n");
	for (size_t i = 0; call->headers && call->headers[i]; i++)
		buf_putf(&head, "%s\r\n", call->headers[i]);
	if (sends(call))
		buf_putf(&head, "Content-Length: %zu\r\n", call->body ? call->body_len : 0);
	buf_puts(&head, "\r\n");
	http_answer_begin(&x->reader, x->answer, text_is(call->method, "HEAD"));
	x->reader.on_body = call->on_body;
	x->reader.arg = call->arg;
	if (head.failed || call->body_len > WRITE_MAX - HEAD_MAX)
		fail(x, ERR_LIMIT, "the request is too large");
	else
		conn_write(conn, head.data, head.len);
	if (!x->done && call->body)
		conn_write(conn, call->body, call->body_len);
	buf_wipe(&head);
}

static const char *
target_host(const struct exchange *x)
{
	return x->call->connect_to ? x->call->connect_to : x->uri->host;
}

static void
write_connect(struct exchange *x, struct conn *conn)
{
	struct buf head = BUF_INIT(HEAD_MAX);

	http_proxy_put_connect(&head, x->proxy, target_host(x), x->uri->port);
	http_answer_begin(&x->reader, &x->proxy_answer, true);
	conn_write(conn, head.data, head.len);
	buf_wipe(&head);
}

/* -- The connection -------------------------------------------------------------------------------------------------------------------- */

static void
take_verdict(struct exchange *x, struct conn *conn)
{
	if (!conn->verdict)
		return;
	verdict_free(x->answer->verdict);
	x->answer->verdict = GIVE(conn->verdict);
}

static void
on_open(struct conn *conn)
{
	struct link *link = conn_user(conn);
	struct exchange *x = link->exchange;

	if (!x || x->done)
		return;
	if (x->connecting) {
		write_connect(x, conn);
		return;
	}
	take_verdict(x, conn);
	if (x->only_connects)
		finish(x);
	else
		write_request(x, conn);
}

/* What follows the proxy's yes is the server's, and a server of TLS speaks second. */
static void
on_proxy_answer(struct exchange *x, struct conn *conn, bool more_follows)
{
	OWN_TEXT refusal = mem_textf("it answers CONNECT with status %d", x->proxy_answer.status);

	if (x->proxy_answer.status / 100 != 2) {
		fail_at_proxy(x, refusal);
	} else if (more_follows || conn_queued(conn) > 0) {
		fail_at_proxy(x, "it answers before it was asked");
	} else {
		x->connecting = x->heard = false; /* of the server */
		http_answer_reader_clear(&x->reader);
		conn_start_tls(conn, x->tls, x->uri->host, connect_ms(x), false);
	}
}

static size_t
on_data(struct conn *conn, const uint8_t *data, size_t len)
{
	struct link *link = conn_user(conn);
	struct exchange *x = link->exchange;
	enum http_answer_state state;
	size_t used;

	if (!x || x->done)
		return CONN_BAD; /* nobody asked */
	x->heard = true;
	if (x->call->on_body && x->answer->status / 100 == 2)
		x->deadline_ms = clock_boot_ms() + timeout_ms(x->call);
	state = http_answer_feed(&x->reader, data, len, &used);
	if (state == HTTP_ANSWER_TOO_LARGE)
		fail(x, ERR_LIMIT, "the answer is larger than what is accepted");
	else if (state == HTTP_ANSWER_BROKEN)
		fail(x, ERR_UNAVAILABLE, "the answer is not HTTP/1.1");
	else if (state == HTTP_ANSWER_WHOLE && x->connecting)
		on_proxy_answer(x, conn, used < len);
	else if (state == HTTP_ANSWER_WHOLE)
		finish(x);
	x->reader.keep_alive = x->reader.keep_alive && used == len;
	return len;
}

static void
on_lost(struct exchange *x, const char *why)
{
	const struct verdict *v = x->answer->verdict;

	if (v && !verdict_accepted(v)) {
		OWN_TEXT sentence = verdict_sentence(v);

		fail(x, ERR_DENIED, sentence);
	} else if (x->connecting) {
		fail_at_proxy(x, *why ? why : "it closed the connection");
	} else if (*why) {
		fail(x, ERR_UNAVAILABLE, why);
	} else if (x->heard && http_answer_end(&x->reader) == HTTP_ANSWER_WHOLE) {
		finish(x);
	} else {
		fail(x, ERR_UNAVAILABLE, x->heard ? "the answer ends too early" : "the connection was closed without an answer");
	}
}

static void
free_link(struct link *link)
{
	struct link **at = &own->kept;

	while (*at && *at != link)
		at = &(*at)->next;
	if (*at)
		*at = link->next;
	if (link->session)
		link->session->link = NULL;
	mem_free(link->place);
	tls_client_free(link->tls);
	mem_free(link);
}

static void
on_close(struct conn *conn, const char *why)
{
	struct link *link = conn_user(conn);
	struct exchange *x = link->exchange;

	if (x && !x->done) {
		take_verdict(x, conn);
		x->again = link->used && !x->heard; /* it was closed as the request went out */
		if (x->again)
			finish(x);
		else
			on_lost(x, why);
	}
	if (x)
		x->link = NULL;
	free_link(link);
}

static const struct conn_ops ops = {
	.on_open = on_open,
	.on_data = on_data,
	.on_close = on_close,
	.read_max = LOOP_READ_LEN,
	.write_high = WRITE_MAX, /* an answer may come before all of the request has left */
	.write_max = WRITE_MAX,
};

/* -- Links ----------------------------------------------------------------------------------------------------------------------------- */

static bool
is_old(const struct link *link)
{
	return clock_boot_ms() - link->kept_at_ms > IDLE_MAX_MS;
}

/* A request must not go out on a connection that was closed meanwhile, nor be answered by what came before it. */
static bool
is_fresh(const struct link *link)
{
	char byte;

	return !is_old(link) && recv(link->conn->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Over https what came meanwhile is looked at first: the server's tickets, or that it has closed.  What nobody has wanted for long goes: its client may be there no more. */
static struct link *
take_kept(struct caller *caller, const struct exchange *x)
{
	if (!x->call->unix_path)
		loop_run_once(caller->loop);
	for (struct link **at = &caller->kept; *at;) {
		struct link *link = *at;
		bool is_it = text_is(link->place, x->place) && link->tls == x->call->tls;

		if (!is_it && !is_old(link)) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		if (is_it && is_fresh(link))
			return link;
		conn_abort(link->conn, "");
		if (is_it)
			return NULL;
	}
	return NULL;
}

static struct link *
take_of_session(struct caller *caller, struct http_session *session)
{
	struct link *link;

	loop_run_once(caller->loop);
	link = session->link;
	if (!link)
		return NULL;
	session->link = NULL;
	link->session = NULL;
	return link;
}

static int
make_tls(struct exchange *x, struct err *err)
{
	const struct http_call *call = x->call;

	if (call->unix_path || x->tls)
		return 0;
	x->tls = call->tls ? tls_client_ref(call->tls)
			   : tls_client_new(&(struct tls_client_config){ .anchors = call->anchors,
						    .chain = call->chain,
						    .key = (struct key *)(uintptr_t)call->key,
						    .who = call->who },
				     err);
	return x->tls ? 0 : -1;
}

static struct link *
connect_link(struct exchange *x, struct loop *loop)
{
	struct err err = ERR_INIT;
	int prepared = make_tls(x, &err);
	struct conn_target target = {
		.host = x->proxy ? x->proxy->host : x->uri->host,
		.connect_to = x->proxy ? NULL : x->call->connect_to,
		.port = x->proxy ? x->proxy->port : x->uri->port,
		.unix_path = x->call->unix_path,
		.tls = x->proxy ? NULL : x->tls,
		.timeout_ms = connect_ms(x),
	};
	struct link *link;

	if (prepared < 0) {
		fail(x, err.kind, err.text);
		return NULL;
	}
	link = NEW(link);
	link->place = mem_text(x->place);
	link->tls = tls_client_ref(x->call->tls);
	link->exchange = x;
	link->conn = conn_connect(loop, &target, &ops, link, &err);
	if (link->conn)
		return link;
	fail(x, err.kind == ERR_LIMIT ? ERR_LIMIT : ERR_UNAVAILABLE, err.text);
	free_link(link);
	return NULL;
}

static void
keep_link(struct caller *caller, struct link *link)
{
	link->kept_at_ms = clock_boot_ms();
	link->used = true;
	link->next = caller->kept;
	caller->kept = link;
}

static void
keep_for_session(struct http_session *session, struct link *link)
{
	link->used = true;
	link->session = session;
	session->link = link;
}

/* Keep it, or close it; what does not close now does when the thread's next exchange runs the loop. */
static void
leave_link(struct caller *caller, struct exchange *x)
{
	struct link *link = x->link;
	bool went_well;

	if (!link)
		return;
	/* An answer that came before all of the request had left: the rest is not worth waiting for. */
	went_well = x->trouble.kind == ERR_NONE && conn_queued(link->conn) == 0;
	link->exchange = NULL;
	x->link = NULL;
	if (went_well && x->call->session && (x->reader.keep_alive || x->only_connects) &&
		conn_find(caller->loop, conn_id(link->conn))) {
		keep_for_session(x->call->session, link);
		return;
	}
	if (went_well && link->place && x->reader.keep_alive && conn_find(caller->loop, conn_id(link->conn))) {
		keep_link(caller, link);
		return;
	}
	if (went_well)
		conn_close(link->conn, "");
	else
		conn_abort(link->conn, "");
	loop_run_once(caller->loop);
}

/* -- The exchange ---------------------------------------------------------------------------------------------------------------------- */

/* A connection that is there already; NULL: there is none. */
static struct link *
find_link(struct exchange *x, struct caller *caller, bool anew)
{
	if (x->call->session)
		return anew && !x->call->bound ? NULL : take_of_session(caller, x->call->session);
	return anew || !x->place ? NULL : take_kept(caller, x);
}

static void
begin(struct exchange *x, struct caller *caller)
{
	bool anew = x->again;

	x->done = x->again = false;
	timer_init(&x->timer, caller->loop, on_timer);
	on_timer(&x->timer);
	if (x->done)
		return;
	x->link = find_link(x, caller, anew);
	if (x->link) {
		x->connecting = false;
		x->link->exchange = x;
		if (x->only_connects)
			finish(x);
		else
			write_request(x, x->link->conn);
		return;
	}
	x->connecting = x->proxy != NULL;
	if (x->call->bound)
		fail(x, ERR_UNAVAILABLE, "the connection that the request was made for is no longer there");
	else
		x->link = connect_link(x, caller->loop);
}

static void
converse(struct exchange *x, struct caller *caller)
{
	do {
		begin(x, caller);
		loop_run_until(caller->loop, &x->done);
		leave_link(caller, x);
		http_answer_reader_clear(&x->reader);
	} while (x->again);
}

/* What goes into the head as it is must not be able to end a line. */
static bool
is_sendable(const struct http_call *call)
{
	if (text_has_control(call->method, strlen(call->method)) || strchr(call->method, ' '))
		return false;
	for (size_t i = 0; call->headers && call->headers[i]; i++)
		if (text_has_control(call->headers[i], strlen(call->headers[i])))
			return false;
	return true;
}

static int
prepare_https(struct exchange *x, struct err *err)
{
	const struct http_call *call = x->call;

	if (!call->anchors && !call->tls)
		return err_set(err, ERR_INVALID, "nothing to trust was given");
	if (http_proxy_find(&x->proxy, x->uri->host, err) < 0)
		return -1;
	x->proxy_answer.body = (struct buf)BUF_INIT(0);
	return 0;
}

/* What must be the same for a connection to be used again; so must the client, which is no text. */
static char *
place_of(const struct exchange *x)
{
	const struct http_call *call = x->call;

	if (call->unix_path)
		return mem_text(call->unix_path);
	if (!call->tls || call->session)
		return NULL;
	return mem_textf("https %s %d %s", x->uri->host, x->uri->port, call->connect_to ? call->connect_to : "");
}

static int
prepare(struct exchange *x, struct err *err)
{
	const struct http_call *call = x->call;

	x->deadline_ms = clock_boot_ms() + timeout_ms(call);
	x->uri = uri_parse(call->url, err);
	if (!x->uri)
		return -1;
	if (x->uri->scheme != (call->unix_path ? URI_HTTP : URI_HTTPS))
		return err_set(err, ERR_INVALID, "%s was expected", call->unix_path ? "http://" : "https://");
	if (!is_sendable(call))
		return err_set(err, ERR_INVALID, "a header line or the method has a character that it can't have");
	x->place = place_of(x);
	return call->unix_path ? 0 : prepare_https(x, err);
}

static int
run_exchange(struct http_answer *out, const struct http_call *call, bool only_connects, struct err *err)
{
	struct exchange x = { .call = call, .answer = out, .only_connects = only_connects };
	int status;

	*out = (struct http_answer){
		.body = BUF_INIT(call->max_body ? call->max_body : MAX_BODY), .retry_after_s = -1, .retry_at = -1, .date = -1
	};
	status = prepare(&x, err);
	if (status < 0)
		err_wrap(err, "%s %.*s", call->method, shown(where(call)), where(call));
	else
		converse(&x, caller_get());
	if (x.trouble.kind != ERR_NONE) {
		*err = x.trouble;
		status = -1;
	}
	http_answer_clear(&x.proxy_answer);
	http_proxy_free(x.proxy);
	tls_client_free(x.tls);
	mem_free(x.place);
	uri_free(x.uri);
	return status;
}

int
http_fetch(struct http_answer *out, const struct http_call *call, struct err *err)
{
	return run_exchange(out, call, false, err);
}

/* -- Sessions -------------------------------------------------------------------------------------------------------------------------- */

struct http_session *
http_session_new(void)
{
	return NEW(http_session);
}

void
http_session_free(struct http_session *session)
{
	if (!session)
		return;
	if (session->link) {
		conn_close(session->link->conn, "");
		loop_run_once(caller_get()->loop);
	}
	if (session->link) { /* it closes when the loop runs next */
		session->link->session = NULL;
		session->link = NULL;
	}
	mem_free(session);
}

int
http_connect(const struct http_call *call, struct err *err)
{
	CLEAR(http_answer) answer = { 0 };

	assert(call->session);
	return run_exchange(&answer, call, true, err);
}

size_t
http_session_binding(const struct http_session *session, uint8_t out[static CONN_BINDING_MAX])
{
	return session->link ? conn_channel_binding(session->link->conn, out) : 0;
}

static enum err_kind
kind_of(int status)
{
	switch (status) {
	case 400:
	case 415:
	case 422:
		return ERR_INVALID;
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_MISSING;
	case 409:
	case 412:
		return ERR_CONFLICT;
	case 413:
	case 429:
		return ERR_LIMIT;
	default:
		return ERR_UNAVAILABLE;
	}
}

/* The server's own words: "message" of our services and "Message" of the hub. */
static const char *
message_of(const json_t *body)
{
	static const char *const names[] = { "message", "Message", "errorMessage", "ErrorMessage" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *text = json_string_value(json_object_get(body, names[i]));

		if (text)
			return text;
	}
	return "";
}

int
http_fetch_json(json_t **out, struct http_answer *answer, const struct http_call *call, const json_t *body, struct err *err)
{
	OWN_TEXT text = body ? json_line(body) : NULL;
	const char *headers[20] = { "Accept: application/json" };
	struct http_call copy = *call;
	size_t n = 1;
	OWN_LIB(json_t) json = NULL;
	struct err unparsable = ERR_INIT;

	*out = NULL;
	if (body)
		headers[n++] = "Content-Type: application/json";
	for (size_t i = 0; call->headers && call->headers[i] && n + 1 < COUNT(headers); i++)
		headers[n++] = call->headers[i];
	copy.headers = headers;
	copy.body = text;
	copy.body_len = text ? strlen(text) : 0;
	if (http_fetch(answer, &copy, err) < 0)
		return -1;
	if (answer->body.len > 0)
		json = json_parse(answer->body.data, answer->body.len, &unparsable);
	if (answer->status >= 300)
		return err_set(err, kind_of(answer->status), "%s %.*s: status %d: %s", call->method, shown(call->url), call->url,
			answer->status, json ? message_of(json) : "");
	if (answer->body.len > 0 && !json)
		return err_set(err, ERR_INVALID, "%s %.*s: %s", call->method, shown(call->url), call->url, unparsable.text);
	*out = GIVE(json);
	return 0;
}
