/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of commands: what is handed out when, what becomes of it, and who hears of that. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "hub/commands/command_queue.h"
#include "hub/commands/command_store.h"
#include "hub/commands/feedback.h"
#include "t.h"
#include "wire/json.h"

#define T0 1700000000
#define LOCK_S (COMMAND_LOCK_MS / 1000)

/* dev1 and its module m in a file of their own; calls run on the test's thread. */
struct fixture {
	char path[128];
	struct registry_store *store;
	struct registry *registry;
	struct command_queue *queue;
	int n_ready;
};

static void
on_ready(void *arg, const char *device_id, const char *module_id)
{
	struct fixture *f = arg;

	(void)device_id;
	(void)module_id;
	f->n_ready++;
}

static void
fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	f->store = registry_store_open(f->path, &err);
	f->registry = f->store ? registry_open(f->store, NULL, &err) : NULL;
	f->queue = f->registry ? command_queue_open(f->registry, &err) : NULL;
	if (!f->queue)
		fail_msg("%s", err.text);
	command_queue_watch(f->queue, on_ready, f);
}

static void
fixture_close(struct fixture *f)
{
	command_queue_close(f->queue);
	registry_close(f->registry);
	registry_store_close(f->store);
}

static void
registry_do(struct fixture *f, enum registry_op op, const char *device_id, const char *module_id)
{
	struct registry_call call = { .op = op,
		.device_id = mem_text(device_id),
		.module_id = mem_text(module_id),
		.wanted = op == REGISTRY_PUT ? identity_new(device_id, module_id) : NULL };

	registry_run(f->registry, &call);
	CHECK_INT(call.answer, REGISTRY_OK);
	registry_call_clear(&call);
}

static void
fixture_new(struct fixture *f, const char *name)
{
	snprintf(f->path, sizeof(f->path), "%s/%s.sqlite", T_TMPDIR, name);
	f->n_ready = 0;
	clock_set_for_test(T0);
	fixture_open(f);
	registry_do(f, REGISTRY_PUT, "dev1", NULL);
	registry_do(f, REGISTRY_PUT, "dev1", "m");
}

static void
fixture_end(struct fixture *f)
{
	fixture_close(f);
	clock_set_for_test(0);
}

static int64_t
add_with(struct fixture *f, const struct command *command, enum command_answer expected)
{
	struct command_call call = { .op = COMMAND_ADD, .device_id = mem_text("dev1"), .command = *command };
	int64_t sequence;

	command_queue_run(f->queue, &call);
	CHECK_INT(call.answer, expected);
	sequence = call.sequence;
	command_call_clear(&call);
	return sequence;
}

static int64_t
add(struct fixture *f, const char *payload)
{
	return add_with(f,
		&(struct command){ .payload = slice_of(payload), .message_id = slice_of(payload), .ack = COMMAND_ACK_FULL },
		COMMAND_OK);
}

/* "one/1 two/1": the payloads that are handed out, each with its number of deliveries. */
static char *
take(struct fixture *f, struct command_call *call)
{
	struct buf text = BUF_INIT(4096);

	call->op = COMMAND_TAKE;
	call->device_id = mem_text("dev1");
	command_queue_run(f->queue, call);
	CHECK_INT(call->answer, COMMAND_OK);
	for (size_t i = 0; i < call->n_parcels; i++)
		buf_putf(&text, "%s%.*s/%d", i > 0 ? " " : "", (int)call->parcels[i].len, (char *)call->parcels[i].payload,
			call->parcels[i].n_deliveries);
	return buf_take_text(&text);
}

static void
expect_session(struct fixture *f, bool is_first, const char *expected)
{
	struct command_call call = { .max = 16, .is_session = true, .is_first = is_first };
	OWN_TEXT text = take(f, &call);

	CHECK_STR(text, expected);
	for (size_t i = 0; i < call.n_parcels; i++)
		CHECK_STR(call.parcels[i].lock_token, NULL);
	command_call_clear(&call);
}

/* The lock token of the one that is handed out, which must be this one. */
static char *
take_one(struct fixture *f, const char *expected)
{
	struct command_call call = { .max = 1 };
	OWN_TEXT text = take(f, &call);
	char *token = call.n_parcels > 0 ? mem_text(call.parcels[0].lock_token) : NULL;

	CHECK_STR(text, expected);
	command_call_clear(&call);
	return token;
}

static void
settle(struct fixture *f, const char *token, int64_t sequence, enum command_outcome outcome, enum command_answer expected)
{
	struct command_call call = { .op = COMMAND_SETTLE,
		.device_id = mem_text("dev1"),
		.lock_token = mem_text(token),
		.sequence = sequence,
		.outcome = outcome };

	command_queue_run(f->queue, &call);
	CHECK_INT(call.answer, expected);
	command_call_clear(&call);
}

