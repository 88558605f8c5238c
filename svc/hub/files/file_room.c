/* SPDX-License-Identifier: Apache-2.0 */
/* Two sums under a lock (file_room.h); a device that has no files has no entry. */
#include "hub/files/file_room.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"

struct usage {
	int64_t used;
};

struct file_room {
	uint64_t max, max_of_device;
	pthread_mutex_t lock;
	int64_t used;
	struct map *devices;
};

struct file_room *
file_room_new(uint64_t max, uint64_t max_of_device)
{
	struct file_room *room = NEW(file_room);

	room->max = max;
	room->max_of_device = max_of_device;
	room->devices = map_new();
	pthread_mutex_init(&room->lock, NULL);
	return room;
}

void
file_room_free(struct file_room *room)
{
	size_t at = 0;
	void *value;

	if (!room)
		return;
	while (map_next(room->devices, &at, NULL, NULL, &value))
		mem_free(value);
	map_free(room->devices);
	pthread_mutex_destroy(&room->lock);
	mem_free(room);
}

static void
add(struct file_room *room, const char *device_id, int64_t n)
{
	struct usage *usage = map_find_text(room->devices, device_id);

	if (!usage) {
		usage = NEW(usage);
		map_put_text(room->devices, device_id, usage);
	}
	room->used += n;
	usage->used += n;
	if (usage->used <= 0)
		mem_free(map_remove_text(room->devices, device_id));
}

static enum file_room_answer
look(const struct file_room *room, const char *device_id, int64_t n)
{
	const struct usage *usage = map_find_text(room->devices, device_id);

	if ((uint64_t)((usage ? usage->used : 0) + n) > room->max_of_device)
		return FILE_ROOM_DEVICE_FULL;
	return (uint64_t)(room->used + n) > room->max ? FILE_ROOM_FULL : FILE_ROOM_OK;
}

enum file_room_answer
file_room_take(struct file_room *room, const char *device_id, int64_t n)
{
	enum file_room_answer answer;

	pthread_mutex_lock(&room->lock);
	answer = look(room, device_id, n);
	if (answer == FILE_ROOM_OK)
		add(room, device_id, n);
	pthread_mutex_unlock(&room->lock);
	return answer;
}

void
file_room_add(struct file_room *room, const char *device_id, int64_t n)
{
	pthread_mutex_lock(&room->lock);
	add(room, device_id, n);
	pthread_mutex_unlock(&room->lock);
}

void
file_room_give_back(struct file_room *room, const char *device_id, int64_t n)
{
	file_room_add(room, device_id, -n);
}
