/* SPDX-License-Identifier: Apache-2.0 */
/* One thread that asks, and the line that it learns (root_follower.h). */
#include "certd/root_follower.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "net/est_client.h"
#include "wire/json.h"

#define PEM_MAX (1024 * 1024)
#define FIRST_MAX_S 60 /* after the start: others have more urgent business then */
#define INTERVAL_S 3600
#define HELD_MAX 16 /* those of a system are many, and nobody's to retire */
#define BUNDLE_ID "trust-bundle-user"
#define INTERVAL_MAX_S (30 * 86400)

struct root_follower {
	struct cert_store *store;
	const char *source, *path, *system_roots;
	json_t *trusted, *given;
	int64_t interval_s;
	struct root_line line;
	pthread_rwlock_t line_lock;
	char *said; /* of the last look: told once */
	struct est *est;
	char *acknowledged; /* what the server was told last of the roots that are held; NULL: nothing */
	pthread_t thread;
	bool has_thread;
	atomic_bool stopped;
	pthread_mutex_t lock;
	pthread_cond_t wake;
};

/* -- What has followed --------------------------------------------------------------------------------------------------------------- */

void
root_follower_apply(struct root_follower *f, const struct certs *given, struct certs *out)
{
	static const struct root_line none;

	if (!f) {
		root_line_apply(&none, given, out);
		return;
	}
	pthread_rwlock_rdlock(&f->line_lock);
	root_line_apply(&f->line, given, out);
	pthread_rwlock_unlock(&f->line_lock);
}

static bool
has_learnt(struct root_follower *f)
{
	bool has;

	pthread_rwlock_rdlock(&f->line_lock);
	has = f->line.n + f->line.n_retired > 0;
	pthread_rwlock_unlock(&f->line_lock);
	return has;
}

/* Of the operator's bundle, as whoever asks certd gets it. */
static int
put_followed(void *arg, const char *pem, struct buf *out, struct err *err)
{
	struct root_follower *f = arg;
	CLEAR(certs) given = { 0 };
	CLEAR(certs) now = { 0 };

	if (!has_learnt(f)) {
		buf_puts(out, pem);
		return 0;
	}
	if (certs_parse(&given, pem, strlen(pem), CERTS_MAX, err) < 0)
		return -1;
	root_follower_apply(f, &given, &now);
	certs_put_pem(&now, out);
	return 0;
}

/* -- One look ------------------------------------------------------------------------------------------------------------------------ */

static int
load_ids(struct certs *out, struct root_follower *f, const json_t *ids, struct err *err)
{
	size_t i;
	json_t *id;

	json_array_foreach((json_t *)(uintptr_t)ids, i, id) {
		CLEAR(buf) pem = BUF_INIT(PEM_MAX);

		if (cert_store_load_given(f->store, json_string_value(id), &pem, err) < 0 ||
			certs_parse(out, buf_text(&pem), pem.len, CERTS_MAX, err) < 0)
			return -1;
	}
	return 0;
}

static struct anchors *
anchors_of_source(struct root_follower *f, struct err *err)
{
	CLEAR(certs) given = { 0 };
	CLEAR(certs) now = { 0 };

	if (json_array_size(f->trusted) > 0) {
		if (load_ids(&given, f, f->trusted, err) < 0)
			return NULL;
	} else if (!f->system_roots) {
		return err_null(err, ERR_BROKEN, "there is nothing to trust it by");
	} else if (certs_load(&given, f->system_roots, CERTS_MAX, err) < 0) {
		return NULL;
	}
	root_follower_apply(f, &given, &now);
	return anchors_new(&now, err);
}

static int
ask(struct root_follower *f, struct certs *shown, char **retired, struct err *err)
{
	OWN(anchors) anchors = anchors_of_source(f, err);
	struct est_client client = {
		.url = f->source, .anchors = anchors, .cancelled = &f->stopped, .who = "certd", .keeps_roots = true
	};

	return anchors ? est_client_roots(&client, shown, retired, err) : -1;
}

static void
tell_each(const struct certs *roots, enum log_level level, const char *what)
{
	for (size_t i = 0; i < roots->n; i++) {
		OWN_TEXT line = cert_line(roots->item[i]);

		log_at(level, "%s: %s", line, what);
	}
}

/* Said once, and again when it is something else. */
static void
tell_once(struct root_follower *f, const char *words)
{
	if (!text_is(f->said, words) && *words)
		log_warn("the roots stay as they are: %s", words);
	mem_free(f->said);
	f->said = mem_text(words);
}