/* "one:Success two:Expired", of what is to be fetched. */
static char *
feedback(struct fixture *f, enum feedback_answer expected, char **token)
{
	struct feedback_call call = { .op = FEEDBACK_TAKE };
	struct buf text = BUF_INIT(8192);
	json_t *record;
	size_t i;

	feedback_run(f->registry, &call);
	CHECK_INT(call.answer, expected);
	if (call.answer == FEEDBACK_OK)
		json_array_foreach(call.records, i, record)
			buf_putf(&text, "%s%s:%s", i > 0 ? " " : "",
				json_string_value(json_object_get(record, "originalMessageId")),
				json_string_value(json_object_get(record, "statusCode")));
	*token = mem_text(call.lock_token);
	feedback_call_clear(&call);
	return buf_take_text(&text);
}

static void
expect_feedback(struct fixture *f, const char *expected)
{
	OWN_TEXT token = NULL;
	OWN_TEXT text = feedback(f, FEEDBACK_OK, &token);

	CHECK_STR(text, expected);
}

static enum feedback_answer
settle_feedback(struct fixture *f, enum feedback_op op, const char *token)
{
	struct feedback_call call = { .op = op, .lock_token = mem_text(token) };
	enum feedback_answer answer;

	feedback_run(f->registry, &call);
	answer = call.answer;
	feedback_call_clear(&call);
	return answer;
}

TEST("commands are handed out in order, each to one, and a lock that ran out gives them back")
{
	struct fixture f;

	fixture_new(&f, "order");
	add(&f, "one");
	add(&f, "two");
	CHECK_INT(f.n_ready, 2);
	expect_session(&f, true, "one/1 two/1");
	expect_session(&f, false, "");
	add(&f, "three");
	expect_session(&f, false, "three/1");
	clock_set_for_test(T0 + LOCK_S - 1);
	expect_session(&f, false, "");
	clock_set_for_test(T0 + LOCK_S);
	expect_session(&f, false, "one/2 two/2 three/2");
	fixture_end(&f);
}

TEST("who connects again gets at once what it had not acknowledged, also after a restart of the hub")
{
	struct fixture f;
	int64_t one;

	fixture_new(&f, "again");
	one = add(&f, "one");
	add(&f, "two");
	expect_session(&f, true, "one/1 two/1");
	settle(&f, NULL, one, COMMAND_COMPLETE, COMMAND_OK);
	expect_session(&f, true, "two/2");
	fixture_close(&f);
	fixture_open(&f);
	CHECK_INT(command_queue_count(f.queue, "dev1", NULL), 1);
	expect_session(&f, true, "two/3");
	fixture_end(&f);
}

TEST("a session's lock is none of a poller's, and the other way round")
{
	struct fixture f;
	OWN_TEXT token = NULL;
	int64_t one;

	fixture_new(&f, "apart");
	one = add(&f, "one");
	token = take_one(&f, "one/1");
	expect_session(&f, true, "");
	settle(&f, NULL, one, COMMAND_COMPLETE, COMMAND_LOCK_LOST);
	settle(&f, "guessed", 0, COMMAND_COMPLETE, COMMAND_LOCK_LOST);
	settle(&f, token, 0, COMMAND_COMPLETE, COMMAND_OK);
	settle(&f, token, 0, COMMAND_COMPLETE, COMMAND_LOCK_LOST);
	CHECK_INT(command_queue_count(f.queue, "dev1", NULL), 0);
	fixture_end(&f);
}

TEST("an abandoned command is there again at once, and its lock settles nothing any more")
{
	struct fixture f;
	OWN_TEXT token = NULL;
	OWN_TEXT again = NULL;

	fixture_new(&f, "abandon");
	add(&f, "one");
	token = take_one(&f, "one/1");
	settle(&f, token, 0, COMMAND_ABANDON, COMMAND_OK);
	CHECK_INT(f.n_ready, 2);
	settle(&f, token, 0, COMMAND_COMPLETE, COMMAND_LOCK_LOST);
	again = take_one(&f, "one/2");
	clock_set_for_test(T0 + LOCK_S);
	settle(&f, again, 0, COMMAND_COMPLETE, COMMAND_LOCK_LOST);
	fixture_end(&f);
}

TEST("what could not be sent was no delivery")
{
	struct fixture f;
	int64_t one;

	fixture_new(&f, "unsent");
	one = add(&f, "one");
	for (int i = 0; i < 2 * COMMAND_DELIVERIES_MAX; i++) {
		expect_session(&f, false, "one/1");
		settle(&f, NULL, one, COMMAND_UNSENT, COMMAND_OK);
	}
	fixture_end(&f);
}

