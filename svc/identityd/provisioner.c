/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that provisions this device (provisioner.h).  What is asked of it is a flag under the lock, with a number, so that who asked can wait for the attempt that answers. */
#include "identityd/provisioner.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "identityd/backoff.h"
#include "identityd/module_backup.h"
#include "wire/json.h"

#define PATIENCE_MS 60000      /* of who asks for it: clients wait for about 90 s */
#define REFUSED_PAUSE_MS 60000 /* after a refusal that registering may not have cured */

struct provisioner {
	struct provisioner_config config;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	json_t *host_modules; /* names; replaced as a whole */
	struct device_info *device;
	char *registration_id;
	bool has_thread, stopping, began;
	bool wants_registration, wants_reconciling;
	bool had_host_modules; /* which may have to be removed from the hub */
	uint64_t asked, answered;
	int64_t failures, next_ms, look_ms;
	int64_t refused_until_ms; /* until then a refusal is no reason to register */
	struct err last;	  /* the last attempt's failure */
};

/* -- The question that provisioning is asked --------------------------------------------------------------------------------------------- */

struct asking {
	char *registration_id, *credential;
	struct device_question question;
};

static void
asking_clear(struct asking *a)
{
	mem_free(a->registration_id);
	mem_free(a->credential);
}

static int
ask_self(struct asking *a, const struct provisioner *p, struct err *err)
{
	const struct provisioning_source *s = p->config.source;

	a->registration_id =
		s->registration_id ? mem_text(s->registration_id) : device_credential_common_name(p->config.credential, err);
	a->credential = a->registration_id ? device_credential_digest(p->config.credential, err) : NULL;
	a->question = (struct device_question){ .endpoint = s->endpoint,
		.scope_id = s->scope_id,
		.registration_id = a->registration_id,
		.proof = provisioning_source_proof_name(s),
		.credential = a->credential };
	return a->credential ? 0 : -1;
}

/* -- Under the lock ----------------------------------------------------------------------------------------------------------------------- */

static void
set_device(struct provisioner *p, struct device_info *device_take, const char *registration_id)
{
	device_info_free(p->device);
	p->device = device_take;
	mem_free(p->registration_id);
	p->registration_id = mem_text(registration_id);
}

static void
lock(struct provisioner *p)
{
	pthread_mutex_lock(&p->lock);
}

static void
unlock(struct provisioner *p)
{
	pthread_mutex_unlock(&p->lock);
}

/* -- How it begins ------------------------------------------------------------------------------------------------------------------------ */

static void
begin_with(struct provisioner *p, struct device_info *device_take, const struct asking *a, bool again)
{
	bool always = p->config.source->kind == SOURCE_DPS && p->config.source->mode == MODE_ALWAYS_ON_STARTUP;

	log_info("this device is %s of %s%s", device_take->device_id, device_take->hub_name,
		p->config.source->kind == SOURCE_DPS ? ", as was kept" : "");
	lock(p);
	set_device(p, device_take, a->registration_id);
	p->wants_registration = always || again;
	p->wants_reconciling = !p->wants_registration;
	unlock(p);
}

/* Where somebody else's answer was kept, or none, provisioning has to tell. */
static int
begin_by_dps(struct provisioner *p, struct err *err)
{
	CLEAR(asking) a = { 0 };
	struct err why = ERR_INIT;
	struct device_info *kept;
	bool again;

	if (ask_self(&a, p, err) < 0)
		return -1;
	kept = device_info_load(p->config.state_dir, &a.question, &again, &why);
	if (!kept && why.kind != ERR_MISSING)
		log_warn("what was kept of this device's identity is not used: %s", why.text);
	if (kept) {
		begin_with(p, kept, &a, again);
		return 0;
	}
	lock(p);
	p->wants_registration = true;
	mem_free(p->registration_id);
	p->registration_id = mem_text(a.registration_id);
	unlock(p);
	return 0;
}

static int
begin(struct provisioner *p, struct err *err)
{
	const struct provisioning_source *s = p->config.source;
	int status = s->kind == SOURCE_DPS ? begin_by_dps(p, err) : 0;

	if (s->kind == SOURCE_MANUAL)
		begin_with(p, device_info_new(s->hub_name, p->config.parent, s->device_id), &(struct asking){ 0 }, false);
	lock(p);
	p->began = status == 0;
	unlock(p);
	return status;
}

