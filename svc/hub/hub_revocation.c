/* SPDX-License-Identifier: Apache-2.0 */
/* Three sources, one set (hub_revocation.h). */
#include "hub/hub_revocation.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/ca_crl.h"
#include "hub/provisioning/issuing.h"
#include "pki/revocation_files.h"

#define LOOK_MS 1000

struct hub_revocation {
	struct hub_revocation_config config;
	struct revocation_board *board;
	struct revocation_files *files;
	struct ca_revoked *revoked; /* of the issuing CA; NULL: there is none */
	int64_t n_revoked;	    /* what of that was read */
	struct revocations *beside; /* what of those was read */
	void (*changed)(void *arg);
	void *changed_arg;
	struct timer timer;
	struct job job;
	bool is_looking; /* on the loop */
};

/* -- Sources ---------------------------------------------------------------------------------------------------------------------------- */

static int
add_files(struct hub_revocation *r, struct revocations *set, struct err *err)
{
	OWN(authorities) cas = r->config.cas ? ca_current(r->config.cas) : authorities_new();
	struct certs known = { 0 };
	int done;

	for (size_t i = 0; i < authorities_count(cas); i++)
		certs_add(&known, authorities_item(cas, i)->cert);
	done = revocation_files_read(r->files, &known, set, err);
	certs_clear(&known);
	return done;
}

static int
add_own(struct hub_revocation *r, struct revocations *set, struct err *err)
{
	return r->revoked ? ca_crl_set(set, r->revoked, r->config.issuing->journal, err) : 0;
}

/* Has anything changed?  What there is now is what was looked at, whether it can be read or not. */
static int
notice(struct hub_revocation *r, bool *changed, struct err *err)
{
	struct revocations *beside = r->config.beside ? r->config.beside(r->config.beside_arg) : NULL;
	int64_t n = r->n_revoked;

	*changed = revocation_files_have_changed(r->files);
	*changed |= beside != r->beside;
	revocations_free(r->beside);
	r->beside = beside;
	if (r->revoked && ca_revoked_count(r->revoked, &n, err) < 0)
		return -1;
	*changed |= n != r->n_revoked;
	r->n_revoked = n;
	return 0;
}

static int
read_all(struct hub_revocation *r, struct err *err)
{
	OWN(revocations) set = revocations_new();

	if (add_files(r, set, err) < 0 || add_own(r, set, err) < 0)
		return -1;
	if (r->beside)
		revocations_merge(set, r->beside);
	if (revocations_count(set) > 0)
		log_info("%zu certificates are known as revoked", revocations_count(set));
	revocation_board_put(r->board, GIVE(set));
	return 0;
}

/* -- Looking again, on the worker -------------------------------------------------------------------------------------------------------- */

static void
run(struct job *job)
{
	struct hub_revocation *r = CONTAINER_OF(job, struct hub_revocation, job);
	struct err err = ERR_INIT;
	bool changed = false;

	if (notice(r, &changed, &err) < 0 || (changed && read_all(r, &err) < 0)) {
		log_error("revocation: what was known stays: %s", err.text);
		return;
	}
	if (!changed)
		return;
	registry_touch(r->config.registry);
	if (r->changed)
		r->changed(r->changed_arg);
}

static void
done(struct job *job)
{
	struct hub_revocation *r = CONTAINER_OF(job, struct hub_revocation, job);

	r->is_looking = false;
}

static void
look(struct timer *timer)
{
	struct hub_revocation *r = CONTAINER_OF(timer, struct hub_revocation, timer);

	if (!r->is_looking) {
		r->job = (struct job){ .run = run, .done = done, .owner = loop_owner(r->config.loop) };
		r->is_looking = registry_work(r->config.registry, &r->job);
	}
	timer_arm(&r->timer, LOOK_MS);
}

/* -- Opening -------------------------------------------------------------------------------------------------------------------------------- */

static int
open_own(struct hub_revocation *r, struct err *err)
{
	OWN_TEXT path = r->config.issuing ? ca_revoked_path(r->config.journal_path) : NULL;

	if (!path)
		return 0;
	r->revoked = ca_revoked_open(path, err);
	return r->revoked ? 0 : -1;
}

struct hub_revocation *
hub_revocation_open(const struct hub_revocation_config *config, struct err *err)
{
	struct hub_revocation *r = NEW(hub_revocation);
	bool changed;

	r->config = *config;
	r->board = revocation_board_new();
	r->files = revocation_files_new(config->files, config->ca_path, err);
	if (r->files && open_own(r, err) == 0 && notice(r, &changed, err) == 0 && read_all(r, err) == 0)
		return r;
	hub_revocation_close(r);
	return NULL;
}

void
hub_revocation_watch(struct hub_revocation *r, void (*changed)(void *arg), void *arg)
{
	r->changed = changed;
	r->changed_arg = arg;
}

/* Where there is nothing to look at, nobody looks. */
void
hub_revocation_start(struct hub_revocation *r)
{
	bool has_files = r->config.files && r->config.files[0];

	if (!has_files && !r->revoked && !r->config.beside)
		return;
	timer_init(&r->timer, r->config.loop, look);
	timer_arm(&r->timer, LOOK_MS);
}

void
hub_revocation_close(struct hub_revocation *r)
{
	if (!r)
		return;
	revocation_files_free(r->files);
	ca_revoked_close(r->revoked);
	revocations_free(r->beside);
	revocation_board_free(r->board);
	mem_free(r);
}

struct revocations *
hub_revocation_current(struct hub_revocation *r)
{
	return revocation_board_current(r->board);
}
