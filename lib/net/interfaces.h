/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The addresses under which this box can be reached: IPv4 and IPv6, of all interfaces that are up, without loopback and what holds on one link only (169.254/16, fe80::/10). */

#include <stdbool.h>
#include <stddef.h>

#define INTERFACES_MAX 24 /* addresses; those of a box that has more are the first in their order */

/* As texts, in an order that is the same each time; the caller owns each.  None where they can't be told. */
size_t interfaces_addresses(char *out[static INTERFACES_MAX]);
bool interfaces_have(const char *address);
