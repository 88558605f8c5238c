/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub was asked about a moment ago: the same claim with the same credential is not asked about again for a while, while another credential of the same
 * device is, so that a renewed certificate gets in at once (gateway 2.6, 10 row 9).  Bounded; any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct asked;
struct asked *asked_new(int64_t remember_ms); /* at least so long, at most twice */
void asked_free(struct asked *asked);
/* True, and noted as open, when it was not asked about lately, or is being asked about: who comes with the same claim meanwhile waits for that answer too, and is not judged without. */
bool asked_may(struct asked *asked, const char *name, const void *credential, size_t len);
/* What asked_may has said yes to is answered, or was not asked after all.  What got no answer may be asked about again at once. */
void asked_close(struct asked *asked, const char *name, const void *credential, size_t len, bool answered);
/* The hub's answer about this name was that it is not below us; and was that so lately? */
void asked_note_elsewhere(struct asked *asked, const char *name);
bool asked_is_elsewhere(struct asked *asked, const char *name);
