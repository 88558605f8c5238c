/* SPDX-License-Identifier: Apache-2.0 */
/* A list a gateway that has a question under way; there is none for others. */
#include "gateway/front/front_turns.h"

#include <pthread.h>
#include <stddef.h>

#include "base/map.h"
#include "base/mem.h"

struct line_up {
	struct front_turn *first, **last;
	size_t n;
};

struct front_turns {
	pthread_mutex_t lock;
	struct map *busy;
};

struct front_turns *
front_turns_new(void)
{
	struct front_turns *turns = NEW(front_turns);

	pthread_mutex_init(&turns->lock, NULL);
	turns->busy = map_new();
	return turns;
}

void
front_turns_free(struct front_turns *turns)
{
	size_t at = 0;
	void *line;

	if (!turns)
		return;
	while (map_next(turns->busy, &at, NULL, NULL, &line))
		mem_free(line);
	map_free(turns->busy);
	pthread_mutex_destroy(&turns->lock);
	mem_free(turns);
}

static struct line_up *
begin(struct front_turns *turns, const char *gateway_id)
{
	struct line_up *line = NEW(line_up);

	line->last = &line->first;
	map_put_text(turns->busy, gateway_id, line);
	return line;
}

static void
enter(struct line_up *line, struct front_turn *turn)
{
	turn->next = NULL;
	*line->last = turn;
	line->last = &turn->next;
	line->n++;
}

static struct front_turn *
leave(struct line_up *line)
{
	struct front_turn *turn = line->first;

	line->first = turn->next;
	if (!line->first)
		line->last = &line->first;
	line->n--;
	return turn;
}

enum front_turns_answer
front_turns_take(struct front_turns *turns, const char *gateway_id, struct front_turn *turn)
{
	enum front_turns_answer answer = FRONT_TURN_LATER;
	struct line_up *line;

	pthread_mutex_lock(&turns->lock);
	line = map_find_text(turns->busy, gateway_id);
	if (!line) {
		begin(turns, gateway_id);
		answer = FRONT_TURN_NOW;
	} else if (line->n == FRONT_TURNS_WAITING_MAX) {
		answer = FRONT_TURN_TOO_MANY;
	} else {
		enter(line, turn);
	}
	pthread_mutex_unlock(&turns->lock);
	return answer;
}

struct front_turn *
front_turns_end(struct front_turns *turns, const char *gateway_id)
{
	struct front_turn *next = NULL;
	struct line_up *line;

	pthread_mutex_lock(&turns->lock);
	line = map_find_text(turns->busy, gateway_id);
	if (line && line->n > 0)
		next = leave(line);
	else
		mem_free(map_remove_text(turns->busy, gateway_id));
	pthread_mutex_unlock(&turns->lock);
	return next;
}
