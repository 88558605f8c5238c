/* SPDX-License-Identifier: Apache-2.0 */
/* One loop a core (loops.h). */
#include "common/loops.h"

#include <stdio.h>
#include <unistd.h>

#include "net/conn.h"

void
loops_init(struct loops *loops, size_t n)
{
	long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
	char name[32];

	loops->n = n > 0 ? n : n_cores > 0 ? (size_t)n_cores : 1;
	if (loops->n > LOOPS_MAX)
		loops->n = LOOPS_MAX;
	for (size_t i = 0; i < loops->n; i++) {
		snprintf(name, sizeof(name), "loop-%zu", i);
		loops->item[i] = loop_new(name);
	}
}

int
loops_start(struct loops *loops, struct err *err)
{
	for (size_t i = 1; i < loops->n; i++)
		if (loop_start_thread(loops->item[i], err) < 0)
			return -1;
	return 0;
}

void
loops_stop(struct loops *loops)
{
	for (size_t i = 1; i < loops->n; i++) {
		loop_stop(loops->item[i]);
		loop_join(loops->item[i]);
	}
}

void
loops_abort_connections(struct loops *loops)
{
	for (size_t i = 0; i < loops->n; i++)
		conn_abort_all(loops->item[i]);
}

void
loops_clear(struct loops *loops)
{
	for (size_t i = 0; i < loops->n; i++)
		loop_free(loops->item[i]);
	loops->n = 0;
}
