/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "certd/turns.h"
#include "t.h"

static struct turns *turns;
static atomic_int n_inside, n_made;

static struct csr *
request(const struct key *key, const char *name)
{
	struct err err = ERR_INIT;
	CLEAR(buf) pem = BUF_INIT(65536);

	CHECK_OK(issue_csr(&pem, key, name, NULL, 0, &err), err);
	return csr_parse(buf_text(&pem), pem.len, &err);
}

static void *
make(void *arg)
{
	struct turn *turn = turns_take(turns, "a");
	OWN(csr) csr = request(arg, "d");

	if (atomic_fetch_add(&n_inside, 1) == 0 && !turn_was_made(turn, csr)) {
		atomic_fetch_add(&n_made, 1);
		turn_made(turn, GIVE(csr));
	}
	atomic_fetch_sub(&n_inside, 1);
	turns_give(turns, turn);
	return NULL;
}

TEST("who waits for the turn of an id with the same wish has it made once; another id's turn is nobody's to wait for")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	pthread_t threads[5];
	struct turn *mine, *other;

	turns = turns_new();
	mine = turns_take(turns, "a");
	other = turns_take(turns, "b");
	for (size_t i = 0; i < COUNT(threads); i++)
		CHECK(pthread_create(&threads[i], NULL, make, key) == 0);
	while (turns_waiting(turns, "a") < COUNT(threads))
		sched_yield();
	CHECK_INT(turns_waiting(turns, "b"), 0);
	turns_give(turns, other);
	turns_give(turns, mine);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(n_made, 1);
	turns_free(turns);
}

TEST("a turn that nobody waited for remembers nothing, and another wish is not the one that was made")
{
	struct err err = ERR_INIT;
	OWN(key) key = key_generate(KEY_EC_P256, &err);
	OWN(csr) csr = request(key, "d");
	OWN(csr) other = request(key, "e");
	struct turn *turn;

	turns = turns_new();
	turn = turns_take(turns, "a");
	turn_made(turn, request(key, "d"));
	CHECK(turn_was_made(turn, csr) && !turn_was_made(turn, other));
	turn_made(turn, NULL);
	CHECK(!turn_was_made(turn, csr));
	turn_made(turn, request(key, "d"));
	turns_give(turns, turn);
	turn = turns_take(turns, "a");
	CHECK(!turn_was_made(turn, csr));
	turns_give(turns, turn);
	turns_free(turns);
}
