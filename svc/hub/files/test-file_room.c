/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/files/file_room.h"
#include "t.h"

TEST("a device takes no more than its part, and all together no more than there is; what is given back is there for anyone")
{
	OWN(file_room) room = file_room_new(100, 60);

	CHECK_INT(file_room_take(room, "dev1", 60), FILE_ROOM_OK);
	CHECK_INT(file_room_take(room, "dev1", 1), FILE_ROOM_DEVICE_FULL);
	CHECK_INT(file_room_take(room, "dev2", 41), FILE_ROOM_FULL);
	CHECK_INT(file_room_take(room, "dev2", 40), FILE_ROOM_OK);
	CHECK_INT(file_room_take(room, "dev3", 1), FILE_ROOM_FULL);
	file_room_give_back(room, "dev1", 10);
	CHECK_INT(file_room_take(room, "dev3", 10), FILE_ROOM_OK);
	file_room_give_back(room, "dev1", 50);
	CHECK_INT(file_room_take(room, "dev1", 50), FILE_ROOM_OK);
}

TEST("what is there at the start counts, also where it is more than there should be")
{
	OWN(file_room) room = file_room_new(100, 60);

	file_room_add(room, "dev1", 150);
	CHECK_INT(file_room_take(room, "dev1", 1), FILE_ROOM_DEVICE_FULL);
	CHECK_INT(file_room_take(room, "dev2", 1), FILE_ROOM_FULL);
	file_room_give_back(room, "dev1", 51);
	CHECK_INT(file_room_take(room, "dev2", 1), FILE_ROOM_OK);
}
