/* SPDX-License-Identifier: Apache-2.0 */
/* From the folder to the set at hand (gateway_revocation.h).  What can't be read is looked at again when it, or what is known of CAs, has changed: the hub may tell of the CA later. */
#include "gateway/gateway_revocation.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "gateway/gauges/noted.h"
#include "pki/revocation_files.h"

#define LOOK_MS 1000
#define KEPT_NAME "revoked"

struct gateway_revocation {
	struct scope *scope;
	struct loop *loop;
	struct pool *workers;
	struct revocation_files *files; /* NULL: there is no folder */
	char *kept_path;
	struct revocation_board *board;
	bool is_behind;	    /* what is there could not be read */
	uint64_t epoch;	    /* of the scope, when that was so */
	char *last_trouble; /* is said once */
	void (*changed)(void *arg);
	void *changed_arg;
	struct timer timer;
	struct job job;
	bool is_looking; /* on the loop */
};

struct gateway_revocation *
gateway_revocation_new(const char *dir, const char *state_dir, struct scope *scope, struct loop *loop, struct pool *workers)
{
	struct gateway_revocation *r = NEW(gateway_revocation);
	struct err err = ERR_INIT;

	r->scope = scope;
	r->loop = loop;
	r->workers = workers;
	r->kept_path = file_join(state_dir, KEPT_NAME);
	r->board = revocation_board_new();
	if (dir)
		r->files = revocation_files_new((const char *const[]){ dir, NULL }, NULL, &err);
	return r;
}

void
gateway_revocation_free(struct gateway_revocation *r)
{
	if (!r)
		return;
	if (r->timer.loop)
		timer_cancel(&r->timer);
	revocation_files_free(r->files);
	revocation_board_free(r->board);
	mem_free(r->last_trouble);
	mem_free(r->kept_path);
	mem_free(r);
}

/* For a start at which they can't be read. */
static void
keep(struct gateway_revocation *r, const struct revocations *set)
{
	struct err err = ERR_INIT;

	if (revocations_save(set, r->kept_path, &err) < 0)
		log_error("revocation: after a start it would be forgotten where its list can't be read: %s", err.text);
}

/* What was known before, to what can be read now. */
static void
add_known(const struct gateway_revocation *r, const struct revocations *current, struct revocations *set)
{
	struct err err = ERR_INIT;

	if (current)
		revocations_merge(set, current);
	else if (revocations_load(set, r->kept_path, &err) < 0 && err.kind != ERR_MISSING)
		log_error("revocation: what was known before the start can't be read: %s", err.text);
}

static int
read_all(struct gateway_revocation *r, bool *is_another, struct err *err)
{
	OWN(revocations) current = revocation_board_current(r->board);
	OWN(authorities) cas = scope_cas(r->scope);
	OWN(revocations) set = revocations_new();
	struct certs known = { 0 };
	int done;

	for (size_t i = 0; cas && i < authorities_count(cas); i++)
		certs_add(&known, authorities_item(cas, i)->cert);
	done = revocation_files_read(r->files, &known, set, err);
	certs_clear(&known);
	if (done < 0)
		add_known(r, current, set);
	*is_another = done == 0 || !current || revocations_count(set) > revocations_count(current);
	if (!*is_another)
		return done;
	keep(r, set);
	if (revocations_count(set) > 0)
		log_info("%zu certificates are known as revoked", revocations_count(set));
	revocation_board_put(r->board, GIVE(set));
	return done;
}

static void
tell(struct gateway_revocation *r, const struct err *err)
{
	if (text_is(r->last_trouble, err->text))
		return;
	mem_free(r->last_trouble);
	r->last_trouble = mem_text(err->text);
	log_error("revocation: what can be read counts, and what was known before: %s", err->text);
	noted_revocation(err->text);
}

static void
forget_trouble(struct gateway_revocation *r)
{
	mem_free(r->last_trouble);
	r->last_trouble = NULL;
	noted_revocation(NULL);
}

/* true: there is another set. */
static bool
look(struct gateway_revocation *r)
{
	uint64_t epoch = scope_epoch(r->scope);
	struct err err = ERR_INIT;
	bool is_another;

	if (!revocation_files_have_changed(r->files) && (!r->is_behind || epoch == r->epoch))
		return false;
	r->epoch = epoch;
	r->is_behind = read_all(r, &is_another, &err) < 0;
	if (r->is_behind)
		tell(r, &err);
	else
		forget_trouble(r);
	return is_another;
}

static void
run(struct job *job)
{
	struct gateway_revocation *r = CONTAINER_OF(job, struct gateway_revocation, job);

	if (look(r) && r->changed)
		r->changed(r->changed_arg);
}

static void
done(struct job *job)
{
	CONTAINER_OF(job, struct gateway_revocation, job)->is_looking = false;
}

static void
on_timer(struct timer *timer)
{
	struct gateway_revocation *r = CONTAINER_OF(timer, struct gateway_revocation, timer);

	if (!r->is_looking) {
		r->job = (struct job){ .run = run, .done = done, .owner = loop_owner(r->loop) };
		r->is_looking = pool_try(r->workers, &r->job);
	}
	timer_arm(&r->timer, LOOK_MS);
}

void
gateway_revocation_start(struct gateway_revocation *r)
{
	if (!r->files)
		return;
	(void)look(r);
	timer_init(&r->timer, r->loop, on_timer);
	timer_arm(&r->timer, LOOK_MS);
}

void
gateway_revocation_watch(struct gateway_revocation *r, void (*changed)(void *arg), void *arg)
{
	r->changed = changed;
	r->changed_arg = arg;
}

struct revocations *
gateway_revocation_current(struct gateway_revocation *r)
{
	return revocation_board_current(r->board);
}
