/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the hub keeps in SQLite about files that devices upload: uploads that were begun, blobs and their blocks (whose bytes lie in files, files.h), and the notifications that services read.
 * On the registry's worker. */

#include <stdint.h>

#include "base/err.h"
#include "hub/registry/registry_store.h"

#define FILE_ID_LEN 33 /* of a file's name, with its zero */

/* -- Uploads (hub 2.4) ----------------------------------------------------------------------------------------------------------------- */
struct file_upload {
	char *device_id, *blob; /* owned */
	int64_t expires;
};
void file_upload_clear(struct file_upload *upload);
int file_store_count_uploads(struct registry_store *store, const char *device_id, int64_t now, int64_t *n, struct err *err);
/* Forgets those that ended long ago. */
int file_store_begin_upload(
	struct registry_store *store, const char *correlation_id, const struct file_upload *upload, int64_t now, struct err *err);
/* upload->blob stays NULL when there is none. */
int file_store_find_upload(struct registry_store *store, const char *correlation_id, struct file_upload *upload, struct err *err);
int file_store_end_upload(struct registry_store *store, const char *correlation_id, struct err *err);

/* -- Blobs ------------------------------------------------------------------------------------------------------------------------------- */
struct blob_record {
	char *content_type; /* owned; NULL: none was said */
	char file[FILE_ID_LEN];
	int64_t size, modified;
};
void blob_record_clear(struct blob_record *record);
/* record->file stays "" when there is none. */
int file_store_find_blob(struct registry_store *store, const char *blob, struct blob_record *record, struct err *err);
int file_store_put_blob(struct registry_store *store, const char *blob, const struct blob_record *record, struct err *err);

int file_store_find_block(
	struct registry_store *store, const char *blob, const char *id, struct blob_record *block, struct err *err);
int file_store_put_block(
	struct registry_store *store, const char *blob, const char *id, const struct blob_record *block, struct err *err);
int file_store_remove_blocks(struct registry_store *store, const char *blob, struct err *err);

/* The device of a blob's name; the caller owns it. */
char *file_store_device(const char *blob);
/* All files that rows name: of a blob's blocks, or (blob NULL) of everything. */
typedef void file_store_file(void *arg, const char *blob, const char *file, int64_t size);
int file_store_files(struct registry_store *store, const char *blob, file_store_file *each, void *arg, struct err *err);
/* Blocks sent before then, no more than `max`: their files are given out once no row names them. */
int file_store_remove_old_blocks(
	struct registry_store *store, int64_t before, int64_t max, file_store_file *each, void *arg, struct err *err);

/* With a device go its uploads, blobs and notifications, in the transaction that removes it.  The files are noted, and given out once, after that. */
int file_store_forget_device(struct registry_store *store, const char *device_id, struct err *err);
int file_store_take_dropped(struct registry_store *store, file_store_file *each, void *arg, struct err *err);

/* -- Notifications (hub 4.6) -------------------------------------------------------------------------------------------------------------- */
struct file_notification {
	char *device_id, *blob; /* owned */
	int64_t size, modified, enqueued;
};
void file_notification_clear(struct file_notification *notification);
int file_store_put_notification(struct registry_store *store, const struct file_notification *notification, struct err *err);
/* The oldest that nobody holds, held under `lock` until then; what was handed out too often, or is too old, is dropped on the way.  notification->blob stays NULL: there is none. */
int file_store_take_notification(
	struct registry_store *store, const char *lock, int64_t now, struct file_notification *notification, struct err *err);
/* *held: 0 when that lock holds none (any more). */
int file_store_complete_notification(struct registry_store *store, const char *lock, int64_t now, int64_t *held, struct err *err);
int file_store_abandon_notification(struct registry_store *store, const char *lock, int64_t now, int64_t *held, struct err *err);