/* -- Registering -------------------------------------------------------------------------------------------------------------------------- */

static void
keep(const struct provisioner *p, const struct device_info *device, const struct asking *a)
{
	struct err err = ERR_INIT;

	if (device_info_save(p->config.state_dir, device, &a->question, false, &err) < 0)
		log_error("this device's identity can't be kept for a start without a network: %s", err.text);
}

static void
take_assignment(struct provisioner *p, struct device_info *device_take, const struct asking *a)
{
	bool moved;

	keep(p, device_take, a);
	lock(p);
	moved = p->device && !device_info_is_same(p->device, device_take);
	log_info("provisioning assigned this device: %s of %s%s", device_take->device_id, device_take->hub_name,
		moved ? ", which is another than before" : "");
	set_device(p, device_take, a->registration_id);
	p->wants_registration = false;
	p->wants_reconciling = true;
	unlock(p);
	module_backup_forget_others(p->config.state_dir, device_take);
}

static int
do_register(struct provisioner *p, int64_t *retry_after_s, struct err *err)
{
	CLEAR(asking) a = { 0 };
	CLEAR(dps_assignment) assignment = { 0 };

	if (ask_self(&a, p, err) < 0 || dps_client_register(p->config.dps, a.registration_id, &assignment, retry_after_s, err) < 0)
		return -1;
	take_assignment(p, device_info_new(assignment.hub, NULL, assignment.device_id), &a);
	return 0;
}

/* -- Putting modules in order --------------------------------------------------------------------------------------------------------------- */

/* A hub that refuses the device may have lost it to another hub: provisioning knows.  When it was just that which told us this hub, there is only waiting. */
static void
on_refused(struct provisioner *p)
{
	int64_t now = clock_boot_ms();

	lock(p);
	if (p->config.source->kind == SOURCE_DPS && now >= p->refused_until_ms) {
		p->wants_registration = true;
		p->refused_until_ms = now + REFUSED_PAUSE_MS;
		log_warn("the hub refuses this device: provisioning is asked where it belongs");
	}
	unlock(p);
}

/* Dynamic: nobody may have asked the hub for a long time, so that nobody would notice. */
static int64_t
next_look_ms(const struct provisioner *p)
{
	int64_t ms = p->config.look_every_s * 1000;

	if (p->config.source->kind != SOURCE_DPS || p->config.source->mode != MODE_DYNAMIC)
		return INT64_MAX;
	return clock_boot_ms() + ms + (int64_t)(random_u64() % (uint64_t)(ms / 4 + 1));
}

static int
reconcile(const struct provisioner *p, const struct device_info *device, const json_t *names, struct err *err)
{
	const char *list[RECONCILE_MAX];
	size_t n = json_array_size(names);

	for (size_t i = 0; i < n; i++)
		list[i] = json_string_value(json_array_get(names, i));
	return reconcile_run(p->config.modules, p->config.state_dir, device, list, n, err);
}

static json_t *
host_modules(struct provisioner *p)
{
	json_t *names;

	lock(p);
	names = json_incref(p->host_modules);
	unlock(p);
	return names;
}

static int
do_reconcile(struct provisioner *p, struct err *err)
{
	OWN(device_info) device = provisioner_device(p, err);
	OWN_LIB(json_t) names = host_modules(p);
	int status = device ? reconcile(p, device, names, err) : -1;

	if (status < 0) {
		if (err->kind == ERR_DENIED)
			on_refused(p);
		return err_wrap(err, "the hub");
	}
	lock(p);
	p->wants_reconciling = names != p->host_modules; /* they have changed meanwhile */
	p->look_ms = next_look_ms(p);
	unlock(p);
	return 0;
}

/* Only where there is something to find out: by hand it is configured who this device is. */
static bool
has_modules(const struct provisioner *p)
{
	return p->config.source->kind == SOURCE_DPS || json_array_size(p->host_modules) > 0 || p->had_host_modules;
}

/* -- The thread ------------------------------------------------------------------------------------------------------------------------------ */

