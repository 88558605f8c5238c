/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP head before a back end of the test: a token is "good" or it is not, messages become a line each of what was told, and one command waits. */
#include <pthread.h>
#include <signal.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/text.h"
#include "heads/http_head.h"
#include "net/test_fixture.h"

/* On the loop's thread, where no test can fail. */
#define MUST(condition) ((condition) ? (void)0 : abort())

/* -- The back end ------------------------------------------------------------------------------------------------------------------------ */

struct site {
	struct loop *loop;
	struct http_server *server;
	struct http_head *head;
	struct listener *listener;
	int port;
	pthread_mutex_t lock; /* of told: an end that a peer sees is no word between threads */
	struct buf told;
	struct head_admission *late_admission;
	struct head_ack *late_acks[4];
	size_t n_late_acks;
	uint64_t conn_id; /* whose request came last */
	atomic_int n_asked, n_open, n_held;
	atomic_bool stands, is_full, is_away, is_slow;
	_Atomic int64_t expires;
};

__attribute__((format(printf, 2, 3))) static void
tell(struct site *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	pthread_mutex_lock(&s->lock);
	buf_vputf(&s->told, fmt, args);
	pthread_mutex_unlock(&s->lock);
	va_end(args);
}

static void
let_in(struct site *s, struct head_admission *admission)
{
	s->n_open++;
	head_admit(admission, verdict_new("test", "", ""), NULL, s, s->expires);
}

static void
on_admit(void *backend, const struct head_hello *hello, struct head_admission *admission)
{
	struct site *s = backend;
	struct verdict *refusal;

	MUST(hello->is_request);
	s->n_asked++;
	if (s->is_away) {
		head_admit_unavailable(admission);
	} else if (s->is_slow) {
		s->late_admission = admission;
		s->n_held++;
	} else if (text_is(hello->token, "good") || text_is(hello->token, "better")) {
		let_in(s, admission);
	} else {
		refusal = verdict_new("test", "", "");
		verdict_fail(refusal, SAS_BAD_SIGNATURE, "", "", "", "");
		head_admit(admission, refusal, NULL, NULL, 0);
	}
}

static void
on_message(void *backend, void *domain, struct head_session *session, const struct head_message *message, struct head_ack *ack)
{
	struct site *s = backend;

	MUST(domain == s && head_session_domain(session) == s);
	tell(s, "%.*s|%.*s\n", SLICE_FMT(message->bag), SLICE_FMT(message->payload));
	if (slice_is(message->payload, "hold")) {
		s->late_acks[s->n_late_acks++] = ack;
		s->n_held++;
	} else if (slice_is(message->payload, "close")) {
		head_session_close(session, SESSION_WITHDRAWN);
		head_message_done(ack, SESSION_WITHDRAWN);
	} else {
		head_message_done(ack, s->is_full ? QUEUE_FULL : OK);
	}
}

static void
on_receive(void *backend, void *domain, struct head_session *session, struct head_receipt *receipt)
{
	struct site *s = backend;

	MUST(head_session_domain(session) == domain);
	if (s->is_away) {
		head_receive_unavailable(receipt);
		return;
	}
	head_received(receipt,
		s->is_full
			? NULL
			: &(struct head_parcel){ .lock_token = "lock-1",
				  .sequence = 7,
				  .n_deliveries = 2,
				  .enqueued_ms = 1764000000000,
				  .expires_ms = 1764003600000,
				  .bag = slice_of("%24.mid=m&%24.to=x&%24.exp=no&%24.ct=text%2Fplain&iothub-ack=full&k=v%0D%0AX"),
				  .payload = slice_of("turn") });
}

static void
on_settle(void *backend, void *domain, struct head_session *session, const char *lock_token, enum head_outcome outcome,
	struct head_settlement *settlement)
{
	struct site *s = backend;

	MUST(head_session_domain(session) == domain);
	tell(s, "%s %d\n", lock_token, outcome);
	if (s->is_away)
		head_settle_unavailable(settlement);
	else
		head_settled(settlement, text_is(lock_token, "lock-1"));
}

static bool
on_stands(void *backend, void *domain)
{
	struct site *s = backend;

	MUST(domain == s);
	return s->stands;
}

static void
on_refused(void *backend, const char *who, enum reason reason)
{
	tell(backend, "%s: %s\n", who, reason_row(reason)->code);
}