static void
put_names(struct buf *out, const struct certs *roots, const char *what)
{
	for (size_t i = 0; i < roots->n; i++) {
		char fingerprint[CERT_FINGERPRINT_LEN];

		buf_putf(out, "%s%s (SHA-256 %s) %s", out->len > 0 ? "; " : "", cert_subject(roots->item[i]),
			cert_fingerprint(roots->item[i], fingerprint), what);
	}
}

static void
tell(struct root_follower *f, const struct root_news *news)
{
	CLEAR(buf) words = BUF_INIT(PEM_MAX);

	tell_each(&news->taken, LOG_INFO, "trusted from now on: a root that is trusted has signed it");
	tell_each(&news->left, LOG_INFO, "trusted no longer: its CA has retired it");
	put_names(&words, &news->not_signed, "is shown as a root, and no root that is trusted has signed it");
	put_names(&words, &news->kept, "is said to be retired, with no other root of its line that is trusted beside it");
	tell_once(f, buf_text(&words));
}

/* Durable before anybody goes by it: after a crash all of them trust the same. */
static int
learn(struct root_follower *f, const struct root_answer *answer, struct root_news *news, struct err *err)
{
	CLEAR(certs) given = { 0 };
	CLEAR(root_line) next = { 0 };

	if (load_ids(&given, f, f->given, err) < 0)
		return -1;
	root_line_copy(&next, &f->line);
	if (!root_line_learn(&next, &given, answer, clock_wall(), news, err))
		return err->kind == ERR_NONE ? 0 : -1;
	if (root_line_save(&next, f->path, err) < 0)
		return -1;
	pthread_rwlock_wrlock(&f->line_lock);
	root_line_clear(&f->line);
	f->line = next;
	next = (struct root_line){ 0 };
	pthread_rwlock_unlock(&f->line_lock);
	return 0;
}

/* -- What is held -------------------------------------------------------------------------------------------------------------------- */

/* The first that was given is the bundle that everything on this box goes by, where there is one; all others are for EST servers alone. */
static char *
held(struct root_follower *f, struct err *err)
{
	const char *first = json_string_value(json_array_get(f->given, 0));
	OWN_LIB(json_t) bundle = json_pack("[s*]", first);
	CLEAR(certs) given = { 0 };
	CLEAR(certs) now = { 0 };
	struct buf list = BUF_INIT(HELD_MAX * (2 * DIGEST_SHA256_LEN + 2));

	if (load_ids(&given, f, text_is(first, BUNDLE_ID) ? bundle : f->given, err) < 0)
		return NULL;
	root_follower_apply(f, &given, &now);
	for (size_t i = 0; i < now.n && now.n <= HELD_MAX; i++)
		root_line_put_fingerprint(&list, now.item[i]);
	return buf_take_text(&list);
}

struct acknowledgement {
	struct root_follower *follower;
	struct anchors *anchors;
	const char *held;
};

static int
acknowledge_as(void *arg, const struct est_pair *as, struct err *err)
{
	const struct acknowledgement *a = arg;
	struct est_client client = { .url = a->follower->source,
		.anchors = a->anchors,
		.chain = &as->chain,
		.key = as->key,
		.cancelled = &a->follower->stopped,
		.holds = a->held };
	CLEAR(certs) shown = { 0 };

	return est_client_cas(&client, &shown, err);
}

static void
acknowledge(struct root_follower *f)
{
	struct err err = ERR_INIT;
	OWN_TEXT now = f->est ? held(f, &err) : NULL;
	OWN(anchors) anchors = now && *now && !text_is(now, f->acknowledged) ? anchors_of_source(f, &err) : NULL;

	if (anchors && est_each_identity(f->est, acknowledge_as, &(struct acknowledgement){ f, anchors, now }, &err) == 1) {
		mem_free(f->acknowledged);
		f->acknowledged = GIVE(now);
	}
	if (err.kind != ERR_NONE)
		log_warn("the EST server is not told yet which roots are held: %s", err.text);
}

static void
look(struct root_follower *f)
{
	CLEAR(certs) shown = { 0 };
	CLEAR(root_news) news = { 0 };
	OWN_TEXT retired = NULL;
	struct err err = ERR_INIT;

	if (ask(f, &shown, &retired, &err) < 0 || learn(f, &(struct root_answer){ &shown, retired }, &news, &err) < 0) {
		tell_once(f, err.text);
		return;
	}
	tell(f, &news);
	acknowledge(f);
}

