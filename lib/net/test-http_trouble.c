/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client when time is over, the server is not who it should be, or a proxy stands between. */
#include "keys/key.h"
#include "test_http_site.h"

/* -- Time --------------------------------------------------------------------------------------------------------------------------------- */

TEST("a server that does not answer is given up after timeout_ms, in the middle of an answer too")
{
	static const char *const answers[] = { "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell" };

	for (size_t i = 0; i < COUNT(answers); i++) {
		struct raw raw = { .answers = { answers[i] }, .holds = true };
		CLEAR(talk) t = { 0 };
		int64_t begin = clock_boot_ms();

		raw_start_unix(&raw);
		t = raw_talk_to(&raw);
		t.call.timeout_ms = 100;
		fetch(&t);
		CHECK_ERR(t.err, ERR_UNAVAILABLE, "no answer in time");
		CHECK(clock_boot_ms() - begin >= 100 && clock_boot_ms() - begin < PATIENCE_MS);
		raw_stop(&raw);
	}
}

TEST("a server that accepts and says nothing in TLS is given up after timeout_ms")
{
	struct raw raw = { .answers = { "" }, .holds = true };
	CLEAR(talk) t = { 0 };

	raw_start_tcp(&raw);
	t = tls_talk("localhost", raw.port);
	t.call.timeout_ms = 100;
	fetch(&t);
	CHECK_INT(t.status, -1);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "");
	raw_stop(&raw);
}

TEST("a call that nobody needs from the beginning is not sent, and a kept connection stays")
{
	atomic_bool cancelled = true;
	CLEAR(talk) before = local_talk("GET", "/echo");
	CLEAR(talk) t = local_talk("GET", "/echo");
	CLEAR(talk) after = local_talk("GET", "/echo");
	int n;

	fetch(&before);
	n = site()->n_requests;
	t.call.cancelled = &cancelled;
	fetch(&t);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "not needed any more");
	CHECK_INT(site()->n_requests, n);
	fetch(&after);
	CHECK_INT(conn_of(&after), conn_of(&before));
}

TEST("a call that nobody needs any more ends within about a second")
{
	atomic_bool cancelled = false;
	struct raw raw = { .answers = { "" }, .holds = true, .on_head = &cancelled };
	CLEAR(talk) t = { 0 };
	int64_t begin = clock_boot_ms();

	raw_start_unix(&raw);
	t = raw_talk_to(&raw);
	t.call.cancelled = &cancelled;
	t.call.timeout_ms = 10 * PATIENCE_MS;
	fetch(&t);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "not needed any more");
	CHECK(clock_boot_ms() - begin < PATIENCE_MS);
	raw_stop(&raw);
}

/* -- TLS ---------------------------------------------------------------------------------------------------------------------------------- */

TEST("over https the verdict is handed out, the host names the port, and no certificate is shown unasked for")
{
	CLEAR(talk) t = tls_talk("localhost", site()->port);
	OWN_TEXT host = mem_textf("localhost:%d", site()->port);

	fetch(&t);
	CHECK_STR(said(&t, "host"), host);
	CHECK(json_is_false(json_object_get(t.json, "has_cert")));
	CHECK(t.answer.verdict && verdict_accepted(t.answer.verdict));
	CHECK_STR(t.answer.verdict->who, "tester");
}

TEST("a client certificate is shown, signed for on another thread")
{
	CLEAR(talk) t = tls_talk("localhost", site()->port);

	t.call.chain = &pki()->device_chain;
	t.call.key = pki()->device_key;
	fetch(&t);
	said(&t, "path");
	CHECK(json_is_true(json_object_get(t.json, "has_cert")));
}

TEST("a key that is not the certificate's is told before anything is sent")
{
	CLEAR(talk) t = tls_talk("localhost", site()->port);

	t.call.chain = &pki()->device_chain;
	t.call.key = pki()->other_key;
	fetch(&t);
	CHECK_INT(t.status, -1);
	CHECK_CONTAINS(t.err.text, t.url);
}