static int
attempt(struct provisioner *p, bool wants_registration, int64_t *retry_after_s, struct err *err)
{
	if (!p->began)
		return begin(p, err);
	if (wants_registration)
		return do_register(p, retry_after_s, err);
	return do_reconcile(p, err);
}

static void
say_failure(const struct provisioner *p, const struct err *err, int64_t wait_ms)
{
	bool news = p->last.kind == ERR_NONE || !text_is(p->last.text, err->text);

	log_at(news ? LOG_WARN : LOG_DEBUG, "%s, trying again in %lld s: %s",
		p->device ? "this device's identity is not confirmed yet" : "this device is not provisioned yet",
		(long long)(wait_ms + 999) / 1000, err->text);
}

/* Under the lock. */
static void
take_result(struct provisioner *p, int status, const struct err *err, int64_t retry_after_s, uint64_t answering)
{
	p->failures = status < 0 ? p->failures + 1 : 0;
	p->next_ms = 0;
	if (status < 0 && !p->stopping) {
		int64_t wait = backoff_ms(p->failures, err->kind, retry_after_s, random_u64());

		say_failure(p, err, wait);
		p->next_ms = clock_boot_ms() + wait;
	}
	p->last = status < 0 ? *err : (struct err)ERR_INIT;
	p->answered = answering;
	if (p->asked != answering) { /* somebody asked meanwhile: what had begun before is no answer */
		p->wants_registration = true;
		p->next_ms = 0;
	}
	pthread_cond_broadcast(&p->changed);
}

/* Under the lock: -1: nothing to do; else in how many milliseconds. */
static int64_t
due_ms(const struct provisioner *p)
{
	bool is_idle = p->began && !p->wants_registration && !(p->wants_reconciling && has_modules(p));
	int64_t left = (is_idle && p->look_ms > p->next_ms ? p->look_ms : p->next_ms) - clock_boot_ms();

	if (is_idle && p->look_ms == INT64_MAX)
		return -1;
	return left > 0 ? left : 0;
}

