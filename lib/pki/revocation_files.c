/* SPDX-License-Identifier: Apache-2.0 */
/* Files by their dates, and the set behind a lock (revocation_files.h). */
#include "pki/revocation_files.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"

/* Another file, or another content of it. */
struct mark {
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct revocation_files {
	char *paths[REVOCATION_FILES_MAX];
	struct mark marks[REVOCATION_FILES_MAX];
	size_t n;
	struct certs cas;
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

static struct mark
mark_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (struct mark){ 0 };
	return (struct mark){ st.st_ino, st.st_size, st.st_ctim };
}

static bool
is_same(const struct mark *a, const struct mark *b)
{
	return a->inode == b->inode && a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

bool
revocation_files_have_changed(struct revocation_files *f)
{
	bool changed = false;

	for (size_t i = 0; i < f->n; i++) {
		struct mark now = mark_of(f->paths[i]);

		changed |= !is_same(&now, &f->marks[i]);
		f->marks[i] = now;
	}
	return changed;
}

int
revocation_files_read(struct revocation_files *f, const struct certs *issuers, struct revocations *into, struct err *err)
{
	struct certs all = { 0 };
	int done = 0;

	for (size_t i = 0; i < f->cas.n; i++)
		certs_add(&all, f->cas.item[i]);
	for (size_t i = 0; issuers && i < issuers->n; i++)
		certs_add(&all, issuers->item[i]);
	for (size_t i = 0; i < f->n && done == 0; i++) {
		CLEAR(buf) text = BUF_INIT(REVOCATIONS_MAX_BYTES);

		done = file_load(&text, f->paths[i], err);
		if (done == 0 && revocations_add(into, text.data, text.len, &all, err) < 0)
			done = err_wrap(err, "%s", f->paths[i]);
	}
	certs_clear(&all);
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
