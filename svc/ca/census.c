/* SPDX-License-Identifier: Apache-2.0 */
/* A map of ids, sorted when it is asked (census.h). */
#include "ca/census.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

struct holder {
	char *id;
	bool relies, says, was_sent, only_says, except;
};

struct census {
	struct map *by_id; /* of holders, which it owns */
	struct holder **sorted;
};

struct census *
census_new(void)
{
	struct census *c = NEW(census);

	c->by_id = map_new_keys_in_values();
	return c;
}

void
census_free(struct census *c)
{
	size_t at = 0;
	void *value;

	if (!c)
		return;
	while (map_next(c->by_id, &at, NULL, NULL, &value)) {
		mem_free(((struct holder *)value)->id);
		mem_free(value);
	}
	map_free(c->by_id);
	mem_free(c->sorted);
	mem_free(c);
}

static struct holder *
holder(struct census *c, const char *id)
{
	struct holder *h = map_find_text(c->by_id, id);

	if (h)
		return h;
	h = NEW(holder);
	h->id = mem_text(id);
	map_put_text(c->by_id, h->id, h);
	return h;
}

void
census_add(struct census *c, const char *id)
{
	holder(c, id)->relies = true;
}

void
census_say(struct census *c, const char *id)
{
	holder(c, id)->says = true;
}

void
census_send(struct census *c, const char *id)
{
	holder(c, id)->was_sent = true;
}

void
census_believe_only_itself(struct census *c, const char *id)
{
	holder(c, id)->only_says = true;
}

static bool
holds(const struct holder *h)
{
	return h->says || (h->was_sent && !h->only_says);
}

void
census_except(struct census *c, const char *pattern)
{
	size_t at = 0;
	void *value;

	while (map_next(c->by_id, &at, NULL, NULL, &value)) {
		struct holder *h = value;

		h->except |= text_fits(h->id, pattern);
	}
}

struct census_count
census_count(struct census *c)
{
	struct census_count count = { 0 };
	size_t at = 0;
	void *value;

	while (map_next(c->by_id, &at, NULL, NULL, &value)) {
		const struct holder *h = value;

		count.except += h->relies && h->except;
		count.all += h->relies && !h->except;
		count.hold += h->relies && !h->except && holds(h);
	}
	return count;
}

static int
compare(const void *a, const void *b)
{
	return strcmp((*(struct holder *const *)a)->id, (*(struct holder *const *)b)->id);
}

void
census_each_missing(struct census *c, void (*each)(void *arg, const char *id), void *arg)
{
	size_t at = 0, n = 0;
	void *value;

	mem_free(c->sorted);
	c->sorted = mem_array(map_count(c->by_id) + 1, sizeof(*c->sorted));
	while (map_next(c->by_id, &at, NULL, NULL, &value)) {
		struct holder *h = value;

		if (h->relies && !h->except && !holds(h))
			c->sorted[n++] = h;
	}
	qsort(c->sorted, n, sizeof(*c->sorted), compare);
	for (size_t i = 0; i < n; i++)
		each(arg, c->sorted[i]->id);
}
