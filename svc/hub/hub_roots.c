/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at folders of roots, and what the registered CAs become by them (hub_roots.h). */
#include "hub/hub_roots.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "ca/trust_dir.h"

#define LOOK_MS 1000
#define AGAIN_MS 60000 /* after a failure */
#define DIRS_MAX EST_TRUST_DIRS_MAX
#define FINGERPRINT_SHOWN 8

/* -- The CAs that are registered ------------------------------------------------------------------------------------------------------- */

struct registered {
	struct ca_call list;
	struct authorities *now; /* those of the operator's file are there alone */
};

static void
registered_clear(struct registered *r)
{
	ca_call_clear(&r->list);
	authorities_free(r->now);
}

static void
read_registered(struct registered *r, struct ca_registry *cas)
{
	r->list.op = CA_LIST;
	ca_run(cas, &r->list);
	r->now = ca_current(cas);
}

static const struct ca_record *
find(const struct registered *r, const struct cert *root)
{
	for (size_t i = 0; i < r->list.n_found; i++)
		if (cert_is_same(r->list.found[i]->cert, root))
			return r->list.found[i];
	return NULL;
}

/* For whom the line of these roots speaks: as the first of them that is verified.  NULL: none is. */
static const struct authority *
find_speaker(const struct registered *r, const struct rollover *roots)
{
	for (size_t i = 0; i < roots->n; i++) {
		const struct authority *found = authorities_find(r->now, cert_sha256(roots->roots[i].cert));

		if (found)
			return found;
	}
	return NULL;
}

/* -- Another one, and one less ---------------------------------------------------------------------------------------------------------- */

/* From its common name, as far as that is a name of a CA; the fingerprint keeps it apart from others. */
static char *
name_of(const struct cert *root)
{
	char fingerprint[CERT_FINGERPRINT_LEN];
	struct buf name = BUF_INIT(CA_NAME_MAX + 1);
	const char *cn = cert_common_name(root);

	for (; cn && *cn && name.len < CA_NAME_MAX - FINGERPRINT_SHOWN - 1; cn++)
		buf_putc(&name,
			(*cn >= 'a' && *cn <= 'z') || (*cn >= 'A' && *cn <= 'Z') || (*cn >= '0' && *cn <= '9') || strchr("-._", *cn)
				? *cn
				: '-');
	buf_putc(&name, '-');
	cert_fingerprint(root, fingerprint);
	for (size_t i = 0, n = 0; n < FINGERPRINT_SHOWN; i++)
		if (fingerprint[i] != ':') {
			buf_putc(&name, fingerprint[i]);
			n++;
		}
	return buf_take_text(&name);
}

static int
finish(struct ca_registry *cas, struct ca_call *call, struct err *err)
{
	int done = 0;

	ca_run(cas, call);
	if (call->answer != CA_OK)
		done = err_set(err, call->err.kind ? call->err.kind : ERR_BROKEN, "the CA %s: %s", call->name,
			*call->err.text ? call->err.text : "it can't be changed");
	ca_call_clear(call);
	return done;
}

static int
add(struct ca_registry *cas, struct cert *root, const struct authority *as, struct err *err)
{
	struct ca_call call = {
		.op = CA_PUT, .name = name_of(root), .cert = cert_ref(root), .has_verified = true, .is_verified = true
	};

	call.has_scope = true;
	call.scope = authority_scope_copy(&as->scope);
	log_info("the root %s follows %s: its devices are let in from now on", cert_subject(root), as->name);
	return finish(cas, &call, err);
}

static int
drop(struct ca_registry *cas, const struct ca_record *record, struct err *err)
{
	struct ca_call call = { .op = CA_REMOVE, .name = mem_text(record->name), .if_match = mem_text("*") };

	log_info("the root %s has retired: the CA %s is registered no longer", cert_subject(record->cert), record->name);
	return finish(cas, &call, err);
}

/* What the operator has registered under another name, verified or not, is his. */
static int
take_new(struct ca_registry *cas, const struct registered *r, const struct rollover *roots, struct err *err)
{
	const struct authority *speaker = find_speaker(r, roots);

	for (size_t i = 0; speaker && i < roots->n; i++) {
		const struct rollover_root *root = &roots->roots[i];

		if (root->state == ROLLOVER_RETIRED || find(r, root->cert) || authorities_find(r->now, cert_sha256(root->cert)))
			continue;
		if (add(cas, root->cert, speaker, err) < 0)
			return -1;
	}
	return 0;
}

static int
let_leave(struct ca_registry *cas, const struct registered *r, const struct rollover *roots, struct err *err)
{
	for (size_t i = 0; i < roots->n; i++) {
		const struct cert *root = roots->roots[i].cert;
		const struct ca_record *record = find(r, root);

		if (roots->roots[i].state == ROLLOVER_RETIRED && record && drop(cas, record, err) < 0)
			return -1;
	}
	return 0;
}

static bool
has_one_that_stays(const struct registered *r, const struct rollover *roots)
{
	for (size_t i = 0; i < roots->n; i++)
		if (roots->roots[i].state != ROLLOVER_RETIRED && authorities_find(r->now, cert_sha256(roots->roots[i].cert)))
			return true;
	return false;
}

static const struct cert *
find_retired(const struct registered *r, const struct rollover *roots)
{
	for (size_t i = 0; i < roots->n; i++)
		if (roots->roots[i].state == ROLLOVER_RETIRED && find(r, roots->roots[i].cert))
			return roots->roots[i].cert;
	return NULL;
}

