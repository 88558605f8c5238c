/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a password (password.h): byte by byte and unbuffered, so that what follows its line is left to whoever reads on, and no copy stays behind in a buffer. */
#include "password.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define FD_PREFIX "fd://"

static int
open_source(const char *where, struct err *err)
{
	int64_t number;
	int fd;

	if (!where || text_is(where, "-"))
		return STDIN_FILENO;
	if (text_starts(where, FD_PREFIX))
		return text_to_i64(where + sizeof(FD_PREFIX) - 1, 0, INT_MAX, &number)
			       ? (int)number
			       : err_set(err, ERR_INVALID, "'%.80s' is no descriptor such as fd://3", where);
	fd = open(where, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_errno(err, "%s", where) : fd;
}

/* How many bytes the line has, or -1. */
static ssize_t
read_line(char out[static PASSWORD_SIZE], int fd)
{
	ssize_t len = 0, n = 0;

	while (len < PASSWORD_SIZE - 1 && (n = read(fd, out + len, 1)) == 1 && out[len] != '\n')
		len++;
	if (n < 0 || len == PASSWORD_SIZE - 1)
		return -1;
	if (len > 0 && out[len - 1] == '\r')
		len--;
	out[len] = '\0';
	return len;
}

int
password_read(char out[static PASSWORD_SIZE], const char *where, struct err *err)
{
	const char *from = where && !text_is(where, "-") ? where : "standard input";
	int fd = open_source(where, err);
	ssize_t len;

	if (fd < 0)
		return -1;
	len = read_line(out, fd);
	if (fd != STDIN_FILENO)
		close(fd);
	if (len > 0)
		return 0;
	mem_wipe(out, PASSWORD_SIZE);
	return err_set(err, ERR_INVALID, "%.200s: a password of 1 to %d bytes is to be its first line", from, PASSWORD_SIZE - 2);
}

/* -- At the terminal ------------------------------------------------------------------------------------------------------------------- */

static struct termios shown;
static int terminal;

/* Who gives up by ^C gets his terminal back as it was. */
static void
on_signal(int number)
{
	(void)tcsetattr(terminal, TCSAFLUSH, &shown);
	(void)raise(number);
}

static ssize_t
read_hidden(char out[static PASSWORD_SIZE], int fd, const char *question)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };
	struct sigaction before[COUNT(signals)], give_back = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
	struct termios hidden;
	ssize_t len;

	if (tcgetattr(fd, &shown) < 0)
		return -1;
	terminal = fd;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	for (size_t i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], &give_back, &before[i]);
	len = tcsetattr(fd, TCSAFLUSH, &hidden);
	if (len == 0) {
		dprintf(fd, "%s: ", question); /* not before: what is typed at once is not shown, either */
		len = read_line(out, fd);
		dprintf(fd, "\n");
	}
	(void)tcsetattr(fd, TCSAFLUSH, &shown);
	for (size_t i = 0; i < COUNT(signals); i++)
		sigaction(signals[i], &before[i], NULL);
	return len;
}

int
password_ask(char out[static PASSWORD_SIZE], const char *question, struct err *err)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	ssize_t len;

	if (fd < 0)
		return err_set(err, ERR_MISSING, "there is no terminal to ask for it");
	len = read_hidden(out, fd, question);
	close(fd);
	if (len >= 0)
		return 0;
	mem_wipe(out, PASSWORD_SIZE);
	return err_set(err, ERR_INVALID, "a password of at most %d bytes was expected", PASSWORD_SIZE - 2);
}