TEST("what an old session could not send does not take from the new one what that has")
{
	struct fixture f;
	struct command_call unsent = {
		.op = COMMAND_SETTLE, .device_id = mem_text("dev1"), .n_deliveries = 1, .outcome = COMMAND_UNSENT
	};

	fixture_new(&f, "late");
	unsent.sequence = add(&f, "one");
	expect_session(&f, true, "one/1");
	expect_session(&f, true, "one/2");
	command_queue_run(f.queue, &unsent);
	CHECK_INT(unsent.answer, COMMAND_LOCK_LOST);
	command_call_clear(&unsent);
	expect_session(&f, false, "");
	fixture_end(&f);
}

TEST("an identity that was deleted and made again gets nothing on behalf of the old one")
{
	struct fixture f;
	struct command_call take_call = { .op = COMMAND_TAKE, .device_id = mem_text("dev1"), .max = 1 };
	OWN(identity) old = NULL;

	fixture_new(&f, "reborn");
	old = registry_find(f.registry, "dev1", NULL);
	take_call.generation_id = mem_text(old->generation_id);
	registry_do(&f, REGISTRY_REMOVE, "dev1", NULL);
	registry_do(&f, REGISTRY_PUT, "dev1", NULL);
	add(&f, "new");
	command_queue_run(f.queue, &take_call);
	CHECK_INT(take_call.answer, COMMAND_NO_DEVICE);
	CHECK_INT(take_call.n_parcels, 0);
	command_call_clear(&take_call);
	expect_session(&f, true, "new/1");
	fixture_end(&f);
}

TEST("after ten deliveries in vain a command is dead, and its sender hears of it")
{
	struct fixture f;

	fixture_new(&f, "ten");
	add(&f, "one");
	for (int i = 1; i <= COMMAND_DELIVERIES_MAX; i++) {
		OWN_TEXT expected = mem_textf("one/%d", i);

		expect_session(&f, true, expected);
	}
	expect_session(&f, true, "");
	CHECK_INT(command_queue_count(f.queue, "dev1", NULL), 0);
	clock_set_for_test(T0 + FEEDBACK_BATCH_MS / 1000);
	expect_feedback(&f, "one:DeliveryCountExceeded");
	fixture_end(&f);
}

TEST("commands expire where nobody asks for them, but not while a device has one")
{
	struct fixture f;
	int64_t expires_ms = (int64_t)(T0 + 30) * 1000, held;

	fixture_new(&f, "expire");
	held = add_with(&f, &(struct command){ .message_id = slice_of("held"), .ack = COMMAND_ACK_FULL, .expires_ms = expires_ms },
		COMMAND_OK);
	expect_session(&f, true, "/1");
	add_with(&f, &(struct command){ .message_id = slice_of("late"), .ack = COMMAND_ACK_NEGATIVE, .expires_ms = expires_ms },
		COMMAND_OK);
	add_with(&f, &(struct command){ .message_id = slice_of("mute"), .expires_ms = expires_ms }, COMMAND_OK);
	clock_set_for_test(T0 + 30);
	command_queue_sweep(f.queue);
	CHECK_INT(command_queue_count(f.queue, "dev1", NULL), 1);
	settle(&f, NULL, held, COMMAND_COMPLETE, COMMAND_OK);
	clock_set_for_test(T0 + 60);
	expect_feedback(&f, "late:Expired held:Success");
	fixture_end(&f);
}

TEST("a fiftieth command is the last, until one has ended; another queue is another matter")
{
	struct fixture f;
	struct command_call module = { .op = COMMAND_ADD, .device_id = mem_text("dev1"), .module_id = mem_text("m") };
	int64_t first = 0;

	fixture_new(&f, "full");
	for (int i = 0; i < COMMAND_PENDING_MAX; i++) {
		int64_t sequence =
			add_with(&f, &(struct command){ .expires_ms = i == 7 ? (int64_t)(T0 + 5) * 1000 : 0 }, COMMAND_OK);

		first = first ? first : sequence;
	}
	add_with(&f, &(struct command){ .ack = COMMAND_ACK_NONE }, COMMAND_QUEUE_FULL);
	command_queue_run(f.queue, &module);
	CHECK_INT(module.answer, COMMAND_OK);
	command_call_clear(&module);
	settle(&f, NULL, first, COMMAND_COMPLETE, COMMAND_OK);
	add_with(&f, &(struct command){ .ack = COMMAND_ACK_NONE }, COMMAND_OK);
	add_with(&f, &(struct command){ .ack = COMMAND_ACK_NONE }, COMMAND_QUEUE_FULL);
	clock_set_for_test(T0 + 5);
	add_with(&f, &(struct command){ .ack = COMMAND_ACK_NONE }, COMMAND_OK);
	CHECK_INT(command_queue_count(f.queue, "dev1", NULL), COMMAND_PENDING_MAX);
	fixture_end(&f);
}

