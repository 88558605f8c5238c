/* SPDX-License-Identifier: Apache-2.0 */
/* From the kernel's list (getifaddrs(3)) to texts (interfaces.h). */
#include "net/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static bool
is_of_a_link(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET6)
		return IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 16 == 0xa9fe;
}

static bool
is_reachable(const struct ifaddrs *at)
{
	return at->ifa_addr && (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6) &&
	       (at->ifa_flags & IFF_UP) && !(at->ifa_flags & IFF_LOOPBACK) && !is_of_a_link(at->ifa_addr);
}

static char *
to_text(const struct sockaddr *address)
{
	const void *bytes = address->sa_family == AF_INET6
				    ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
				    : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
	char text[INET6_ADDRSTRLEN];

	return mem_text(inet_ntop(address->sa_family, bytes, text, sizeof(text)));
}

/* In its place, once; what has no room goes. */
static void
insert(char **out, size_t *n, char *text_take)
{
	size_t at = 0;

	while (at < *n && strcmp(out[at], text_take) < 0)
		at++;
	if (at == INTERFACES_MAX || (at < *n && text_is(out[at], text_take))) {
		mem_free(text_take);
		return;
	}
	if (*n == INTERFACES_MAX)
		mem_free(out[--*n]);
	memmove(&out[at + 1], &out[at], (*n - at) * sizeof(*out));
	out[at] = text_take;
	++*n;
}

size_t
interfaces_addresses(char *out[static INTERFACES_MAX])
{
	struct ifaddrs *all;
	size_t n = 0;

	if (getifaddrs(&all) < 0)
		return 0;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next)
		if (is_reachable(at))
			insert(out, &n, to_text(at->ifa_addr));
	freeifaddrs(all);
	return n;
}

bool
interfaces_have(const char *address)
{
	char *own[INTERFACES_MAX];
	size_t n = interfaces_addresses(own);
	bool found = false;

	for (size_t i = 0; i < n; i++) {
		found = found || text_is(own[i], address);
		mem_free(own[i]);
	}
	return found;
}