/* -- The thread ---------------------------------------------------------------------------------------------------------------------- */

/* Not all devices at the same time, after a power cut either. */
static int64_t
wait_ms(int64_t seconds)
{
	return seconds * 900 + (int64_t)random_below((uint32_t)(seconds * 200) + 1);
}

/* False: it is time to stop. */
static bool
pause_for(struct root_follower *f, int64_t seconds)
{
	int64_t until_ms = clock_boot_ms() + wait_ms(seconds), left;

	pthread_mutex_lock(&f->lock);
	while (!atomic_load(&f->stopped) && (left = until_ms - clock_boot_ms()) > 0) {
		struct timespec until;

		clock_until(left, &until);
		pthread_cond_timedwait(&f->wake, &f->lock, &until);
	}
	pthread_mutex_unlock(&f->lock);
	return !atomic_load(&f->stopped);
}

static void *
run(void *arg)
{
	struct root_follower *f = arg;

	for (int64_t s = f->interval_s < FIRST_MAX_S ? f->interval_s : FIRST_MAX_S; pause_for(f, s); s = f->interval_s)
		look(f);
	return NULL;
}

/* -- Opening ------------------------------------------------------------------------------------------------------------------------- */

/* Others read the file, whatever the mask of a unit says. */
static int
make_folder(const char *path, struct err *err)
{
	OWN_TEXT dir = mem_textn(path, (size_t)(strrchr(path, '/') - path));
	int fd, done;

	if (file_make_dir(dir, 0755, err) < 0)
		return -1;
	file_remove_leftovers(dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = fd >= 0 ? fchmod(fd, 0755) : -1;
	if (done < 0)
		err_errno(err, "%s", dir);
	if (fd >= 0)
		close(fd);
	return done;
}

/* One that can't be read is not forgotten: it may say who has retired. */
static int
load_line(struct root_follower *f, struct err *err)
{
	if (root_line_load(&f->line, f->path, err) == 0)
		return 0;
	if (err->kind != ERR_MISSING)
		return err_wrap(err, "which roots have followed those that were given (remove the file to begin with these)");
	*err = (struct err)ERR_INIT;
	return 0;
}

static int
take_config(struct root_follower *f, const json_t *config, struct err *err)
{
	f->interval_s = INTERVAL_S;
	if (json_get_text(config, "source", &f->source, err) < 0 || json_get_text(config, "line", &f->path, err) < 0 ||
		json_find_int(config, "interval_sec", &f->interval_s, err) < 0 ||
		json_find_array(config, "trusted", &f->trusted, err) < 0 || json_find_array(config, "given", &f->given, err) < 0)
		return -1;
	if (f->interval_s < 1 || f->interval_s > INTERVAL_MAX_S || !strrchr(f->path, '/'))
		return err_set(err, ERR_INVALID, "interval_sec: 1 to %d, and line: a path", INTERVAL_MAX_S);
	return 0;
}

struct root_follower *
root_follower_new(const struct root_follower_config *config, struct err *err)
{
	struct root_follower *f = NEW(root_follower);
	pthread_condattr_t monotonic;
	size_t i;
	json_t *id;

	f->store = config->store;
	f->system_roots = config->system_roots;
	pthread_rwlock_init(&f->line_lock, NULL);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (take_config(f, config->config, err) < 0 || make_folder(f->path, err) < 0 || load_line(f, err) < 0) {
		root_follower_free(f);
		return err_wrap_null(err, "trust");
	}
	json_array_foreach(f->given, i, id)
		cert_store_change(f->store, json_string_value(id), put_followed, f);
	return f;
}

int
root_follower_start(struct root_follower *f, struct est *est, struct err *err)
{
	int error;

	f->est = est;
	error = pthread_create(&f->thread, NULL, run, f);
	f->has_thread = error == 0;
	errno = error;
	return error ? err_errno(err, "the thread that follows roots") : 0;
}

void
root_follower_free(struct root_follower *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	atomic_store(&f->stopped, true);
	pthread_cond_broadcast(&f->wake);
	pthread_mutex_unlock(&f->lock);
	if (f->has_thread)
		pthread_join(f->thread, NULL);
	root_line_clear(&f->line);
	pthread_rwlock_destroy(&f->line_lock);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->wake);
	mem_free(f->said);
	mem_free(f->acknowledged);
	mem_free(f);
}
