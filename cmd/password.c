/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a password (password.h): byte by byte and unbuffered, so that what follows its line is left to whoever reads on, and no copy stays behind in a buffer. */
#include "password.h"

#include <fcntl.h>
#include <limits.h>
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
