/* SPDX-License-Identifier: Apache-2.0 */
/* Notices of the kernel about files (inotify). */
#include "notice.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"

int
notice_open(const char *path)
{
	int notice = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	(void)inotify_add_watch(notice, path, IN_MODIFY);
	return notice;
}

bool
notice_wait(int notice, int stop_fd, int64_t timeout_ms)
{
	struct pollfd p[] = { { .fd = notice, .events = POLLIN }, { .fd = stop_fd, .events = POLLIN } };
	char drop[4096];

	if (poll(p, COUNT(p), (int)timeout_ms) <= 0)
		return true;
	if (p[0].revents)
		while (read(notice, drop, sizeof(drop)) > 0)
			;
	return !p[1].revents;
}
