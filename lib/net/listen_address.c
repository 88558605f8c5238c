/* SPDX-License-Identifier: Apache-2.0 */
/* Two questions about an address (listen_address.h). */
#include "net/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
is_both(const char *address)
{
	struct in6_addr v6;

	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

static bool
kernel_has_v6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EAFNOSUPPORT;
	close(fd);
	return true;
}

const char *
listen_address_here(const char *address)
{
	return is_both(address) && !kernel_has_v6() ? "0.0.0.0" : address;
}

bool
listen_address_hears(const char *address, const char *other)
{
	return is_both(address) || (strchr(address, ':') != NULL) == (strchr(other, ':') != NULL);
}