static void
on_end(void *backend, void *domain, struct head_session *session, bool clean)
{
	struct site *s = backend;

	(void)session;
	(void)clean;
	MUST(domain == s);
	s->n_open--;
}

static const struct head_ops ops = { .admit = on_admit,
	.message = on_message,
	.receive = on_receive,
	.settle = on_settle,
	.stands = on_stands,
	.refused = on_refused,
	.end = on_end };

static void
tell_failure(struct http_request *req, enum http_head_error error, const char *words)
{
	static const int statuses[HTTP_HEAD_ERROR_COUNT] = { [HTTP_HEAD_BAD_ID] = 400,
		[HTTP_HEAD_UNAUTHORIZED] = 401,
		[HTTP_HEAD_BAD_MESSAGE] = 400,
		[HTTP_HEAD_TOO_LARGE] = 413,
		[HTTP_HEAD_LOCK_LOST] = 412,
		[HTTP_HEAD_UNAVAILABLE] = 503 };

	http_respond(req, statuses[error], NULL, words, strlen(words));
}

static void
handle(struct http_request *req, void *arg)
{
	struct site *s = arg;

	s->conn_id = conn_id(http_conn(req));
	if (!http_head_take(s->head, req))
		http_respond(req, 404, NULL, "no device", 9);
}

static struct site *
site(void)
{
	static struct site s = { .lock = PTHREAD_MUTEX_INITIALIZER, .told = { .max = 1 << 20 }, .stands = true };
	struct err err = ERR_INIT;

	if (s.loop)
		return &s;
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	s.loop = loop_new("site");
	s.server = http_server_new(&(struct http_server_config){ .handle = handle, .arg = &s });
	s.head = http_head_new(&(struct http_head_config){ .ops = &ops, .backend = &s, .fail = tell_failure });
	s.listener = listener_open(&s.loop, 1,
		&(struct listener_config){
			.address = "127.0.0.1", .ops = http_server_ops(), .user = s.server, .on_accept = http_server_on_accept },
		&err);
	if (!s.listener)
		fail_msg("%s", err.text);
	s.port = listener_port(s.listener);
	CHECK_OK(loop_start_thread(s.loop, &err), err);
	return &s;
}

/* -- A device ------------------------------------------------------------------------------------------------------------------------------ */

static int
dial(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)site()->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