static void
wait_for_change(struct provisioner *p, int64_t ms)
{
	struct timespec until;

	if (ms < 0) {
		pthread_cond_wait(&p->changed, &p->lock);
		return;
	}
	clock_until(ms, &until);
	pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

static void *
run(void *arg)
{
	struct provisioner *p = arg;

	lock(p);
	while (!p->stopping) {
		int64_t due = due_ms(p), retry_after_s = -1;
		bool wants_registration = p->wants_registration;
		uint64_t answering = p->asked;
		struct err err = ERR_INIT;
		int status;

		if (due != 0) {
			wait_for_change(p, due);
			continue;
		}
		unlock(p);
		status = attempt(p, wants_registration, &retry_after_s, &err);
		lock(p);
		take_result(p, status, &err, retry_after_s, answering);
	}
	unlock(p);
	return NULL;
}

/* What is kept is there before the first request is; only where keyd or the TPM can't say whose it is, the thread goes on with it. */
static void
begin_now(struct provisioner *p)
{
	struct err err = ERR_INIT;
	int status = begin(p, &err);

	lock(p);
	take_result(p, status, &err, -1, p->asked);
	unlock(p);
}

static json_t *
names_json(const char *const *names, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n && i < RECONCILE_MAX; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

struct provisioner *
provisioner_start(const struct provisioner_config *config)
{
	struct provisioner *p = NEW(provisioner);
	pthread_condattr_t monotonic;

	p->config = *config;
	p->look_ms = INT64_MAX;
	p->had_host_modules = reconcile_has_run(config->state_dir);
	p->host_modules = names_json(config->host_modules, config->n_host_modules);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	begin_now(p);
	p->has_thread = pthread_create(&p->thread, NULL, run, p) == 0;
	if (!p->has_thread)
		log_error("no thread could be made that provisions this device");
	return p;
}

void
provisioner_stop(struct provisioner *p)
{
	if (!p)
		return;
	lock(p);
	p->stopping = true;
	pthread_cond_broadcast(&p->changed);
	unlock(p);
	if (p->has_thread)
		pthread_join(p->thread, NULL);
	device_info_free(p->device);
	mem_free(p->registration_id);
	json_decref(p->host_modules);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	mem_free(p);
}

/* -- For others ------------------------------------------------------------------------------------------------------------------------------ */

struct device_info *
provisioner_device(struct provisioner *p, struct err *err)
{
	struct device_info *device;

	lock(p);
	device = device_info_ref(p->device);
	if (!device && p->config.source->kind == SOURCE_NONE)
		err_set(err, ERR_MISSING, "device identity not found");
	else if (!device)
		err_set(err, ERR_UNAVAILABLE, "this device is not provisioned yet%s%.380s", p->last.kind == ERR_NONE ? "" : ": ",
			p->last.kind == ERR_NONE ? "" : p->last.text);
	unlock(p);
	return device;
}

void
provisioner_set_host_modules(struct provisioner *p, const char *const *names, size_t n)
{
	json_t *next = names_json(names, n);

	lock(p);
	if (json_equal(next, p->host_modules)) {
		json_decref(next);
	} else {
		p->had_host_modules = p->had_host_modules || json_array_size(p->host_modules) > 0;
		json_decref(p->host_modules);
		p->host_modules = next;
		p->wants_reconciling = p->device != NULL;
		p->next_ms = 0;
		pthread_cond_broadcast(&p->changed);
	}
	unlock(p);
}

char *
provisioner_registration_id(struct provisioner *p)
{
	char *id;

	lock(p);
	id = mem_text(p->registration_id);
	unlock(p);
	return id;
}

/* Under the lock: an attempt is begun now, and waited for. */
static int
ask_and_wait(struct provisioner *p, struct err *err)
{
	int64_t until_ms = clock_boot_ms() + PATIENCE_MS, left;
	uint64_t ticket = ++p->asked;

	p->wants_registration = true;
	p->next_ms = 0;
	pthread_cond_broadcast(&p->changed);
	while (p->answered < ticket && !p->stopping && (left = until_ms - clock_boot_ms()) > 0)
		wait_for_change(p, left);
	if (p->answered < ticket)
		return err_set(err, ERR_UNAVAILABLE, "provisioning has not answered yet; it is asked on");
	if (!p->wants_registration)
		return 0;
	*err = p->last;
	return -1;
}

/* What was kept serves on while provisioning is out of reach, but a start in between asks first. */
static void
mark_again(struct provisioner *p)
{
	CLEAR(asking) a = { 0 };
	struct err err = ERR_INIT;
	struct device_info *device = provisioner_device(p, &err);

	if (device && ask_self(&a, p, &err) == 0 && device_info_save(p->config.state_dir, device, &a.question, true, &err) < 0)
		log_warn("a start before provisioning has answered would not know that it is to be asked: %s", err.text);
	device_info_free(device);
}

int
provisioner_reprovision(struct provisioner *p, struct err *err)
{
	int status;

	if (p->config.source->kind != SOURCE_DPS) {
		lock(p);
		p->wants_reconciling = p->device != NULL;
		p->next_ms = 0;
		pthread_cond_broadcast(&p->changed);
		unlock(p);
		return 0;
	}
	log_info("this device is to be provisioned anew");
	mark_again(p);
	lock(p);
	status = ask_and_wait(p, err);
	unlock(p);
	return status;
}

int
provisioner_refused(struct provisioner *p, const struct device_info *device, struct err *err)
{
	const struct provisioning_source *s = p->config.source;
	int status;

	if (s->kind != SOURCE_DPS || s->mode != MODE_DYNAMIC)
		return err_set(err, ERR_DENIED, "the hub refuses this device%s",
			s->kind == SOURCE_DPS ? ", and the mode is not Dynamic" : "");
	lock(p);
	if (p->device && !device_info_is_same(p->device, device)) {
		unlock(p);
		return 0; /* somebody was faster */
	}
	if (clock_boot_ms() < p->refused_until_ms) {
		unlock(p);
		return err_set(err, ERR_DENIED, "the hub refuses this device, and provisioning was asked just now");
	}
	log_warn("the hub refuses this device: provisioning is asked where it belongs");
	p->refused_until_ms = clock_boot_ms() + REFUSED_PAUSE_MS;
	status = ask_and_wait(p, err);
	if (status == 0 && !device_info_is_same(p->device, device))
		p->refused_until_ms = 0;
	unlock(p);
	return status;
}
