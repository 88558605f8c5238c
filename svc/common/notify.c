/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "common/notify.h"

static struct {
	struct sockaddr_un address;
	socklen_t len; /* 0: nobody listens */
	int64_t watchdog_ms;
} notify;

/* "@" stands for the zero byte that begins an abstract name. */
static void
take_address(const char *path)
{
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(notify.address.sun_path))
		return;
	notify.address.sun_family = AF_UNIX;
	memcpy(notify.address.sun_path, path, len);
	if (path[0] == '@')
		notify.address.sun_path[0] = '\0';
	notify.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

static void
take_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	int64_t us, of = getpid();

	if (pid && !text_to_i64(pid, 1, INT32_MAX, &of))
		return;
	if (usec && of == getpid() && text_to_i64(usec, 1000, INT64_MAX, &us))
		notify.watchdog_ms = us / 1000;
}

void
notify_take(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path)
		take_address(path);
	take_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void
tell(const char *text)
{
	int fd;

	if (notify.len == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify.address, notify.len) < 0)
		log_warn("systemd can't be told %.20s: %s", text, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void
notify_ready(void)
{
	tell("READY=1\nSTATUS=serves");
}

void
notify_reloading(void)
{
	struct timespec now;
	char text[96];

	clock_until(0, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reads its files again",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	tell(text);
}

void
notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=ends");
}

int64_t
notify_watchdog_ms(void)
{
	return notify.watchdog_ms;
}

void
notify_alive(void)
{
	tell("WATCHDOG=1");
}
