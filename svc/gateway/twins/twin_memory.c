/* SPDX-License-Identifier: Apache-2.0 */
/* A short list: who comes in goes to its front, and the last one makes place. */
#include "gateway/twins/twin_memory.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static void
move_up(struct twin_memory *m, size_t from)
{
	memmove(&m->last[from], &m->last[from + 1], (TWIN_MEMORY_MAX - 1 - from) * sizeof(m->last[0]));
	memset(&m->last[TWIN_MEMORY_MAX - 1], 0, sizeof(m->last[0]));
}

struct kept_twin *
twin_memory_take(struct twin_memory *m, const char *name)
{
	for (size_t i = 0; i < TWIN_MEMORY_MAX && m->last[i].name; i++) {
		struct kept_twin *twin = m->last[i].twin;

		if (!text_is(m->last[i].name, name))
			continue;
		mem_free(m->last[i].name);
		move_up(m, i);
		return twin;
	}
	return NULL;
}

void
twin_memory_forget(struct twin_memory *m, const char *name)
{
	kept_twin_free(twin_memory_take(m, name));
}

void
twin_memory_give(struct twin_memory *m, const char *name, struct kept_twin *twin_take)
{
	twin_memory_forget(m, name);
	kept_twin_free(m->last[TWIN_MEMORY_MAX - 1].twin);
	mem_free(m->last[TWIN_MEMORY_MAX - 1].name);
	memmove(&m->last[1], &m->last[0], (TWIN_MEMORY_MAX - 1) * sizeof(m->last[0]));
	m->last[0].name = mem_text(name);
	m->last[0].twin = twin_take;
}

void
twin_memory_clear(struct twin_memory *m)
{
	while (m->last[0].name)
		twin_memory_forget(m, m->last[0].name);
}
