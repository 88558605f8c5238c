/* SPDX-License-Identifier: Apache-2.0 */
/* Which copies of a file are good, with the real keyd, whoever is killed between whichever steps. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "gateway/keep/freshness.h"
#include "t.h"

#define VERSIONS_MAX 64
#define WAIT_MS 20000

extern char **environ;

struct copy {
	uint8_t data[4], seal[FRESHNESS_SEAL_LEN];
};

/* A box: keyd with its folder, a process with what it knows, and the file with all copies that somebody has made of it. */
struct box {
	char *socket, *config;
	pid_t keyd;
	struct keyd_client *client;
	struct freshness *f;
	struct copy copies[VERSIONS_MAX];
	size_t n; /* written so far; the last one is on the disk */
};

static void
keyd_start(struct box *b)
{
	OWN_TEXT dir = file_own_dir();
	OWN_TEXT program = mem_textf("%s/../keyd/rootedge-keyd", dir);
	char *words[] = { program, (char *)(uintptr_t) "--config", b->config, NULL };
	int64_t until = clock_boot_ms() + WAIT_MS;
	posix_spawn_file_actions_t quiet;
	struct err err;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	CHECK_INT(posix_spawn(&b->keyd, program, &quiet, NULL, words, environ), 0);
	posix_spawn_file_actions_destroy(&quiet);
	do {
		OWN_TEXT handle = NULL;

		err = (struct err)ERR_INIT;
		handle = keyd_client_load_key(b->client, "edgehub-fresh-none", &err);
	} while (err.kind != ERR_MISSING && clock_boot_ms() < until);
	CHECK_INT(err.kind, ERR_MISSING);
}

static void
keyd_kill(struct box *b)
{
	kill(b->keyd, SIGKILL);
	waitpid(b->keyd, NULL, 0);
	unlink(b->socket);
}

static struct box
box_new(void)
{
	static int n;
	OWN_TEXT dir = mem_textf("%s/box-%d", T_TMPDIR, ++n);
	OWN_TEXT text = NULL;
	struct box b = { .socket = mem_textf("%s/keyd.sock", dir), .config = mem_textf("%s/keyd.json", dir) };
	struct err err = ERR_INIT;

	CHECK_OK(file_make_dir(dir, 0700, &err), err);
	text = mem_textf(
		"{\"dir\": \"%s/keys\", \"principals\": [{\"name\": \"gateway\", \"uid\": %u, \"ids\": [\"edgehub-fresh-*\"]}], "
		"\"sockets\": [{\"path\": \"%s\", \"principal\": \"gateway\"}]}",
		dir, (unsigned)getuid(), b.socket);
	CHECK_OK(file_save(b.config, text, strlen(text), 0600, &err), err);
	b.client = keyd_client_new(b.socket);
	keyd_start(&b);
	b.f = freshness_new(b.client, "file");
	return b;
}

static void
box_clear(struct box *b)
{
	freshness_free(b->f);
	keyd_kill(b);
	keyd_client_free(b->client);
	mem_free(b->socket);
	mem_free(b->config);
}

/* -- Steps ------------------------------------------------------------------------------------------------------------------------------ */

static void
next(struct box *b)
{
	struct err err = ERR_INIT;

	CHECK_OK(freshness_next(b->f, &err), err);
}

static void
write_file(struct box *b)
{
	struct copy *copy = &b->copies[b->n++];

	CHECK(b->n <= VERSIONS_MAX);
	memcpy(copy->data, &b->n, sizeof(copy->data));
	freshness_seal(b->f, copy->data, sizeof(copy->data), copy->seal);
}

static void
settle(struct box *b)
{
	freshness_settle(b->f);
}

static void (*const steps[])(struct box *b) = { next, write_file, settle };

/* The first so many steps of a version. */
static void
go(struct box *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		steps[i](b);
}

