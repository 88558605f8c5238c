/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bytes of uploaded files: a folder of files with names of our own, each named by a row of file_store.h once it is durable.  What no row names was left by a process that ended, and goes at the
 * start.  All together stay below a quota, and those of a device below another (file_room.h).  A device's files go with it.  Whatever touches the disk runs on a pool of its own, so that a large file holds up no device's registry. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "base/secret.h"
#include "hub/files/file_store.h"
#include "hub/registry/registry.h"

#define FILES_CONTAINER "uploads"
#define FILES_LIFE_S 3600 /* of an upload, and of the link to its blob */

struct files;
struct files_config {
	const char *dir, *hostname; /* borrowed */
	struct registry *registry;  /* borrowed; not yet shared */
	uint64_t quota;		    /* in bytes; 0: nothing is taken */
	uint64_t device_quota;	    /* of it for one device */
};
struct files *files_open(const struct files_config *config, struct err *err);
void files_stop(struct files *files); /* no more work: before the registry's worker is freed */
void files_close(struct files *files);

bool files_are_taken(const struct files *files);
void files_set_port(struct files *files, int port); /* of HTTPS, once it is known */
char *files_host(const struct files *files);	    /* "hub.local" or "hub.local:8443"; the caller owns it */
const struct secret *files_key(const struct files *files);
struct registry *files_registry(const struct files *files);
struct pool *files_pool(const struct files *files);
bool files_work(struct files *files, struct job *job); /* false: too much waits, or it is stopping */

/* -- On the pool -------------------------------------------------------------------------------------------------------------------------- */

/* A file being written.  Unless it is kept, nothing is left of it. */
struct file_part {
	struct files *files;
	struct err err; /* the first failure; everything after it is ignored */
	char id[FILE_ID_LEN];
	int64_t size;
	char *device_id; /* whose room it takes */
	int fd;
	bool kept, is_device_full; /* is_device_full: the failure is that one */
};
void file_part_init(struct file_part *part, struct files *files, const char *blob);
void file_part_clear(struct file_part *part); /* any thread */
void file_part_write(struct file_part *part, const void *data, size_t len);
void file_part_append(struct file_part *part, const char *file); /* the content of another file */
int file_part_seal(struct file_part *part);			 /* durable; -1: err */

int files_read(const struct files *files, const char *file, struct err *err); /* a descriptor that the caller closes */
void files_remove(struct files *files, const char *blob, const char *file, int64_t size);
/* On the registry's worker, now and then: some of the blocks that nobody made a blob of within a day. */
int files_remove_old_blocks(struct files *files, struct err *err);