/* The new ones first: the last one that lets devices in never leaves, which is said for as long as it is so. */
static int
apply(struct ca_registry *cas, const struct rollover *roots, struct err *err)
{
	CLEAR(registered) before = { 0 };
	CLEAR(registered) after = { 0 };
	const struct cert *retired;

	read_registered(&before, cas);
	if (take_new(cas, &before, roots, err) < 0)
		return -1;
	read_registered(&after, cas);
	if (has_one_that_stays(&after, roots))
		return let_leave(cas, &after, roots, err);
	retired = find_retired(&after, roots);
	return retired ? err_set(err, ERR_CONFLICT, "the root %s has retired, but none that follows it is registered and verified",
				 cert_subject(retired))
		       : 0;
}

/* The operator's file is his, and read at the start: with each step and each start. */
static void
tell_of_file(struct ca_registry *cas, const struct rollover *roots)
{
	CLEAR(registered) r = { 0 };

	read_registered(&r, cas);
	for (size_t i = 0; i < roots->n; i++) {
		const struct cert *root = roots->roots[i].cert;

		if (roots->roots[i].state == ROLLOVER_RETIRED && !find(&r, root) && authorities_find(r.now, cert_sha256(root)))
			log_warn("the root %s has retired, and devices are let in by it still: take it out of the file of "
				 "--device-ca, "
				 "and start the hub again",
				cert_subject(root));
	}
}

/* A step that was taken before is not taken again: the operator may have deleted since what it made. */
int
hub_roots_apply(struct ca_registry *cas, struct registry *registry, const char *trust_dir, struct err *err)
{
	OWN_TEXT number = mem_textf("trust:%s", trust_dir);
	CLEAR(trust_dir) dir = { .lock = -1 };
	int64_t generation = 0;

	if (trust_dir_read(&dir, trust_dir, err) < 0 ||
		registry_store_get_number(registry_store_of(registry), number, &generation, err) < 0)
		return -1;
	tell_of_file(cas, &dir.roots);
	if (dir.roots.generation == generation)
		return 0;
	if (apply(cas, &dir.roots, err) < 0)
		return -1;
	return registry_store_set_number(registry_store_of(registry), number, dir.roots.generation, err);
}

/* -- Looking ------------------------------------------------------------------------------------------------------------------------------ */

struct seen {
	char *dir;
	char stamp[TRUST_DIR_STAMP_LEN];
	int64_t again_ms; /* boot clock, when the last look failed: the next one; 0: it did not */
};

struct hub_roots {
	struct hub_roots_config config;
	struct seen seen[DIRS_MAX + 1];
	size_t n_seen;
	struct timer timer;
	struct job job;
	char *dir; /* that the job looks at */
	bool has_failed;
};

struct hub_roots *
hub_roots_new(const struct hub_roots_config *config)
{
	struct hub_roots *r = NEW(hub_roots);

	r->config = *config;
	return r;
}

void
hub_roots_free(struct hub_roots *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_seen; i++)
		mem_free(r->seen[i].dir);
	mem_free(r->dir);
	mem_free(r);
}

static void
run(struct job *job)
{
	struct hub_roots *r = CONTAINER_OF(job, struct hub_roots, job);
	struct err err = ERR_INIT;

	r->has_failed = hub_roots_apply(r->config.cas, r->config.registry, r->dir, &err) < 0;
	if (r->has_failed)
		log_error("the registered CAs stay as they are: %s", err.text);
}

static struct seen *
find_seen(struct hub_roots *r, const char *dir)
{
	for (size_t i = 0; i < r->n_seen; i++)
		if (text_is(r->seen[i].dir, dir))
			return &r->seen[i];
	return NULL;
}

static void
done(struct job *job)
{
	struct hub_roots *r = CONTAINER_OF(job, struct hub_roots, job);
	struct seen *seen = find_seen(r, r->dir);

	if (seen)
		seen->again_ms = r->has_failed ? clock_boot_ms() + AGAIN_MS : 0;
	mem_free(r->dir);
	r->dir = NULL;
}

/* True: it is another one than it was, or what came of that has to be tried again. */
static bool
has_changed(struct hub_roots *r, const char *dir)
{
	char stamp[TRUST_DIR_STAMP_LEN];
	struct seen *seen = find_seen(r, dir);
	bool changed;

	if (!seen && r->n_seen == COUNT(r->seen))
		return false;
	if (!seen) {
		seen = &r->seen[r->n_seen++];
		seen->dir = mem_text(dir);
	}
	trust_dir_stamp(dir, stamp);
	changed = *stamp && (!text_is(stamp, seen->stamp) || (seen->again_ms > 0 && clock_boot_ms() >= seen->again_ms));
	if (changed)
		memcpy(seen->stamp, stamp, sizeof(stamp));
	return changed;
}

/* One folder at a time; the next one with the next look. */
static void
look_at(void *arg, const char *dir)
{
	struct hub_roots *r = arg;

	if (r->dir || !has_changed(r, dir))
		return;
	r->dir = mem_text(dir);
	r->job = (struct job){ .run = run, .done = done, .owner = loop_owner(r->config.loop) };
	if (registry_work(r->config.registry, &r->job))
		return;
	mem_free(r->dir);
	r->dir = NULL;
	for (size_t i = 0; i < r->n_seen; i++) /* too much waits already: all over again */
		*r->seen[i].stamp = '\0';
}

static void
look(struct timer *timer)
{
	struct hub_roots *r = CONTAINER_OF(timer, struct hub_roots, timer);

	if (r->config.trust_dir)
		look_at(r, r->config.trust_dir);
	hub_est_each_trust_dir(r->config.est, look_at, r);
	timer_arm(&r->timer, LOOK_MS);
}

void
hub_roots_start(struct hub_roots *r)
{
	if (!r->config.trust_dir && !r->config.est)
		return;
	timer_init(&r->timer, r->config.loop, look);
	timer_arm(&r->timer, 1);
}
