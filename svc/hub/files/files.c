/* SPDX-License-Identifier: Apache-2.0 */
/* The folder, its quota and its pool.  Names are random and given here, so nothing that a device says is ever part of a path; all is opened below the folder's descriptor. */
#include "hub/files/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"
#include "hub/files/file_room.h"
#include "wire/codec.h"

#define THREADS 2
#define QUEUE_MAX 1024
#define KEY_LEN 32
#define KEY_WORD "file_key"
#define FILE_COST 4096 /* of each file beside its bytes: empty ones take room as well */
#define COPY_LEN (1024 * 1024)
#define BLOCK_LIFE_S (24 * 3600) /* of blocks that nobody made a blob of */
#define BLOCKS_AT_A_TIME 1000

struct files {
	struct files_config config;
	struct secret key;
	struct pool *pool;
	int dir;
	int port;
	struct file_room *room;
	atomic_bool stopping;
};

/* -- Removing ----------------------------------------------------------------------------------------------------------------------------- */

static void
remove_file(struct files *files, const char *device_id, const char *file, int64_t size)
{
	if (unlinkat(files->dir, file, 0) == 0 || errno == ENOENT)
		file_room_give_back(files->room, device_id, size + FILE_COST);
}

/* Files of a device that is no more. */
struct removal {
	struct files *files;
	struct dropped {
		char *device_id;
		char file[FILE_ID_LEN];
		int64_t size;
	} * list;
	size_t n;
	struct job job;
	struct owner owner; /* nobody waits */
};

static void
run_removal(struct job *job)
{
	struct removal *removal = CONTAINER_OF(job, struct removal, job);

	for (size_t i = 0; i < removal->n; i++)
		remove_file(removal->files, removal->list[i].device_id, removal->list[i].file, removal->list[i].size);
}

static void
removal_done(struct job *job)
{
	struct removal *removal = CONTAINER_OF(job, struct removal, job);

	for (size_t i = 0; i < removal->n; i++)
		mem_free(removal->list[i].device_id);
	mem_free(removal->list);
	mem_free(removal);
}

/* On the pool's thread: there is nobody to give it back to. */
static void
end_removal(struct owner *owner, struct post *post)
{
	(void)owner;
	post->run(post);
}

static void
note_dropped(void *arg, const char *blob, const char *file, int64_t size)
{
	struct removal *removal = arg;
	struct dropped *one;

	removal->list = mem_resize(removal->list, (removal->n + 1) * sizeof(*removal->list));
	one = &removal->list[removal->n++];
	*one = (struct dropped){ .device_id = file_store_device(blob), .size = size };
	snprintf(one->file, sizeof(one->file), "%s", file);
}

/* On the registry's worker, when no row names them any more.  What is cut off is swept at the next start. */
static void
on_removed(void *arg, const struct identity *before, const struct identity *after)
{
	struct files *files = arg;
	struct removal *removal;
	struct err err = ERR_INIT;

	(void)after;
	if (before->module_id)
		return;
	removal = NEW(removal);
	*removal = (struct removal){ .files = files, .owner = { end_removal } };
	removal->job = (struct job){ .run = run_removal, .done = removal_done, .owner = &removal->owner };
	if (file_store_take_dropped(registry_store_of(files->config.registry), note_dropped, removal, &err) < 0)
		log_error("files: %s", err.text);
	if (removal->n > 0 && files_work(files, &removal->job))
		return;
	run_removal(&removal->job);
	removal_done(&removal->job);
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------------ */

/* Links are signed by it.  It stands in the hub's store, beside the policies' keys. */
static int
load_key(struct files *files, struct err *err)
{
	struct registry_store *store = registry_store_of(files->config.registry);
	CLEAR(buf) bytes = BUF_INIT(KEY_LEN);
	CLEAR(buf) fresh = BUF_INIT(2 * KEY_LEN);
	OWN_TEXT text = NULL;
	uint8_t random[KEY_LEN];

	if (registry_store_get_text(store, KEY_WORD, &text, err) < 0)
		return -1;
	if (!text) {
		random_bytes(random, sizeof(random));
		base64_encode(&fresh, random, sizeof(random));
		mem_wipe(random, sizeof(random));
		text = buf_take_text(&fresh);
		if (registry_store_set_text(store, KEY_WORD, text, err) < 0)
			return -1;
	}
	if (!base64_decode(&bytes, text, strlen(text), BASE64_STRICT) || bytes.len != KEY_LEN)
		return err_set(err, ERR_BROKEN, "the key of the links to uploaded files is damaged");
	secret_set(&files->key, bytes.data, bytes.len);
	mem_wipe(bytes.data, bytes.len);
	mem_wipe(text, strlen(text));
	return 0;
}

struct known {
	struct map *map;
	struct file_room *room;
};

static void
add_known(void *arg, const char *blob, const char *file, int64_t size)
{
	struct known *known = arg;
	OWN_TEXT device_id = file_store_device(blob);

	map_put_text(known->map, file, known);
	file_room_add(known->room, device_id, size + FILE_COST);
}

static void
forget_dropped(void *arg, const char *blob, const char *file, int64_t size)
{
	(void)arg; /* nobody knows it any more: it is swept */
	(void)blob;
	(void)file;
	(void)size;
}

static void
remove_unknown(struct files *files, const struct map *known)
{
	int fd = dup(files->dir);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !map_find_text(known, entry->d_name))
			unlinkat(files->dir, entry->d_name, 0);
	if (dir)
		closedir(dir);
}

