/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in SQLite. */
#include "base/mem.h"
#include "hub/commands/command_store.h"
#include "t.h"

static struct registry_store *
open_store(void)
{
	OWN_TEXT path = mem_textf("%s/hub.sqlite", T_TMPDIR);
	struct err err = ERR_INIT;
	struct registry_store *store = registry_store_open(path, &err);

	if (!store)
		fail_msg("%s", err.text);
	return store;
}

static int64_t
add(struct registry_store *store, const char *device_id, const char *module_id, const char *payload)
{
	struct command c = { .device_id = slice_of(device_id),
		.module_id = slice_of(module_id),
		.message_id = slice_of("m1"),
		.properties = slice_of("k=v%201"),
		.payload = slice_of(payload),
		.ack = COMMAND_ACK_FULL,
		.expires_ms = 99 };
	struct err err = ERR_INIT;
	int64_t sequence = 0;

	CHECK_INT(command_store_add(store, &c, &sequence, &err), 0);
	return sequence;
}

struct seen {
	struct buf text;
};

static bool
see(void *arg, const struct command *c, const char *lock_token)
{
	struct seen *seen = arg;

	buf_putf(&seen->text, "%.*s %.*s %.*s %d %s;", SLICE_FMT(c->payload), SLICE_FMT(c->message_id), SLICE_FMT(c->properties),
		c->n_deliveries, lock_token ? lock_token : "-");
	return true;
}

static char *
pending(struct registry_store *store, const char *device_id, const char *module_id)
{
	struct seen seen = { .text = BUF_INIT(4096) };
	struct err err = ERR_INIT;

	CHECK_INT(command_store_pending(store, device_id, module_id, see, &seen, &err), 0);
	return buf_take_text(&seen.text);
}

TEST("commands are there after a restart, in order and with their locks; completed ones are not, and no sequence comes twice")
{
	struct registry_store *store = open_store();
	int64_t one = add(store, "dev1", "", "one"), two = add(store, "dev1", "", "two"), three = add(store, "dev1", "", "three");
	struct err err = ERR_INIT;
	OWN_TEXT left = NULL;

	CHECK(one < two && two < three);
	CHECK_INT(command_store_lock(store, two, "lock-2", 1000, &err), 0);
	CHECK_INT(command_store_remove(store, one, &err), 0);
	CHECK_INT(command_store_remove(store, three, &err), 0);
	registry_store_close(store);
	store = open_store();
	CHECK(add(store, "dev1", "", "four") > three);
	left = pending(store, "dev1", NULL);
	CHECK_STR(left, "two m1 k=v%201 1 lock-2;four m1 k=v%201 0 -;");
	registry_store_close(store);
}

TEST("a deleted module takes its commands with it, a deleted device those of all its modules, and nobody else's")
{
	struct registry_store *store = open_store();
	struct err err = ERR_INIT;
	int64_t n = -1;

	add(store, "dev2", "", "a");
	add(store, "dev2", "m1", "b");
	add(store, "dev2", "m2", "c");
	add(store, "dev3", "", "d");
	CHECK_INT(registry_store_remove(store, "dev2", "m1", &err), 0);
	CHECK_INT(command_store_count(store, "dev2", "m1", &n, &err), 0);
	CHECK_INT(n, 0);
	CHECK_INT(command_store_count(store, "dev2", NULL, &n, &err), 0);
	CHECK_INT(n, 1);
	CHECK_INT(registry_store_remove(store, "dev2", NULL, &err), 0);
	CHECK_INT(command_store_count(store, "dev2", "m2", &n, &err), 0);
	CHECK_INT(n, 0);
	CHECK_INT(command_store_count(store, "dev3", NULL, &n, &err), 0);
	CHECK_INT(n, 1);
	registry_store_close(store);
}
