/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who relies on our roots, and who of them has said that he holds the one in question?  Devices, gateways and servers, by their ids.  Pure: who calls it has asked the hub or the EST server. */

#include <stdbool.h>
#include <stddef.h>

#include "base/own.h"

struct census;
struct census *census_new(void);
void census_free(struct census *census);
OWN_DEFINE(census);

void census_add(struct census *census, const char *id); /* relies on them; again is fine */
/* It says that it holds the root, or was sent it.  Before it is added is fine too; one that never is added is none of ours. */
void census_say(struct census *census, const char *id);
void census_send(struct census *census, const char *id);
/* What it was sent says nothing: an edge device fetches the certificates of a CA to look at what it gets, and trusts what its operator gives it. */
void census_believe_only_itself(struct census *census, const char *id);
/* Who is not waited for: "*" and "?" as in text_fits. */
void census_except(struct census *census, const char *pattern);

struct census_count {
	size_t all, hold, except; /* all, without those that are excepted; of these, who holds it */
};
struct census_count census_count(struct census *census);
/* Those that do not hold it, in the order of their ids. */
void census_each_missing(struct census *census, void (*each)(void *arg, const char *id), void *arg);
