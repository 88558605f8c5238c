/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whole files.  file_save replaces atomically: a temporary file beside it, write, fsync, rename, fsync of the folder; a crash at
 * any instruction leaves the old content or the new, never a mixture.  Reading has a ceiling and refuses what is not a
 * regular file.  All failures name the path.  May block. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Append the content to *out (whose maximum is the ceiling).  ERR_MISSING when there is no such file. */
int file_load(struct buf *out, const char *path, struct err *err);
int file_save(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* The same but for the syncing: after a power cut it may be empty or half there.  For what each start makes anew. */
int file_save_unsynced(const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* Remove what a file_save that was killed left in this folder: half of a file, perhaps a secret.  For the folder's only writer, at its start. */
void file_remove_leftovers(const char *dir);
int file_remove(const char *path, struct err *err); /* absent is fine; the removal is durable */
bool file_exists(const char *path);

/* Whether a file is another one than it was, for who looks again and again: replaced, or written to.  All zero: it is not there. */
struct file_version {
	uint64_t inode, len;
	int64_t changed_s, changed_ns;
};
struct file_version file_version(const char *path);
bool file_version_is(const struct file_version *a, const struct file_version *b);

int file_make_dir(const char *path, mode_t mode, struct err *err); /* with parents; existing is fine */
int file_sync_dir(const char *path, struct err *err);
/* For one process at a time: the descriptor that holds dir_fd/name (which may be the working directory, AT_FDCWD), or -1: ERR_CONFLICT when another process does.  It is a lock of the
 * open file description, so that others can ask whether it is held without taking it. */
int file_lock(int dir_fd, const char *name, struct err *err);
char *file_join(const char *dir, const char *name); /* the caller owns the path */

/* For tests: the n-th write, fsync or rename from now fails with EIO; 0: none. */
extern int file_fault_after;

/* The running executable's folder, for finding the other executables of this program. */
char *file_own_dir(void);
