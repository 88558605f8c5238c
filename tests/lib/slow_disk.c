/* SPDX-License-Identifier: Apache-2.0 */
/* A slow disk, for LD_PRELOAD: to make a file durable takes as many milliseconds longer as the file SLOW_DISK says, which may change, and need not be there. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void
wait_for_it(void)
{
	const char *path = getenv("SLOW_DISK");
	FILE *file = path ? fopen(path, "re") : NULL;
	long ms = 0;
	struct timespec time;

	if (!file)
		return;
	if (fscanf(file, "%ld", &ms) != 1)
		ms = 0;
	fclose(file);
	time = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	nanosleep(&time, NULL);
}

int
fsync(int fd)
{
	static int (*next)(int);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "fsync");
	wait_for_it();
	return next(fd);
}

int
fdatasync(int fd)
{
	static int (*next)(int);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "fdatasync");
	wait_for_it();
	return next(fd);
}
