/* SPDX-License-Identifier: Apache-2.0 */
/* One call at a time to each of them: what changes while it is on its way is told with the next one.  Whoever is not there asks when he is back. */
#include "gateway/front/hub_news.h"

#include <pthread.h>

#include "auth/on_behalf.h"
#include "base/map.h"
#include "base/mem.h"
#include "gateway/gauges/hub_presence.h"
#include "wire/json.h"

#define ANSWER_WITHIN_MS 30000

struct hub_news {
	struct loop *loop;
	struct methods *methods;
	struct scope *scope;
	pthread_mutex_t lock;
	struct map *hearers; /* by id, with the lock; what they point to is the loop's */
	bool is_stopped;
};

struct hearer {
	struct hub_news *news;
	char *id;
	struct method_call call;
	bool is_called, is_behind; /* a call is on its way; and something has changed since */
};

/* -- What is said -------------------------------------------------------------------------------------------------------------------------- */

static char *
word_text(void)
{
	struct hub_word word = hub_presence_word();
	CLEAR(buf) text = BUF_INIT(HUB_WORD_MAX);

	if (word.reach == HUB_NOT_TRIED)
		return NULL;
	hub_word_format(&text, &word);
	return buf_take_text(&text);
}

char *
hub_news_line(void)
{
	OWN_TEXT text = word_text();

	return text ? mem_textf(HUB_WORD_HEADER ": %s", text) : NULL;
}

static char *
payload(void)
{
	OWN_TEXT text = word_text();
	OWN_LIB(json_t) body = json_pack("{s:s?}", "hub", text);

	return json_line(body);
}

/* -- To whom ------------------------------------------------------------------------------------------------------------------------------- */

static void tell(struct hearer *h);

static void
on_done(struct method_call *call)
{
	struct hearer *h = CONTAINER_OF(call, struct hearer, call);
	bool is_behind = h->is_behind;

	method_call_clear(&h->call);
	h->is_called = h->is_behind = false;
	if (is_behind)
		tell(h);
}

static void
tell(struct hearer *h)
{
	struct hub_news *news = h->news;
	int64_t confirmed;

	if (h->is_called) {
		h->is_behind = true;
		return;
	}
	if (news->is_stopped)
		return;
	h->call = (struct method_call){
		.identity = scope_find(news->scope, h->id, ON_BEHALF_MODULE, &confirmed),
		.name = mem_text(HUB_WORD_METHOD),
		.payload = payload(),
		.response_ms = ANSWER_WITHIN_MS,
		.done = on_done,
	};
	h->is_called = h->call.identity && methods_submit(news->methods, &h->call, news->loop);
	if (!h->is_called)
		method_call_clear(&h->call);
}

static void
hearer_free(struct hearer *h)
{
	method_call_clear(&h->call);
	mem_free(h->id);
	mem_free(h);
}

void
hub_news_hears(struct hub_news *news, const char *gateway_id)
{
	pthread_mutex_lock(&news->lock);
	if (!map_find_text(news->hearers, gateway_id)) {
		struct hearer *h = NEW(hearer);

		h->news = news;
		h->id = mem_text(gateway_id);
		map_put_text(news->hearers, gateway_id, h);
	}
	pthread_mutex_unlock(&news->lock);
}

/* One that is no longer below us has asked for the last time; the name of one that comes again is as good as new. */
static void
tell_or_forget(struct hub_news *news, struct hearer *h)
{
	if (h->is_called || scope_is_gateway_below(news->scope, h->id)) {
		tell(h);
		return;
	}
	map_remove_text(news->hearers, h->id);
	hearer_free(h);
}

void
hub_news_tell(struct hub_news *news)
{
	size_t at = 0, n = 0;
	struct hearer **all;
	void *hearer;

	pthread_mutex_lock(&news->lock);
	all = mem_array(map_count(news->hearers) + 1, sizeof(struct hearer *));
	while (map_next(news->hearers, &at, NULL, NULL, &hearer))
		all[n++] = hearer;
	while (n > 0)
		tell_or_forget(news, all[--n]);
	pthread_mutex_unlock(&news->lock);
	mem_free(all);
}

/* -- Life ---------------------------------------------------------------------------------------------------------------------------------- */

struct hub_news *
hub_news_new(struct loop *loop, struct methods *methods, struct scope *scope)
{
	struct hub_news *news = NEW(hub_news);

	news->loop = loop;
	news->methods = methods;
	news->scope = scope;
	news->hearers = map_new();
	pthread_mutex_init(&news->lock, NULL);
	return news;
}

void
hub_news_stop(struct hub_news *news)
{
	if (news)
		news->is_stopped = true;
}

void
hub_news_free(struct hub_news *news)
{
	size_t at = 0;
	void *hearer;

	if (!news)
		return;
	while (map_next(news->hearers, &at, NULL, NULL, &hearer))
		hearer_free(hearer);
	map_free(news->hearers);
	pthread_mutex_destroy(&news->lock);
	mem_free(news);
}