static void
say(int fd, const char *line, const char *headers, const char *body)
{
	OWN_TEXT text = mem_textf("%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", line, headers, strlen(body), body);

	CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The number behind these words; 0 where they are not. */
static int64_t
number_after(const char *text, const char *words)
{
	const char *at = strstr(text, words);
	char digits[8] = "";
	int64_t number = 0;

	if (at)
		snprintf(digits, sizeof(digits), "%.*s", (int)strspn(at + strlen(words), "0123456789"), at + strlen(words));
	text_to_i64(digits, 0, 1000000, &number);
	return number;
}

static bool
is_whole(const char *answer, size_t len)
{
	const char *end = strstr(answer, "\r\n\r\n");

	return end && len >= (size_t)(end + 4 - answer) + (size_t)number_after(answer, "Content-Length: ");
}

/* The status, and the whole answer when asked for; 0: the connection ended. */
static int
hear(int fd, char **whole)
{
	static char heard[65536];
	size_t len = 0;
	ssize_t n;

	do {
		n = recv(fd, heard + len, sizeof(heard) - 1 - len, 0);
		if (n <= 0)
			return 0;
		len += (size_t)n;
		heard[len] = '\0';
	} while (!is_whole(heard, len));
	if (whole)
		*whole = heard;
	return (int)number_after(heard, "HTTP/1.1 ");
}

#define GOOD "Authorization: good\r\n"
#define EVENTS "POST /devices/d/messages/events"
#define BOUND "/devices/d/messages/devicebound"

static int
ask(int fd, const char *line, const char *headers, const char *body)
{
	say(fd, line, headers, body);
	return hear(fd, NULL);
}

static int
ask_once(const char *line, const char *headers, const char *body)
{
	int fd = dial(), status = ask(fd, line, headers, body);

	close(fd);
	return status;
}

static const char *
told(void)
{
	static char copy[4096];

	pthread_mutex_lock(&site()->lock);
	snprintf(copy, sizeof(copy), "%s", buf_text(&site()->told));
	buf_reset(&site()->told);
	pthread_mutex_unlock(&site()->lock);
	return copy;
}

static bool
reaches(atomic_int *number, int value)
{
	int64_t deadline = clock_boot_ms() + PATIENCE_MS;

	while (*number != value && clock_boot_ms() < deadline)
		poll(NULL, 0, 1);
	return *number == value;
}

/* -- On the loop, because the test says so ---------------------------------------------------------------------------------------------------- */

struct errand {
	struct post post;
	void (*run)(struct site *s);
	atomic_int done;
};

static void
on_errand(struct post *post)
{
	struct errand *errand = CONTAINER_OF(post, struct errand, post);

	errand->run(site());
	errand->done = 1;
}

static void
run_there(void (*run)(struct site *s))
{
	struct errand errand = { .post.run = on_errand, .run = run };

	loop_post(site()->loop, &errand.post);
	CHECK(reaches(&errand.done, 1));
}

static void
store_late(struct site *s)
{
	for (size_t i = 0; i < s->n_late_acks; i++)
		head_message_done(s->late_acks[i], OK);
	s->n_held -= (int)s->n_late_acks;
	s->n_late_acks = 0;
}

static void
admit_late(struct site *s)
{
	s->n_held--;
	let_in(s, s->late_admission);
}

static void
break_connection(struct site *s)
{
	conn_abort(conn_find(s->loop, s->conn_id), "for the test");
}

/* -- Events ----------------------------------------------------------------------------------------------------------------------------------- */

TEST("an event is stored with its properties, and answered with 204")
{
	CHECK_INT(ask_once(EVENTS "?api-version=2021-04-12",
			  GOOD "iothub-to: /devices/d/messages/events\r\nIoTHub-MessageId: m\r\niothub-app-k: a b\r\nX: y\r\n",
			  "one"),
		204);
	CHECK_STR(told(), "%24.mid=m&k=a%20b|one\n");
	CHECK_INT(ask_once("POST /devices/d/messages/events/", GOOD "iothub-to: /devices/d/messages/events\r\n", ""), 204);
	CHECK_STR(told(), "|\n");
	CHECK_INT(ask_once("POST /DEVICES/d/Messages/EVENTS/", GOOD "iothub-to: else\r\n", ""), 204);
	CHECK_STR(told(), "%24.to=else|\n");
	CHECK_INT(ask_once("POST /devices/d/modules/m/messages/events", GOOD, "two"), 204);
	CHECK_STR(told(), "|two\n");
}

TEST("204 comes when the last message is durable, and not before")
{
	int fd = dial();
	char byte;

	say(fd, EVENTS, GOOD "Content-Type: application/vnd.microsoft.iothub.json\r\n",
		"[{\"body\":\"aG9sZA==\"},{\"body\":\"Mg==\"},{\"body\":\"aG9sZA==\"}]");
	CHECK(reaches(&site()->n_held, 2));
	CHECK(recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	run_there(store_late);
	CHECK_INT(hear(fd, NULL), 204);
	CHECK_STR(told(), "|hold\n|2\n|hold\n");
	close(fd);
}

TEST("what can't be stored is answered with 503, and the back end is told once whose request it was, and why")
{
	site()->is_full = true;
	CHECK_INT(ask_once(EVENTS, GOOD, "one"), 503);
	CHECK_STR(told(), "|one\nd: QUEUE_FULL\n");
	CHECK_INT(ask_once(EVENTS, GOOD "Content-Type: application/vnd.microsoft.iothub.json; charset=utf-8\r\n",
			  "[{\"body\":\"MQ==\"},{\"body\":\"Mg==\"}]"),
		503);
	CHECK_STR(told(), "|1\nd: QUEUE_FULL\n"); /* the rest is not even tried */
	site()->is_full = false;
}

TEST("of a batch with something wrong nothing is stored")
{
	CHECK_INT(ask_once(EVENTS, GOOD "Content-Type: application/vnd.microsoft.iothub.json\r\n",
			  "[{\"body\":\"MQ==\"},{\"body\":1}]"),
		400);
	CHECK_STR(told(), "");
}

TEST("a message has 256 KiB with its properties")
{
	OWN_TEXT body = mem_new(256 * 1024 + 1);

	memset(body, 'x', 256 * 1024);
	CHECK_INT(ask_once(EVENTS, GOOD, body), 204);
	told();
	CHECK_INT(ask_once(EVENTS, GOOD "iothub-app-k: v\r\n", body), 413);
	CHECK_STR(told(), "");
}

TEST("a session that is closed under a message ends the connection")
{
	int fd = dial();

	CHECK_INT(ask(fd, EVENTS, GOOD, "close"), 0);
	CHECK_STR(told(), "|close\nd: SESSION_WITHDRAWN\n");
	close(fd);
}

/* -- Who --------------------------------------------------------------------------------------------------------------------------------------- */

TEST("many requests of a connection are one question, until something that counted is another")
{
	int before = site()->n_asked, fd = dial();

	for (int i = 0; i < 10; i++)
		CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	CHECK_INT(site()->n_asked, before + 1);
	CHECK_INT(ask(fd, EVENTS, "Authorization: better\r\n", ""), 204); /* another token */
	CHECK_INT(site()->n_asked, before + 2);
	CHECK_INT(ask(fd, "POST /devices/e/messages/events", "Authorization: better\r\n", ""), 204); /* another device */
	CHECK_INT(site()->n_asked, before + 3);
	CHECK_INT(ask(fd, "POST /devices/e/modules/m/messages/events", "Authorization: better\r\n", ""), 204);
	CHECK_INT(site()->n_asked, before + 4);
	CHECK_INT(ask(fd, "POST /devices/e/modules/m/messages/events", "Authorization: bad\r\n", ""), 401);
	CHECK_INT(ask(fd, "POST /devices/e/modules/m/messages/events", "", ""), 401);
	CHECK_INT(ask(fd, "POST /devices/e/modules/m/messages/events", "Authorization: better\r\n", ""), 204);
	CHECK_INT(site()->n_asked, before + 6);
	site()->stands = false; /* the back end knows of a change */
	CHECK_INT(ask(fd, "POST /devices/e/modules/m/messages/events", "Authorization: better\r\n", ""), 204);
	site()->stands = true;
	CHECK_INT(site()->n_asked, before + 7);
	CHECK_INT(site()->n_open, 1);
	close(fd);
	CHECK(reaches(&site()->n_open, 0));
	told();
}

TEST("a token that has ended is asked about again")
{
	int before = site()->n_asked, fd = dial();

	site()->expires = clock_wall() + 3600;
	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	CHECK_INT(site()->n_asked, before + 1);
	site()->stands = false;
	site()->expires = clock_wall() - 1;
	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	site()->stands = true;
	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	CHECK_INT(site()->n_asked, before + 3);
	site()->expires = 0;
	close(fd);
	CHECK(reaches(&site()->n_open, 0));
	told();
}

TEST("a back end that can't decide now is 503, and nothing is remembered of it")
{
	int fd = dial();

	site()->is_away = true;
	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 503);
	site()->is_away = false;
	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	close(fd);
	told();
}

TEST("what is answered to a connection that has died goes nowhere, and nothing stays open")
{
	int fd = dial();

	site()->is_slow = true;
	say(fd, EVENTS, GOOD, "x");
	CHECK(reaches(&site()->n_held, 1));
	site()->is_slow = false;
	run_there(break_connection);
	CHECK_INT(hear(fd, NULL), 0);
	close(fd);
	run_there(admit_late);
	CHECK_INT(site()->n_open, 0);
	CHECK_STR(told(), "");

	fd = dial();
	say(fd, EVENTS, GOOD, "hold");
	CHECK(reaches(&site()->n_held, 1));
	run_there(break_connection);
	CHECK_INT(hear(fd, NULL), 0);
	close(fd);
	CHECK(reaches(&site()->n_open, 0));
	run_there(store_late);
	CHECK_INT(ask_once(EVENTS, GOOD, ""), 204);
	told();
}

TEST("an id that none can have is refused before anybody is asked")
{
	int before = site()->n_asked;

	CHECK_INT(ask_once("POST /devices/a%20b/messages/events", GOOD, ""), 400);
	CHECK_INT(ask_once("POST /devices/%2e%2e%2fx/messages/events", GOOD, ""), 400);
	CHECK_INT(ask_once("POST /devices/d/modules/a%2fb/messages/events", GOOD, ""), 400);
	CHECK_INT(ask_once("POST /devices//messages/events", GOOD, ""), 400);
	CHECK_INT(site()->n_asked, before);
}

TEST("other paths and methods are nobody's here")
{
	static const char *const lines[] = { "GET /devices/d/messages/events", "POST " BOUND, "DELETE " BOUND,
		"PUT " BOUND "/lock-1", "POST /devices/d/messages/events/x", "POST /devices/%zz/messages/events",
		"POST /devices/d/message/events", "POST /", "GET /devices/d", "POST " BOUND "/lock-1/abandon/x",
		"POST /devices/d/modules/messages/events" };

	for (size_t i = 0; i < COUNT(lines); i++)
		CHECK_INT(ask_once(lines[i], GOOD, ""), 404);
}

/* -- Commands ---------------------------------------------------------------------------------------------------------------------------------- */

TEST("a command comes with its lock, its state and its properties, each on its line")
{
	int fd = dial();
	char *answer;

	say(fd, "GET " BOUND "?api-version=2021-04-12", GOOD, "a body that means nothing");
	CHECK_INT(hear(fd, &answer), 200);
	CHECK_CONTAINS(answer, "\r\nETag: \"lock-1\"\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-sequencenumber: 7\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-deliverycount: 2\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-enqueuedtime: 2025-11-24T16:00:00.000Z\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-expiry: 2025-11-24T17:00:00.000Z\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-messageid: m\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-ack: full\r\n");
	CHECK_CONTAINS(answer, "\r\nContent-Type: text/plain\r\n");
	CHECK_CONTAINS(answer, "\r\niothub-app-k: v%0D%0AX\r\n");
	CHECK_CONTAINS(answer, "\r\n\r\nturn");
	CHECK(!strstr(answer, "iothub-expiry: no"));
	close(fd);
}

TEST("no command is 204")
{
	site()->is_full = true;
	CHECK_INT(ask_once("GET " BOUND, GOOD, ""), 204);
	site()->is_full = false;
	CHECK_INT(ask_once("GET " BOUND, "", ""), 401);
}

TEST("a lock is completed, rejected or abandoned, named again quoted or not")
{
	CHECK_INT(ask_once("DELETE " BOUND "/lock-1", GOOD "If-Match: lock-1\r\n", ""), 204);
	CHECK_INT(ask_once("DELETE " BOUND "/lock-1?reject&api-version=x", GOOD "If-Match: \"lock-1\"\r\n", ""), 204);
	CHECK_INT(ask_once("DELETE " BOUND "/lock-1?reject=true", GOOD, ""), 204);
	CHECK_INT(ask_once("DELETE " BOUND "/lock-1?reject=false", GOOD "If-Match: *\r\n", ""), 204);
	CHECK_INT(ask_once("POST " BOUND "/lock-1/abandon", GOOD, ""), 204);
	CHECK_STR(told(), "lock-1 0\nlock-1 1\nlock-1 1\nlock-1 0\nlock-1 2\n");
}

TEST("a lock that nobody holds, or another than the header names, is 412")
{
	CHECK_INT(ask_once("DELETE " BOUND "/lock-2", GOOD, ""), 412);
	CHECK_STR(told(), "lock-2 0\n");
	CHECK_INT(ask_once("DELETE " BOUND "/lock-1", GOOD "If-Match: lock-2\r\n", ""), 412);
	CHECK_INT(ask_once("POST " BOUND "/lock-1/abandon", GOOD "If-Match: \"\r\n", ""), 412);
	CHECK_STR(told(), "");
	CHECK_INT(ask_once("DELETE " BOUND "/lock-1", "", ""), 401);
}

TEST("a queue that can't be used now is 503: what it holds is neither nothing nor lost")
{
	int fd = dial();

	CHECK_INT(ask(fd, EVENTS, GOOD, ""), 204);
	told();
	site()->is_away = true;
	CHECK_INT(ask(fd, "GET " BOUND, GOOD, ""), 503);
	CHECK_INT(ask(fd, "DELETE " BOUND "/lock-1", GOOD, ""), 503);
	site()->is_away = false;
	CHECK_INT(ask(fd, "GET " BOUND, GOOD, ""), 200);
	CHECK_STR(told(), "lock-1 0\n");
	close(fd);
}
