/* SPDX-License-Identifier: Apache-2.0 */
/* Questions and answers about programs (executable.h).  A question is its number and the path, with the pidfd beside it; an answer repeats the number, so that what comes too late for one
 * question does not answer the next. */
#include "common/executable.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define ANSWER_MS 2000
#define FDINFO_MAX 4096
#define ASKERS_MAX 4
#define IDLE_MS 30000

enum answer { ANSWER_NO = 'n', ANSWER_YES = 'y', ANSWER_UNKNOWN = '?' };

struct verdict {
	uint64_t number, answer;
};

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

/* -- Asking -------------------------------------------------------------------------------------------------------------------------------- */

static int
send_question(int fd, uint64_t number, int pidfd, const char *path)
{
	struct iovec parts[] = { { &number, sizeof(number) }, { (char *)(uintptr_t)path, strlen(path) } };
	union control control = { 0 };
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = COUNT(parts), .msg_control = &control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &pidfd, sizeof(int));
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* The answer to this one; those to earlier ones, which came too late, are dropped. */
static enum answer
wait_for_answer(int fd, uint64_t number)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t end_ms = clock_boot_ms() + ANSWER_MS, left;
	struct verdict got;

	while ((left = end_ms - clock_boot_ms()) > 0 && poll(&p, 1, (int)left) == 1) {
		if (recv(fd, &got, sizeof(got), MSG_DONTWAIT) != (ssize_t)sizeof(got))
			return ANSWER_UNKNOWN;
		if (got.number == number)
			return (enum answer)got.answer;
	}
	return ANSWER_UNKNOWN;
}

int
executable_connect(const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	(void)err_errno(err, "%s", path);
	if (fd >= 0)
		close(fd);
	return -1;
}

int
executable_ask(int fd, int pidfd, const char *path, struct err *err)
{
	static _Atomic uint64_t last;
	uint64_t number = atomic_fetch_add(&last, 1) + 1;
	enum answer answer;

	if (fd < 0)
		return err_set(err, ERR_UNAVAILABLE, "nobody here can tell which program a process runs");
	if (send_question(fd, number, pidfd, path) < 0)
		return err_errno(err, "asking which program a process runs");
	answer = wait_for_answer(fd, number);
	if (answer == ANSWER_UNKNOWN)
		return err_set(err, ERR_UNAVAILABLE, "it could not be found out which program the process runs");
	return answer == ANSWER_YES;
}

/* -- Answering ----------------------------------------------------------------------------------------------------------------------------- */

static bool
has_ended(int pidfd)
{
	return poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 0) != 0;
}

/* "Pid:\t123" among the facts about the descriptor; 0 or less: it is no pidfd, or its process is not seen from here. */
static int64_t
pid_of(int pidfd)
{
	OWN_TEXT path = mem_textf("/proc/self/fdinfo/%d", pidfd);
	CLEAR(buf) text = BUF_INIT(FDINFO_MAX);
	struct err none = ERR_INIT;
	const char *at = file_load(&text, path, &none) == 0 ? strstr(buf_text(&text), "\nPid:\t") : NULL;
	OWN_TEXT number = at ? mem_textn(at + 6, strcspn(at + 6, "\n")) : NULL;
	int64_t pid = 0;

	return number && text_to_i64(number, 1, INT32_MAX, &pid) ? pid : 0;
}

/* The number may meet another process only when the one that is meant has ended, so that is looked at last. */
static enum answer
judge(int pidfd, const char *path)
{
	int64_t pid = pid_of(pidfd);
	OWN_TEXT link = mem_textf("/proc/%lld/exe", (long long)pid);
	struct stat runs, wanted;

	if (pid <= 0 || stat(link, &runs) < 0 || has_ended(pidfd))
		return ANSWER_UNKNOWN;
	if (stat(path, &wanted) < 0)
		return errno == EACCES ? ANSWER_UNKNOWN : ANSWER_NO;
	return runs.st_dev == wanted.st_dev && runs.st_ino == wanted.st_ino ? ANSWER_YES : ANSWER_NO;
}

static int
taken_descriptor(struct msghdr *message)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(head), sizeof(int));
	return fd;
}

bool
executable_answer(int fd)
{
	char path[EXECUTABLE_PATH_MAX + 1];
	struct verdict verdict = { .answer = ANSWER_UNKNOWN };
	struct iovec parts[] = { { &verdict.number, sizeof(verdict.number) }, { path, EXECUTABLE_PATH_MAX } };
	union control control = { 0 };
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = COUNT(parts), .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t len = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int pidfd = len > 0 ? taken_descriptor(&message) : -1;

	if (len <= 0)
		return len < 0 && (errno == EAGAIN || errno == EINTR);
	if (pidfd >= 0 && len > (ssize_t)sizeof(verdict.number) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		path[len - (ssize_t)sizeof(verdict.number)] = '\0';
		verdict.answer = judge(pidfd, path);
	}
	if (pidfd >= 0)
		close(pidfd);
	return send(fd, &verdict, sizeof(verdict), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(verdict);
}

/* -- Answering whoever connects ------------------------------------------------------------------------------------------------------------ */

static void
let_in(struct pollfd *slots, int listening_fd)
{
	int fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC);

	for (size_t i = 0; fd >= 0 && i < ASKERS_MAX; i++)
		if (slots[i].fd < 0) {
			slots[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
			return;
		}
	if (fd >= 0)
		close(fd);
}

static void
answer_all(struct pollfd *slots)
{
	for (size_t i = 0; i < ASKERS_MAX; i++)
		if (slots[i].fd >= 0 && slots[i].revents && !executable_answer(slots[i].fd)) {
			close(slots[i].fd);
			slots[i].fd = -1;
		}
}

static bool
has_asker(const struct pollfd *slots)
{
	for (size_t i = 0; i < ASKERS_MAX; i++)
		if (slots[i].fd >= 0)
			return true;
	return false;
}

int
executable_serve(int listening_fd, struct err *err)
{
	struct pollfd p[1 + ASKERS_MAX] = { { .fd = listening_fd, .events = POLLIN } };
	int is_listening = 0;
	socklen_t len = sizeof(is_listening);

	if (getsockopt(listening_fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 || !is_listening)
		return err_set(err, ERR_INVALID, "standard input is no listening socket: systemd starts this with one");
	for (size_t i = 0; i < ASKERS_MAX; i++)
		p[1 + i].fd = -1;
	for (;;) {
		int n = poll(p, COUNT(p), has_asker(p + 1) ? -1 : IDLE_MS);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_errno(err, "poll");
		answer_all(p + 1);
		if (n > 0 && p[0].revents)
			let_in(p + 1, listening_fd);
	}
}
