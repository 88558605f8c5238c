/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Room for uploaded files: how much all of them may take, and those of one device, so that one can't take it from the others.  Taken before it is used, so that many at a time stay below it as well.
 * Any thread. */

#include <stdint.h>

#include "base/own.h"

struct file_room;
struct file_room *file_room_new(uint64_t max, uint64_t max_of_device); /* in bytes */
void file_room_free(struct file_room *room);
OWN_DEFINE(file_room);

enum file_room_answer { FILE_ROOM_OK, FILE_ROOM_FULL, FILE_ROOM_DEVICE_FULL };
enum file_room_answer file_room_take(struct file_room *room, const char *device_id, int64_t n);
void file_room_give_back(struct file_room *room, const char *device_id, int64_t n);
/* What is there at the start, wanted or not. */
void file_room_add(struct file_room *room, const char *device_id, int64_t n);
