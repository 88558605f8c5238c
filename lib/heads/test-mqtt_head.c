/* SPDX-License-Identifier: Apache-2.0 */
/* The MQTT head before a back end of the test, which decides when the test says so: of whom it is said that a rule was broken. */
#include "base/text.h"
#include "heads/mqtt_session.h"
#include "net/test_fixture.h"

struct story {
	struct loop *loop;
	struct directory *directory;
	struct mqtt_head *head;
	struct listener *listener;
	struct head_admission *admission; /* that waits for its answer */
	struct gather client;
	char *peer; /* the client's address, as the back end was told */
	char *who;  /* who broke a rule */
	enum reason why;
	int n_violations, n_ended;
};

/* -- The back end ---------------------------------------------------------------------------------------------------------------------------- */

static void
on_admit(void *backend, const struct head_hello *hello, struct head_admission *admission)
{
	struct story *s = backend;

	s->admission = admission;
	s->peer = mem_text(hello->peer);
}

static void
on_violation(void *backend, const char *who, enum reason reason, const char *detail)
{
	struct story *s = backend;

	(void)detail;
	mem_free(s->who);
	s->who = mem_text(who);
	s->why = reason;
	s->n_violations++;
}

static void
on_end(void *backend, void *domain, struct head_session *session, bool clean)
{
	struct story *s = backend;

	(void)session;
	(void)clean;
	CHECK(domain == s);
	s->n_ended++;
}

static const struct head_ops ops = { .admit = on_admit, .violation = on_violation, .end = on_end };

/* -- The story -------------------------------------------------------------------------------------------------------------------------------- */

static void
story_begin(struct story *s)
{
	struct err err = ERR_INIT;

	*s = (struct story){ .loop = loop_new("test"), .directory = directory_new() };
	s->head = mqtt_head_new(&(struct mqtt_head_config){ .who = "test", .ops = &ops, .backend = s, .directory = s->directory });
	s->listener = listener_open(&s->loop, 1,
		&(struct listener_config){
			.address = "127.0.0.1", .ops = mqtt_head_ops(), .user = s->head, .on_accept = mqtt_head_on_accept },
		&err);
	if (!s->listener)
		fail_msg("%s", err.text);
	s->client.fd = plain_connect(listener_port(s->listener));
}

static void
story_clear(struct story *s)
{
	close(s->client.fd);
	listener_close(s->listener);
	loop_finish(s->loop);
	loop_free(s->loop);
	mqtt_head_free(s->head);
	directory_free(s->directory);
	mem_free(s->peer);
	mem_free(s->who);
}

static void
say(struct story *s, struct buf *packet)
{
	CHECK_INT(send(s->client.fd, packet->data, packet->len, MSG_NOSIGNAL), packet->len);
	buf_clear(packet);
}

static void
say_connect(struct story *s, const char *id)
{
	OWN_TEXT user = mem_textf("hub.local/%s/?api-version=2021-04-12", id);
	struct buf packet = BUF_INIT(1024);

	mqtt_encode_connect(
		&packet, &(struct mqtt_connect){ .level = 4, .client_id = slice_of(id), .has_user = true, .user = slice_of(user) });
	say(s, &packet);
}

static bool
is_asked(void *arg)
{
	return ((struct story *)arg)->admission;
}

static void
let_in(struct story *s)
{
	head_admit(s->admission, verdict_new("test", "", ""), NULL, s, 0);
}

/* What breaks a rule at any time. */
static void
say_pong(struct story *s)
{
	struct buf packet = BUF_INIT(16);

	mqtt_encode_empty(&packet, MQTT_PINGRESP);
	say(s, &packet);
}

/* -- Who broke a rule -------------------------------------------------------------------------------------------------------------------------- */

TEST("who is closed before the decision about him has come is told of by his address: the identity is only a claim")
{
	struct story s;
	struct mqtt_session *session;

	story_begin(&s);
	say_connect(&s, "dev1");
	CHECK(until(s.loop, is_asked, &s));
	session = CONTAINER_OF(s.admission, struct mqtt_admission, base)->session;
	timer_arm(&session->timer, 0); /* the twenty seconds are over */
	CHECK(until(s.loop, gather_is_done, &s.client));
	CHECK_INT(s.n_violations, 1);
	CHECK_INT(s.why, NO_CONNECT_IN_TIME);
	CHECK_STR(s.who, s.peer);
	let_in(&s); /* too late */
	CHECK_INT(s.n_ended, 1);
	story_clear(&s);
}

TEST("so is who begins with another packet than CONNECT")
{
	struct story s;

	story_begin(&s);
	say_pong(&s);
	CHECK(until(s.loop, gather_is_done, &s.client));
	CHECK_INT(s.why, MQTT_MALFORMED);
	CHECK(text_starts(s.who, "127.0.0.1:"));
	story_clear(&s);
}

TEST("who was let in is told of by his identity, a module by both names")
{
	static const char *const ids[] = { "dev1", "dev1/m" };

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct story s;

		story_begin(&s);
		say_connect(&s, ids[i]);
		CHECK(until(s.loop, is_asked, &s));
		let_in(&s);
		say_pong(&s);
		CHECK(until(s.loop, gather_is_done, &s.client));
		CHECK_INT(s.why, MQTT_MALFORMED);
		CHECK_STR(s.who, ids[i]);
		story_clear(&s);
	}
}
