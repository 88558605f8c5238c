/* SPDX-License-Identifier: Apache-2.0 */
/* The list (held.h): a few, so all of them are looked at each time. */
#include "gateway/relay/held.h"

#include "base/mem.h"
#include "base/text.h"

static void
command_clear(struct held_command *command)
{
	mem_free(command->bag);
	mem_free(command->generation_id);
	mem_free(command->payload);
}

void
held_clear(struct held *held)
{
	for (size_t i = 0; i < held->n; i++)
		command_clear(&held->list[i]);
	held->n = 0;
}

bool
held_add(struct held *held, uint64_t number, uint64_t id, const char *generation_id, struct slice bag, struct slice payload,
	int64_t now_ms)
{
	if (held->n == HELD_MAX)
		return false;
	held->list[held->n++] = (struct held_command){
		.number = number,
		.id = id,
		.bag = slice_text(bag),
		.generation_id = mem_text(generation_id ? generation_id : ""),
		.payload = mem_dup(payload.text, payload.len),
		.len = payload.len,
		.until_ms = now_ms + HELD_MS,
	};
	return true;
}

struct held_command *
held_find(struct held *held, uint64_t number)
{
	for (size_t i = 0; i < held->n; i++)
		if (held->list[i].number == number && !held->list[i].is_over)
			return &held->list[i];
	return NULL;
}

void
held_end_late(struct held *held, int64_t now_ms)
{
	for (size_t i = 0; i < held->n; i++)
		held->list[i].is_over = held->list[i].is_over || held->list[i].until_ms <= now_ms;
}

void
held_end_all(struct held *held)
{
	held_end_late(held, INT64_MAX);
}

void
held_forget(struct held *held, bool somebody_listens)
{
	size_t kept = 0;

	for (size_t i = 0; i < held->n; i++) {
		struct held_command *c = &held->list[i];

		if (c->is_over && (c->is_told || !c->loop || !somebody_listens))
			command_clear(c);
		else
			held->list[kept++] = *c;
	}
	held->n = kept;
}

bool
held_has_work(const struct held *held)
{
	for (size_t i = 0; i < held->n; i++)
		if (held->list[i].is_over || !held->list[i].loop)
			return true;
	return false;
}

int64_t
held_next_end_ms(const struct held *held)
{
	int64_t next_ms = INT64_MAX;

	for (size_t i = 0; i < held->n; i++)
		if (!held->list[i].is_over && held->list[i].until_ms < next_ms)
			next_ms = held->list[i].until_ms;
	return next_ms;
}

bool
held_was_seen(const struct held_command *command, const void *loop, uint64_t conn_id)
{
	return command->loop == loop && command->conn_id == conn_id;
}

void
held_see(struct held_command *command, const void *loop, uint64_t conn_id)
{
	command->loop = loop;
	command->conn_id = conn_id;
}

bool
held_is_for(const struct held_command *command, const char *generation_id)
{
	return !*command->generation_id || !generation_id || !*generation_id || text_is(command->generation_id, generation_id);
}
