/* SPDX-License-Identifier: Apache-2.0 */
/* Taken apart first, decoded then (http_target.h). */
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rd.h"
#include "wire/codec.h"
#include "wire/http_target.h"

static bool
decode(struct buf *out, struct slice text)
{
	return percent_decode(out, text.text, text.len) && strlen(buf_text(out)) == out->len;
}

static void
take_value(struct map *values, struct slice pair)
{
	CLEAR(buf) key = BUF_INIT(HTTP_TARGET_MAX), value = BUF_INIT(HTTP_TARGET_MAX);
	struct slice name;

	if (!slice_cut(&pair, '=', &name))
		pair = (struct slice){ .text = "", .len = 0 };
	if (decode(&key, name) && decode(&value, pair))
		mem_free(map_put(values, buf_text(&key), key.len, buf_take_text(&value)));
}

static void
split_query(struct http_target *target)
{
	struct slice rest = slice_of(target->query), pair;
	bool more = rest.len > 0;

	target->values = map_new();
	while (more) {
		more = slice_cut(&rest, '&', &pair);
		take_value(target->values, pair);
	}
}

static void
split_path(struct http_target *target)
{
	struct slice rest = slice_of(target->path), part;
	bool more = true;

	slice_cut(&rest, '/', &part);
	while (more && rest.len > 0 && target->n_segments < HTTP_SEGMENTS_MAX) {
		CLEAR(buf) text = BUF_INIT(HTTP_TARGET_MAX);

		more = slice_cut(&rest, '/', &part);
		target->segments[target->n_segments++] = decode(&text, part) ? buf_take_text(&text) : NULL;
	}
}

void
http_target_read(struct http_target *out, char *text_take)
{
	char *mark = strchr(text_take, '?');

	*out = (struct http_target){ .path = text_take, .query = mem_text(mark ? mark + 1 : "") };
	if (mark)
		*mark = '\0';
	split_path(out);
	split_query(out);
}

void
http_target_clear(struct http_target *target)
{
	size_t at = 0;
	void *value;

	for (size_t i = 0; i < target->n_segments; i++)
		mem_free(target->segments[i]);
	while (target->values && map_next(target->values, &at, NULL, NULL, &value))
		mem_free(value);
	map_free(target->values);
	mem_free(target->path);
	mem_free(target->query);
	*target = (struct http_target){ 0 };
}

static size_t
n_to_fit(const struct http_target *target)
{
	size_t n = target->n_segments;
	const char *last = n > 0 ? target->segments[n - 1] : NULL;

	return last && !*last ? n - 1 : n;
}

bool
http_target_fits(const struct http_target *target, const char *pattern, const char **ids, size_t max)
{
	struct slice rest = slice_of(pattern), word;
	size_t n = n_to_fit(target), i = 0, n_ids = 0;
	bool more = true;

	for (size_t k = 0; k < max; k++)
		ids[k] = NULL;
	for (; more; i++) {
		const char *segment = i < n ? target->segments[i] : NULL;

		more = slice_cut(&rest, '/', &word);
		if (!segment)
			return false;
		if (!slice_is(word, "*")) {
			if (strlen(segment) != word.len || strncasecmp(segment, word.text, word.len) != 0)
				return false;
		} else if (n_ids == max) {
			return false;
		} else {
			ids[n_ids++] = segment;
		}
	}
	return i == n;
}