TEST("a command is at most 64 KB with its properties, and ends within two days")
{
	struct fixture f;
	char *large = mem_new(COMMAND_SIZE_MAX);

	fixture_new(&f, "large");
	memset(large, 'x', COMMAND_SIZE_MAX);
	add_with(&f, &(struct command){ .payload = { large, COMMAND_SIZE_MAX } }, COMMAND_OK);
	add_with(&f, &(struct command){ .payload = { large, COMMAND_SIZE_MAX }, .properties = slice_of("a=b") }, COMMAND_TOO_LARGE);
	add_with(&f, &(struct command){ .properties = { large, COMMAND_SIZE_MAX - 1 } }, COMMAND_TOO_LARGE);
	add_with(&f, &(struct command){ .expires_ms = (int64_t)T0 * 1000 }, COMMAND_BAD_EXPIRY);
	add_with(&f, &(struct command){ .expires_ms = (int64_t)T0 * 1000 + COMMAND_LIFE_MAX_MS + 1 }, COMMAND_BAD_EXPIRY);
	mem_free(large);
	fixture_end(&f);
}

TEST("a purge ends all of one queue, and tells who asked for bad news")
{
	struct fixture f;
	struct command_call purge = { .op = COMMAND_PURGE, .device_id = mem_text("dev1") };

	fixture_new(&f, "purge");
	add(&f, "one");
	expect_session(&f, true, "one/1");
	add(&f, "two");
	command_queue_run(f.queue, &purge);
	CHECK_INT(purge.answer, COMMAND_OK);
	CHECK_INT(purge.n_purged, 2);
	command_call_clear(&purge);
	CHECK_INT(command_queue_count(f.queue, "dev1", NULL), 0);
	clock_set_for_test(T0 + 60);
	expect_feedback(&f, "one:Purged two:Purged");
	fixture_end(&f);
}

TEST("feedback comes in batches: 64 records at once, fewer after 15 s; a lock that ran out or was abandoned gives them back")
{
	struct fixture f;
	OWN_TEXT none = NULL;
	OWN_TEXT first = NULL;
	OWN_TEXT second = NULL;
	OWN_TEXT text = NULL;
	OWN_TEXT rest = NULL;

	fixture_new(&f, "feedback");
	settle(&f, NULL, add(&f, "one"), COMMAND_REJECT, COMMAND_OK);
	text = feedback(&f, FEEDBACK_NOTHING, &none);
	CHECK_STR(none, NULL);
	for (int i = 1; i < FEEDBACK_BATCH_MAX + 1; i++)
		settle(&f, NULL, add(&f, "x"), COMMAND_COMPLETE, COMMAND_OK);
	mem_free(text);
	text = feedback(&f, FEEDBACK_OK, &first);
	CHECK(text_starts(text, "one:Rejected x:Success"));
	CHECK_INT(settle_feedback(&f, FEEDBACK_ABANDON, first), FEEDBACK_OK);
	CHECK_INT(settle_feedback(&f, FEEDBACK_COMPLETE, first), FEEDBACK_LOCK_LOST);
	mem_free(text);
	text = feedback(&f, FEEDBACK_OK, &second);
	CHECK(text_starts(text, "one:Rejected"));
	CHECK_INT(settle_feedback(&f, FEEDBACK_COMPLETE, second), FEEDBACK_OK);
	rest = feedback(&f, FEEDBACK_NOTHING, &none);
	clock_set_for_test(T0 + 15);
	expect_feedback(&f, "x:Success");
	clock_set_for_test(T0 + 15 + FEEDBACK_LOCK_MS / 1000);
	expect_feedback(&f, "x:Success");
	fixture_end(&f);
}

TEST("feedback that nobody fetches is forgotten after an hour")
{
	struct fixture f;
	OWN_TEXT token = NULL;
	OWN_TEXT text = NULL;

	fixture_new(&f, "old");
	settle(&f, NULL, add(&f, "one"), COMMAND_COMPLETE, COMMAND_OK);
	clock_set_for_test(T0 + FEEDBACK_LIFE_MS / 1000);
	command_queue_sweep(f.queue);
	text = feedback(&f, FEEDBACK_NOTHING, &token);
	fixture_end(&f);
}

TEST("for nobody there is no queue")
{
	struct fixture f;
	struct command_call call = { .op = COMMAND_ADD, .device_id = mem_text("dev1"), .module_id = mem_text("other") };
	struct command_call other = { .op = COMMAND_PURGE, .device_id = mem_text("dev2") };

	fixture_new(&f, "nobody");
	command_queue_run(f.queue, &call);
	CHECK_INT(call.answer, COMMAND_NO_MODULE);
	command_queue_run(f.queue, &other);
	CHECK_INT(other.answer, COMMAND_NO_DEVICE);
	command_call_clear(&call);
	command_call_clear(&other);
	fixture_end(&f);
}
