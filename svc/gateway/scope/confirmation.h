/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When the hub confirmed something, and how old that is by now, on a box whose clock may be set at any time, or start in 1970.  Pure.
 *
 * What this process was told has an age by the boot clock, which nobody sets.  What was read from the file has the age that was known when it was saved, and all that has
 * passed since it was read; and where the wall clock says more, so much.  So a clock that goes back makes nothing younger than it was known to be, and one that went forward
 * by mistake does no harm once it is right again. */

#include <stdbool.h>
#include <stdint.h>

struct confirmation {
	int64_t wall;	 /* seconds UTC; for people, and for the time when the box was off; 0: never */
	int64_t boot_ms; /* boot clock; of the question, or, when it is from the file, of the reading */
	int64_t known_s; /* its age at boot_ms: 0 for a question of this process */
	bool is_kept;	 /* it is from the file */
};

struct confirmation confirmation_kept(int64_t wall, int64_t known_s, int64_t boot_ms);
int64_t confirmation_age_s(const struct confirmation *c, int64_t wall, int64_t boot_ms);
/* The part of it that was lived through: what is saved. */
int64_t confirmation_known_s(const struct confirmation *c, int64_t boot_ms);
bool confirmation_is_later(const struct confirmation *a, const struct confirmation *b);
