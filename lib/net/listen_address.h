/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The address that a listener is told to listen on, an IPv4 or IPv6 one.  "::" is both families: on it connections to IPv4 addresses arrive, too. */

#include <stdbool.h>

/* What it comes to on this kernel: "::" where that has no IPv6 (ipv6.disable=1) is "0.0.0.0", any other as it is.  Borrowed. */
const char *listen_address_here(const char *address);
/* May who listens there hear whoever connects to `other`, by its family? */
bool listen_address_hears(const char *address, const char *other);
