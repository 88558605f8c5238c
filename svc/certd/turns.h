/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whose turn it is to make or change the certificate of an id: one after the other for an id, nobody waits for another id's, however long a server takes.  A turn knows for which request it
 * was just made: who waited with the same one takes that certificate instead of having another made.  Any thread. */

#include "pki/issue.h"

struct turns;
struct turn;

struct turns *turns_new(void);
void turns_free(struct turns *turns);

struct turn *turns_take(struct turns *turns, const char *id); /* waits */
void turns_give(struct turns *turns, struct turn *turn_take);

/* Was it made for the same wish while this turn was waited for? */
bool turn_was_made(const struct turn *turn, const struct csr *csr);
void turn_made(struct turn *turn, struct csr *csr_take); /* NULL: it is not what anybody wished for any more */

size_t turns_waiting(struct turns *turns, const char *id);
