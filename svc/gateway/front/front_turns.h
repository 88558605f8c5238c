/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fairness between the gateways below: of each only one question is carried out at a time, the others wait in their order; so one that asks without end holds up itself.  Any thread. */

struct front_turn {
	struct front_turn *next;
};

struct front_turns;
struct front_turns *front_turns_new(void);
void front_turns_free(struct front_turns *turns); /* nobody waits any more */

#define FRONT_TURNS_WAITING_MAX 16 /* of one gateway */
enum front_turns_answer { FRONT_TURN_NOW, FRONT_TURN_LATER, FRONT_TURN_TOO_MANY };
enum front_turns_answer front_turns_take(struct front_turns *turns, const char *gateway_id, struct front_turn *turn);
/* One of that gateway's is over.  Whose turn it is now; NULL: nobody's. */
struct front_turn *front_turns_end(struct front_turns *turns, const char *gateway_id);
