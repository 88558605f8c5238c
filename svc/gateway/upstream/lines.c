/* SPDX-License-Identifier: Apache-2.0 */
/* Nothing but a map, and the one thing that a line learns for all of them. */
#include "gateway/upstream/lines.h"

#include "base/map.h"
#include "base/mem.h"
#include "gateway/gauges/gateway_metrics.h"
#include "gateway/gauges/hub_presence.h"
#include "gateway/upstream/line_way.h"

#define JOIN_MS 50 /* a line: each connects, and is asked about */

struct lines {
	struct lines_config config;
	struct map *by_name;
	struct pacer *pacer;
	struct carrier *carrier;
	bool is_hub_away;
	void (*on_new)(void *arg, struct line *line);
	void *new_arg;
};

static void
count(const struct lines *lines)
{
	metric_set(gateway_metric_of(METRIC_LINES, &(const char *const){ NULL }), (int64_t)map_count(lines->by_name));
}

static void
on_way(void *arg, bool is_alone)
{
	const struct lines *lines = arg;

	lines->config.on_way(lines->config.arg, is_alone);
}

/* Those who are alone come over, one after the other. */
static void
on_carrier_up(void *arg)
{
	const struct lines *lines = arg;
	size_t at = 0;
	int64_t n = 0;
	void *line;

	while (map_next(lines->by_name, &at, NULL, NULL, &line))
		n += line_way_is_alone(line_way(line));
	at = 0;
	while (n > 0 && map_next(lines->by_name, &at, NULL, NULL, &line))
		line_way_join(line_way(line), n * JOIN_MS);
}

struct lines *
lines_new(const struct lines_config *config)
{
	struct lines *lines = NEW(lines);

	lines->config = *config;
	lines->by_name = map_new();
	lines->pacer = pacer_new(config->loop, config->connects_per_second);
	lines->carrier = carrier_new(&(struct carrier_config){
		.loop = config->loop,
		.workers = config->workers,
		.upstream = config->upstream,
		.on_way = on_way,
		.on_up = on_carrier_up,
		.arg = lines,
	});
	return lines;
}

void
lines_stop(struct lines *lines)
{
	size_t at = 0;
	void *line;

	if (!lines)
		return;
	carrier_stop(lines->carrier);
	while (map_next(lines->by_name, &at, NULL, NULL, &line))
		line_stop(line);
}

void
lines_free(struct lines *lines)
{
	size_t at = 0;
	void *line;

	if (!lines)
		return;
	while (map_next(lines->by_name, &at, NULL, NULL, &line))
		line_free(line);
	map_free(lines->by_name);
	pacer_free(lines->pacer);
	carrier_free(lines->carrier);
	mem_free(lines);
}

struct line *
lines_find(struct lines *lines, const char *device_id, const char *module_id)
{
	OWN_TEXT name = module_id ? identity_name(device_id, module_id) : NULL;

	return map_find_text(lines->by_name, name ? name : device_id);
}

void
lines_on_new(struct lines *lines, void (*on_new)(void *arg, struct line *line), void *arg)
{
	lines->on_new = on_new;
	lines->new_arg = arg;
}

struct line *
lines_get(struct lines *lines, const char *device_id, const char *module_id)
{
	struct line *line = lines_find(lines, device_id, module_id);

	if (line)
		return line;
	line = line_new(lines, device_id, module_id);
	map_put_text(lines->by_name, line_name(line), line);
	count(lines);
	if (lines->on_new)
		lines->on_new(lines->new_arg, line);
	return line;
}

void
lines_drop(struct lines *lines, struct line *line)
{
	map_remove_text(lines->by_name, line_name(line));
	line_free(line);
	count(lines);
}

const struct lines_config *
lines_config(const struct lines *lines)
{
	return &lines->config;
}

struct carrier *
lines_carrier(const struct lines *lines)
{
	return lines->carrier;
}

struct pacer *
lines_pacer(const struct lines *lines)
{
	return lines->pacer;
}

bool
lines_is_hub_away(const struct lines *lines)
{
	return lines->is_hub_away;
}

int64_t
lines_spread_ms(const struct lines *lines)
{
	return pacer_spread_ms(lines->pacer, map_count(lines->by_name));
}

void
lines_unreached(struct lines *lines, bool is_for_all)
{
	lines->is_hub_away = true;
	carrier_look_again(lines->carrier);
	if (is_for_all)
		hub_presence_lost();
}

/* The hub is back for one, so it is for all.  An answer on a line proves it, not a connection, nor one that carries lines: a hub in trouble may take those and drop them. */
void
lines_reached(struct lines *lines)
{
	size_t at = 0;
	void *line;

	hub_presence_reached();
	if (!lines->is_hub_away)
		return;
	lines->is_hub_away = false;
	while (map_next(lines->by_name, &at, NULL, NULL, &line))
		line_hurry(line);
	lines->config.on_hub_reached(lines->config.arg);
}

void
lines_trust(struct lines *lines)
{
	size_t at = 0;
	void *line;

	carrier_trust(lines->carrier);
	while (map_next(lines->by_name, &at, NULL, NULL, &line))
		line_trust(line);
}