static int
sweep(struct files *files, struct err *err)
{
	struct registry_store *store = registry_store_of(files->config.registry);
	struct known known = { .map = map_new(), .room = files->room };
	int done = file_store_files(store, NULL, add_known, &known, err);

	if (done == 0)
		done = file_store_take_dropped(store, forget_dropped, NULL, err);
	if (done == 0)
		remove_unknown(files, known.map);
	map_free(known.map);
	return done;
}

struct files *
files_open(const struct files_config *config, struct err *err)
{
	struct files *files = NEW(files);

	files->config = *config;
	files->room = file_room_new(config->quota, config->device_quota);
	files->dir = -1;
	files->pool = pool_new("files", THREADS, QUEUE_MAX);
	if (file_make_dir(config->dir, 0700, err) < 0)
		goto failed;
	files->dir = open(config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (files->dir < 0) {
		(void)err_errno(err, "%s", config->dir);
		goto failed;
	}
	if (load_key(files, err) == 0 && sweep(files, err) == 0) {
		registry_watch(config->registry, REGISTRY_REMOVED, on_removed, files);
		return files;
	}
failed:
	files_stop(files);
	files_close(files);
	return NULL;
}

void
files_stop(struct files *files)
{
	if (!files)
		return;
	atomic_store(&files->stopping, true);
	pool_free(files->pool);
	files->pool = NULL;
}

void
files_close(struct files *files)
{
	if (!files)
		return;
	if (files->dir >= 0)
		close(files->dir);
	secret_clear(&files->key);
	file_room_free(files->room);
	mem_free(files);
}

/* -- Questions ---------------------------------------------------------------------------------------------------------------------------- */

bool
files_are_taken(const struct files *files)
{
	return files->config.quota > 0;
}

void
files_set_port(struct files *files, int port)
{
	files->port = port;
}

char *
files_host(const struct files *files)
{
	if (files->port == 443)
		return mem_text(files->config.hostname);
	return mem_textf("%s:%d", files->config.hostname, files->port);
}

const struct secret *
files_key(const struct files *files)
{
	return &files->key;
}

struct registry *
files_registry(const struct files *files)
{
	return files->config.registry;
}

struct pool *
files_pool(const struct files *files)
{
	return files->pool;
}

bool
files_work(struct files *files, struct job *job)
{
	return !atomic_load(&files->stopping) && pool_try(files->pool, job);
}

/* -- A file being written ------------------------------------------------------------------------------------------------------------------ */

void
file_part_init(struct file_part *part, struct files *files, const char *blob)
{
	*part = (struct file_part){ .files = files, .device_id = files ? file_store_device(blob) : NULL, .fd = -1 };
}

void
file_part_clear(struct file_part *part)
{
	if (part->fd >= 0)
		close(part->fd);
	if (part->files && part->id[0] && !part->kept)
		remove_file(part->files, part->device_id, part->id, part->size);
	mem_free(part->device_id);
	*part = (struct file_part){ .fd = -1 };
}

static int
take_room(struct file_part *part, int64_t n)
{
	const struct files_config *config = &part->files->config;

	switch (file_room_take(part->files->room, part->device_id, n)) {
	case FILE_ROOM_DEVICE_FULL:
		part->is_device_full = true;
		return err_set(&part->err, ERR_LIMIT, "the room of %llu bytes for the files of %s is used up",
			(unsigned long long)config->device_quota, part->device_id);
	case FILE_ROOM_FULL:
		return err_set(&part->err, ERR_LIMIT, "the quota of %llu bytes for uploaded files is used up",
			(unsigned long long)config->quota);
	case FILE_ROOM_OK:
		break;
	}
	return 0;
}

static int
part_open(struct file_part *part)
{
	uint8_t random[(FILE_ID_LEN - 1) / 2];
	CLEAR(buf) name = BUF_INIT(FILE_ID_LEN);

	if (part->id[0])
		return 0;
	if (take_room(part, FILE_COST) < 0)
		return -1;
	random_bytes(random, sizeof(random));
	hex_encode(&name, random, sizeof(random), false);
	part->fd = openat(part->files->dir, buf_text(&name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (part->fd < 0) {
		(void)err_errno(&part->err, "making a file in %s", part->files->config.dir);
		file_room_give_back(part->files->room, part->device_id, FILE_COST);
		return -1;
	}
	memcpy(part->id, buf_text(&name), FILE_ID_LEN);
	return 0;
}

void
file_part_write(struct file_part *part, const void *data, size_t len)
{
	const uint8_t *at = data;

	if (part->err.kind != ERR_NONE || part_open(part) < 0 || take_room(part, (int64_t)len) < 0)
		return;
	part->size += (int64_t)len;
	while (len > 0) {
		ssize_t put = write(part->fd, at, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			(void)err_errno(&part->err, "writing in %s", part->files->config.dir);
			return;
		}
		at += put;
		len -= (size_t)put;
	}
}

void
file_part_append(struct file_part *part, const char *file)
{
	uint8_t *piece = NULL;
	ssize_t got = 0;
	int from;

	if (part->err.kind != ERR_NONE)
		return;
	from = files_read(part->files, file, &part->err);
	if (from < 0)
		return;
	piece = mem_new(COPY_LEN);
	while (part->err.kind == ERR_NONE && (got = read(from, piece, COPY_LEN)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			(void)err_errno(&part->err, "reading %s", file);
		else
			file_part_write(part, piece, (size_t)got);
	}
	close(from);
	mem_free(piece);
}

int
file_part_seal(struct file_part *part)
{
	if (part->err.kind == ERR_NONE)
		part_open(part); /* nothing was written: an empty file */
	if (part->err.kind == ERR_NONE && fsync(part->fd) < 0)
		(void)err_errno(&part->err, "syncing a file in %s", part->files->config.dir);
	if (part->err.kind == ERR_NONE && fsync(part->files->dir) < 0)
		(void)err_errno(&part->err, "syncing %s", part->files->config.dir);
	return part->err.kind == ERR_NONE ? 0 : -1;
}

int
files_read(const struct files *files, const char *file, struct err *err)
{
	int fd = openat(files->dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_errno(err, "%s/%s", files->config.dir, file) : fd;
}

void
files_remove(struct files *files, const char *blob, const char *file, int64_t size)
{
	OWN_TEXT device_id = file_store_device(blob);

	remove_file(files, device_id, file, size);
}

static void
remove_old_block(void *arg, const char *blob, const char *file, int64_t size)
{
	files_remove(arg, blob, file, size);
}

int
files_remove_old_blocks(struct files *files, struct err *err)
{
	return file_store_remove_old_blocks(registry_store_of(files->config.registry), clock_wall() - BLOCK_LIFE_S,
		BLOCKS_AT_A_TIME, remove_old_block, files, err);
}
