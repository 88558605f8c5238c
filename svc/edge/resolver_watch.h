/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files that names are resolved by, in /etc.  A sandbox that lets a role read them lets it read those that were there when it started; DHCP clients and administrators put new ones
 * in their places.  Whoever started the role notices here, and starts it again. */

#include <stdbool.h>

int resolver_watch_open(void);	     /* a descriptor to poll for reading; -1: there is nothing to watch */
bool resolver_watch_changed(int fd); /* once it is readable: has one of those files been put in another's place? */
