/* SPDX-License-Identifier: Apache-2.0 */
/* For whom a token is that was asked for: a real workload API signs it when the test says so, and a real link opens with it. */
#include "gateway/upstream/link_token.h"

#include <semaphore.h>

#include "gateway/upstream/test_upstream.h"

static struct story {
	struct above above;
	struct link_token token;
	struct device_link *link;
	char *why; /* the link went down last */
	int n_wanted, n_opened;
} story;

/* -- The link --------------------------------------------------------------------------------------------------------------------------------- */

/* What is to be asked, the test says. */
static void
on_wanted(struct device_link *link, void *user)
{
	(void)link;
	(void)user;
	story.n_wanted++;
}

/* Asked for as soon as there is a token; none goes any further. */
static struct conn_carrier *
on_opened(void *arg)
{
	(void)arg;
	story.n_opened++;
	return NULL;
}

static bool
on_down(struct device_link *link, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	(void)link;
	(void)user;
	(void)code;
	CHECK_INT(end, DEVICE_CLIENT_NOT_TRIED);
	mem_free(story.why);
	story.why = mem_text(why);
	return false;
}

static const struct device_link_ops link_ops = { .ask_token = on_wanted, .on_down = on_down };

static void
no_question(struct http_request *req)
{
	http_respond(req, 404, NULL, "", 0);
}

static void
begin(void)
{
	struct above *a = &story.above;

	story = (struct story){ 0 };
	above_begin(a, 1, no_question);
	story.token = (struct link_token){ .upstream = a->upstream, .workers = a->workers, .loop = a->loop };
	story.link = device_link_new(a->loop,
		&(struct device_client_config){ .host = "localhost",
			.hub_host = "localhost",
			.device_id = "edge1",
			.tls = upstream_tls(a->upstream),
			.carrier = on_opened },
		&link_ops, NULL);
}

static void
end(void)
{
	above_end(&story.above);
	link_token_clear(&story.token);
	device_link_free(story.link);
	above_clear(&story.above);
	mem_free(story.why);
}

/* -- Steps ------------------------------------------------------------------------------------------------------------------------------------ */

static bool
is_wanted(void *arg)
{
	return story.n_wanted >= *(int *)arg;
}

/* The link waits for its token, which it has not been asked for. */
static void
start(void)
{
	int n = story.n_wanted + 1;

	device_link_start(story.link);
	CHECK(until(story.above.loop, is_wanted, &n));
}

static void
ask(void)
{
	link_token_ask(&story.token, story.link);
}

static bool
is_on_its_way(void *arg)
{
	(void)arg;
	return story.above.unsigned_yet != NULL;
}

static void
ask_and_wait_for_the_key(void)
{
	story.above.is_slow_to_sign = true;
	ask();
	CHECK(until(story.above.loop, is_on_its_way, NULL));
	story.above.is_slow_to_sign = false;
}

/* As line_way does. */
static void
hang_up(void)
{
	link_token_forget(&story.token);
	device_link_stop(story.link);
}

static bool
is_answered(void *arg)
{
	(void)arg;
	return !story.token.is_asked;
}

static bool
is_down(void *arg)
{
	(void)arg;
	return story.why != NULL;
}

static void
sign_and_bring(void)
{
	above_sign(&story.above);
	CHECK(until(story.above.loop, is_answered, NULL));
}

/* -- Tokens ------------------------------------------------------------------------------------------------------------------------------------ */

TEST("a link that asks is brought a token, once, however often it asks meanwhile")
{
	begin();
	start();
	ask_and_wait_for_the_key();
	ask();
	CHECK_INT(story.n_opened, 0);
	sign_and_bring();
	CHECK_INT(story.n_opened, 1);
	CHECK(!story.token.is_asked && !story.token.token);
	end();
}

TEST("a key that is away is told to the link, in its words")
{
	begin();
	story.above.signs = false;
	start();
	ask();
	CHECK(until(story.above.loop, is_down, NULL));
	CHECK(strstr(story.why, "the key is away"));
	CHECK_INT(story.n_opened, 0);
	end();
}

TEST("a token that was asked for before a hang-up is for nobody, though the link waits for one again")
{
	begin();
	start();
	ask_and_wait_for_the_key();
	hang_up();
	start();
	sign_and_bring();
	CHECK_INT(story.n_opened, 0);
	CHECK(!story.token.token);
	ask();
	CHECK(until(story.above.loop, is_answered, NULL));
	CHECK_INT(story.n_opened, 1);
	end();
}

static void
ask_across_a_hang_up(void)
{
	begin();
	start();
	ask_and_wait_for_the_key();
	hang_up();
	start();
	ask();
}

TEST("who asks again after a hang-up, while that token is on its way, is brought the next one")
{
	ask_across_a_hang_up();
	sign_and_bring();
	CHECK_INT(story.n_opened, 1);
	end();
}

TEST("who hangs up a second time is brought neither")
{
	ask_across_a_hang_up();
	hang_up();
	start();
	sign_and_bring();
	CHECK_INT(story.n_opened, 0);
	end();
}

TEST("a hang-up while nothing is asked is none of the next token")
{
	begin();
	link_token_forget(&story.token);
	start();
	ask();
	CHECK(until(story.above.loop, is_answered, NULL));
	CHECK_INT(story.n_opened, 1);
	end();
}

/* -- The workers ------------------------------------------------------------------------------------------------------------------------------- */

struct wait {
	struct job job;
	sem_t begun, enough;
};

static void
wait_there(struct job *job)
{
	struct wait *w = CONTAINER_OF(job, struct wait, job);

	sem_post(&w->begun);
	sem_wait(&w->enough);
}

static void
on_waited(struct job *job)
{
	(void)job;
}

static void
occupy(struct wait *w, sem_t *until_begun)
{
	w->job = (struct job){ .run = wait_there, .done = on_waited, .owner = loop_owner(story.above.loop) };
	sem_init(&w->begun, 0, 0);
	sem_init(&w->enough, 0, 0);
	CHECK(pool_try(story.above.workers, &w->job));
	if (until_begun)
		sem_wait(until_begun);
}

TEST("where no worker has room the link is told so, and may ask again")
{
	struct wait running, waiting;

	begin();
	occupy(&running, &running.begun);
	occupy(&waiting, NULL);
	start();
	ask();
	CHECK(!story.token.is_asked);
	CHECK(until(story.above.loop, is_down, NULL));
	CHECK_STR(story.why, "too much is going on at once");
	sem_post(&running.enough);
	sem_post(&waiting.enough);
	sem_wait(&waiting.begun); /* there is room */
	start();
	ask();
	CHECK(until(story.above.loop, is_answered, NULL));
	CHECK_INT(story.n_opened, 1);
	end();
}
