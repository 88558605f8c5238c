/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Two devices with one id take the connection from each other, for ever: each new one ends the older (hub 1.4).  Who sees that happen over and over keeps the one that is connected, and has
 * the other wait, each time longer.  One device that loses its network every few seconds looks the same until its old connection has ended; then it waits for nothing.  No I/O, no clock; any thread. */

#include <stddef.h>
#include <stdint.h>

struct rivals;
struct rivals *rivals_new(size_t most); /* names at a time */
void rivals_free(struct rivals *rivals);

void rivals_taken_over(
	struct rivals *rivals, const char *name, int64_t now_ms); /* a connection was ended by a newer one of that name */
int64_t rivals_wait_ms(struct rivals *rivals, const char *name, int64_t now_ms); /* 0: no newer one has to wait */