TEST("a server that is not trusted, or has another name, is DENIED with the verdict, and hears no request")
{
	struct talk rows[] = { tls_talk("localhost", site()->port), tls_talk("other.local", site()->port),
		tls_talk("[::1]", site()->port) };
	static const char *const causes[] = { "CN=root", "other.local", "::1" };
	int before = site()->n_requests;

	rows[0].call.anchors = pki()->other_anchors;
	for (size_t i = 0; i < COUNT(rows); i++) {
		fetch(&rows[i]);
		CHECK_INT(rows[i].status, -1);
		CHECK_ERR(rows[i].err, ERR_DENIED, causes[i]);
		CHECK(rows[i].answer.verdict && !verdict_accepted(rows[i].answer.verdict));
		talk_clear(&rows[i]);
	}
	CHECK_INT(site()->n_requests, before);
}

/* A private half that takes its time. */
struct slow_key {
	atomic_bool asked, may_sign;
};

static int
sign_slowly(void *arg, const uint8_t *tbs, size_t len, uint8_t *sig, size_t *sig_len, struct err *err)
{
	struct slow_key *slow = arg;

	(void)tbs;
	(void)len;
	(void)sig;
	(void)sig_len;
	slow->asked = true;
	while (!slow->may_sign)
		sched_yield();
	return err_set(err, ERR_UNAVAILABLE, "too late");
}

static void
release_nothing(void *arg)
{
	(void)arg;
}

static const struct key_remote_ops slow_ops = { .sign = sign_slowly, .release = release_nothing };

TEST("time is over also while the key's owner still has the handshake, and the next call is none the worse")
{
	struct slow_key slow = { 0 };
	struct err err = ERR_INIT;
	OWN(key) key = key_remote_new(key_pkey(pki()->device_key), &slow_ops, &slow, &err);
	CLEAR(talk) late = tls_talk("localhost", site()->port);
	CLEAR(talk) next = tls_talk("localhost", site()->port);

	late.call.chain = &pki()->device_chain;
	late.call.key = key;
	late.call.timeout_ms = 500;
	fetch(&late);
	CHECK(slow.asked);
	CHECK_ERR(late.err, ERR_UNAVAILABLE, "");
	slow.may_sign = true;
	fetch(&next);
	CHECK_STR(said(&next, "path"), "/echo");
}

/* -- A proxy ------------------------------------------------------------------------------------------------------------------------------- */

TEST("a proxy that refuses is told with its status; it hears who is meant, and of its user, and nothing else")
{
	struct raw raw = { .answers = { "HTTP/1.1 407 Who?\r\nContent-Length: 3\r\n\r\nno!" } };
	CLEAR(talk) t = { 0 };
	OWN_TEXT proxy = NULL;

	raw_start_tcp(&raw);
	proxy = mem_textf("http://me:secret@127.0.0.1:%d", raw.port);
	setenv("HTTPS_PROXY", proxy, 1);
	t = tls_talk("hub.local", 443);
	t.call.connect_to = NULL;
	t.call.headers = (const char *[]){ "Authorization: token", NULL };
	fetch(&t);
	unsetenv("HTTPS_PROXY");
	raw_stop(&raw);
	CHECK_INT(t.status, -1);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "status 407");
	CHECK(!strstr(t.err.text, "secret"));
	CHECK_STR(raw.heard,
		"CONNECT hub.local:443 HTTP/1.1\r\nHost: hub.local:443\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n");
}

TEST("a proxy that sends bytes of its own after its yes is not believed")
{
	struct raw raw = { .answers = { "HTTP/1.1 200 Go\r\n\r\n\x15\x03\x03" } };
	CLEAR(talk) t = { 0 };
	OWN_TEXT proxy = NULL;

	raw_start_tcp(&raw);
	proxy = mem_textf("127.0.0.1:%d", raw.port);
	setenv("HTTPS_PROXY", proxy, 1);
	t = tls_talk("hub.local", 443);
	fetch(&t);
	unsetenv("HTTPS_PROXY");
	raw_stop(&raw);
	CHECK_ERR(t.err, ERR_UNAVAILABLE, "before it was asked");
}

TEST("a unix socket needs no proxy")
{
	CLEAR(talk) t = local_talk("GET", "/echo");

	setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	fetch(&t);
	unsetenv("HTTPS_PROXY");
	unsetenv("ALL_PROXY");
	CHECK_STR(said(&t, "method"), "GET");
}
