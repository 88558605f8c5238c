/* SPDX-License-Identifier: Apache-2.0 */
/* Files by their dates, and the set behind a lock (revocation_files.h). */
#include "pki/revocation_files.h"

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define FOUND_MAX 256

struct revocation_files {
	char *paths[REVOCATION_FILES_MAX];
	size_t n;
	struct certs cas;
	uint8_t seen[DIGEST_SHA256_LEN]; /* of what revocation_files_have_changed saw */
};

struct revocation_files *
revocation_files_new(const char *const *paths, const char *ca_path, struct err *err)
{
	struct revocation_files *f = NEW(revocation_files);

	for (size_t i = 0; paths && paths[i] && f->n < REVOCATION_FILES_MAX; i++)
		f->paths[f->n++] = mem_text(paths[i]);
	if (!ca_path || certs_load(&f->cas, ca_path, CERTS_MAX, err) == 0)
		return f;
	revocation_files_free(f);
	return NULL;
}

void
revocation_files_free(struct revocation_files *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n; i++)
		mem_free(f->paths[i]);
	certs_clear(&f->cas);
	mem_free(f);
}

/* -- Files and folders -------------------------------------------------------------------------------------------------------------- */

struct found {
	char *path;
	bool in_folder;
};
struct all_found {
	struct found item[FOUND_MAX];
	size_t n;
};

static void
all_found_clear(struct all_found *all)
{
	for (size_t i = 0; i < all->n; i++)
		mem_free(all->item[i].path);
	all->n = 0;
}

static void
add_found(struct all_found *all, char *path_take, bool in_folder)
{
	if (all->n < FOUND_MAX)
		all->item[all->n++] = (struct found){ path_take, in_folder };
	else
		mem_free(path_take);
}

static int
is_candidate(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && end && (text_is(end, ".crl") || text_is(end, ".pem"));
}

/* In the order of their names, so that the same files are the same. */
static void
find_all(struct all_found *all, const struct revocation_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct dirent **list = NULL;
		int n = scandir(f->paths[i], &list, is_candidate, alphasort);

		if (n < 0)
			add_found(all, mem_text(f->paths[i]), false);
		for (int k = 0; k < n; k++) {
			add_found(all, file_join(f->paths[i], list[k]->d_name), true);
			free(list[k]);
		}
		free(list);
	}
}

/* Another file, another content, or another name. */
static void
digest_found(uint8_t out[static DIGEST_SHA256_LEN], const struct all_found *all)
{
	CLEAR(buf) text = BUF_INIT(FOUND_MAX * (PATH_MAX + 128));

	for (size_t i = 0; i < all->n; i++) {
		struct stat st = { 0 };

		(void)stat(all->item[i].path, &st);
		buf_putf(&text, "%s|%llu|%lld|%lld|%ld\n", all->item[i].path, (unsigned long long)st.st_ino, (long long)st.st_size,
			(long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
	}
	digest_sha256(text.data, text.len, out);
}

bool
revocation_files_have_changed(struct revocation_files *f)
{
	CLEAR(all_found) all = { 0 };
	uint8_t now[DIGEST_SHA256_LEN];
	bool same;

	find_all(&all, f);
	digest_found(now, &all);
	same = memcmp(now, f->seen, sizeof(now)) == 0;
	memcpy(f->seen, now, sizeof(now));
	return !same;
}

/* -- Reading -------------------------------------------------------------------------------------------------------------------------- */

/* A file of a folder that has certificates alone: its CAs may have signed what lies beside it. */
static bool
take_cas(struct certs *cas, const struct found *file)
{
	struct certs more = { 0 };
	struct err err = ERR_INIT;
	bool done = file->in_folder && certs_load(&more, file->path, CERTS_MAX, &err) == 0;

	for (size_t i = 0; i < more.n; i++)
		certs_add(cas, more.item[i]);
	certs_clear(&more);
	return done;
}

static int
read_one(struct revocations *into, const char *path, const struct certs *cas, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(REVOCATIONS_MAX_BYTES);

	if (file_load(&text, path, err) < 0)
		return -1;
	return revocations_add(into, text.data, text.len, cas, err) < 0 ? err_wrap(err, "%s", path) : 0;
}

int
revocation_files_read(struct revocation_files *f, const struct certs *issuers, struct revocations *into, struct err *err)
{
	CLEAR(all_found) all = { 0 };
	bool is_cas[FOUND_MAX] = { false };
	struct certs cas = { 0 };
	int done = 0;

	find_all(&all, f);
	for (size_t i = 0; i < f->cas.n; i++)
		certs_add(&cas, f->cas.item[i]);
	for (size_t i = 0; issuers && i < issuers->n; i++)
		certs_add(&cas, issuers->item[i]);
	for (size_t i = 0; i < all.n; i++)
		is_cas[i] = take_cas(&cas, &all.item[i]);
	for (size_t i = 0; i < all.n; i++) {
		struct err why = ERR_INIT;

		if (is_cas[i] || read_one(into, all.item[i].path, &cas, &why) == 0)
			continue;
		if (done == 0)
			*err = why;
		done = -1;
	}
	certs_clear(&cas);
	return done;
}

struct revocation_board {
	pthread_mutex_t lock; /* held while a reference is taken */
	struct revocations *current;
};

struct revocation_board *
revocation_board_new(void)
{
	struct revocation_board *board = NEW(revocation_board);

	pthread_mutex_init(&board->lock, NULL);
	return board;
}

void
revocation_board_free(struct revocation_board *board)
{
	if (!board)
		return;
	revocations_free(board->current);
	pthread_mutex_destroy(&board->lock);
	mem_free(board);
}

struct revocations *
revocation_board_current(struct revocation_board *board)
{
	struct revocations *current;

	pthread_mutex_lock(&board->lock);
	current = revocations_ref(board->current);
	pthread_mutex_unlock(&board->lock);
	return current;
}

void
revocation_board_put(struct revocation_board *board, struct revocations *set_take)
{
	struct revocations *old;

	pthread_mutex_lock(&board->lock);
	old = board->current;
	board->current = set_take;
	pthread_mutex_unlock(&board->lock);
	revocations_free(old);
}
