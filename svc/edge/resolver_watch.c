/* SPDX-License-Identifier: Apache-2.0 */
/* Watching /etc for new files of resolvers. */
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/resolver_watch.h"

static const char *const names[] = { "resolv.conf", "hosts", "nsswitch.conf", "host.conf", "gai.conf" };

int
resolver_watch_open(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd >= 0 && inotify_add_watch(fd, "/etc", IN_MOVED_TO | IN_CREATE | IN_ONLYDIR) >= 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool
is_one(const char *name)
{
	for (size_t i = 0; i < COUNT(names); i++)
		if (text_is(names[i], name))
			return true;
	return false;
}

bool
resolver_watch_changed(int fd)
{
	char events[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t got;

	while ((got = read(fd, events, sizeof(events))) > 0)
		for (ssize_t at = 0; at < got;) {
			const struct inotify_event *event = (const struct inotify_event *)(const void *)(events + at);

			changed = changed || (event->mask & IN_Q_OVERFLOW) || (event->len > 0 && is_one(event->name));
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	return changed;
}