/* Would a start go by this copy?  Looked at by a process of its own, which says nothing to the other one. */
static bool
is_good(const struct box *b, size_t version)
{
	struct freshness *other = freshness_new(b->client, "file");
	const struct copy *copy = &b->copies[version];
	struct err err = ERR_INIT;
	int found = freshness_check(other, copy->seal, copy->data, sizeof(copy->data), &err);

	freshness_free(other);
	if (found < 0)
		fail_msg("%s", err.text);
	return found == 1;
}

static size_t
count_good(const struct box *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += is_good(b, i);
	return n;
}

/* kill -9, and a start, which reads the file. */
static void
restart(struct box *b)
{
	const struct copy *copy = &b->copies[b->n - 1];
	struct err err = ERR_INIT;

	freshness_free(b->f);
	b->f = freshness_new(b->client, "file");
	if (freshness_check(b->f, copy->seal, copy->data, sizeof(copy->data), &err) != 1)
		fail_msg("a good file looks as if it had been put back");
}

TEST("a version that is settled is the only one that is good: the one before it is older for good, too")
{
	CLEAR(box) b = box_new();

	for (size_t i = 0; i < 5; i++) {
		go(&b, COUNT(steps));
		CHECK_INT(count_good(&b), 1);
		CHECK(is_good(&b, b.n - 1));
	}
}

TEST("whoever is killed between whichever steps, twice in a row: what is on the disk is good, beside it at most what was "
     "there before, and after the next version nothing is")
{
	CLEAR(box) b = box_new();

	go(&b, COUNT(steps));
	for (size_t first = 0; first <= COUNT(steps); first++)
		for (size_t second = 0; second <= COUNT(steps); second++) {
			const size_t done[] = { first, second };

			b.copies[0] = b.copies[b.n - 1];
			b.n = 1;
			for (size_t i = 0; i < COUNT(done); i++) {
				go(&b, done[i]);
				CHECK(count_good(&b) <= 2);
				CHECK(is_good(&b, b.n - 1));
				restart(&b);
			}
			go(&b, COUNT(steps));
			CHECK_INT(count_good(&b), 1);
			CHECK(is_good(&b, b.n - 1));
		}
}

TEST("who is told that writing failed goes on with the version that has begun: what is on the disk is good, whether it was written "
     "or not")
{
	for (size_t written = 0; written < 2; written++) {
		CLEAR(box) b = box_new();

		go(&b, COUNT(steps));
		for (size_t i = 0; i < 3; i++) {
			go(&b, 1 + written);
			CHECK(is_good(&b, b.n - 1));
		}
		restart(&b);
		go(&b, COUNT(steps));
		CHECK_INT(count_good(&b), 1);
	}
}

TEST("while keyd is away nothing is lost: what is on the disk stays good, and what is older goes when the next begins")
{
	CLEAR(box) b = box_new();
	struct err err = ERR_INIT;

	go(&b, COUNT(steps));
	go(&b, 2);
	keyd_kill(&b);
	settle(&b);
	CHECK(freshness_next(b.f, &err) < 0);
	keyd_start(&b);
	CHECK_INT(count_good(&b), 2);
	write_file(&b); /* with the version that it has */
	settle(&b);
	CHECK(is_good(&b, b.n - 1));
	next(&b);
	CHECK(is_good(&b, b.n - 1));
	CHECK(!is_good(&b, 0));
	restart(&b);
	go(&b, COUNT(steps));
	CHECK_INT(count_good(&b), 1);
}

TEST("the first version of all leaves none good that others have sealed, and what has no seal is older once it is settled")
{
	CLEAR(box) b = box_new();
	struct err err = ERR_INIT;

	CHECK_INT(freshness_is_known(b.f, &err), 0);
	go(&b, 2);
	CHECK_INT(freshness_is_known(b.f, &err), 0);
	settle(&b);
	CHECK_INT(freshness_is_known(b.f, &err), 1);
	freshness_free(b.f); /* the file is gone, or set aside: nothing of it is good after the next */
	b.f = freshness_new(b.client, "file");
	go(&b, COUNT(steps));
	CHECK_INT(count_good(&b), 1);
	CHECK(is_good(&b, 1));
}
