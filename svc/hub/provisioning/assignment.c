/* SPDX-License-Identifier: Apache-2.0 */
/* The device is looked for first.  One that is there is left alone when it trusts what is wanted; otherwise it gets its new credential if a registration has made it, and is refused as
 * somebody's own if not (atk-17).  The initial twin is set until the registration has been assigned once: a kill between device and twin loses neither. */
#include "hub/provisioning/assignment.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http_client.h"
#include "wire/codec.h"
#include "wire/json.h"
#include "wire/sas.h"

#define API_VERSION "2021-04-12"
#define TOKEN_S 300
#define TIMEOUT_MS 15000
#define ANSWER_MAX (256 * 1024)
#define URL_MAX 2048

struct assignment {
	struct provisioning *provisioning;
	struct linked_hub hub;
	char *id, *operation, *failure; /* failure: for good */
	struct identity *wanted;
	json_t *twin; /* NULL: none */
	bool owned, made;
	struct job job;
	struct assignment *next; /* of those that run */
};

static void
assignment_free(struct assignment *a)
{
	mem_free(a->hub.host);
	mem_free(a->hub.policy);
	secret_clear(&a->hub.key);
	mem_free(a->id);
	mem_free(a->operation);
	mem_free(a->failure);
	identity_free(a->wanted);
	json_decref(a->twin);
	mem_free(a);
}

/* -- The other hub, on the pool --------------------------------------------------------------------------------------------------- */

static int
ask(struct assignment *a, const char *method, const char *what, const char *if_match, const json_t *body, json_t **out,
	struct err *err)
{
	CLEAR(buf) url = BUF_INIT(URL_MAX);
	struct buf token = BUF_INIT(URL_MAX);
	OWN_TEXT authorization = NULL;
	OWN_TEXT condition = if_match ? mem_textf("If-Match: \"%s\"", if_match) : NULL;
	const char *headers[4] = { "Content-Type: application/json; charset=utf-8" };
	struct http_answer answer;
	struct http_call call = {
		.method = method,
		.headers = headers,
		.anchors = a->provisioning->hub_anchors,
		.timeout_ms = TIMEOUT_MS,
		.max_body = ANSWER_MAX,
		.cancelled = &a->provisioning->stopping,
		.who = "provisioning",
	};
	json_t *found = NULL;
	int done;

	buf_putf(&url, "https://%s/%s/", a->hub.host, what);
	percent_encode(&url, a->wanted->device_id, strlen(a->wanted->device_id));
	buf_puts(&url, "?api-version=" API_VERSION);
	sas_sign(&token, a->hub.host, clock_wall() + TOKEN_S, a->hub.policy, &a->hub.key);
	authorization = mem_textf("Authorization: %s", buf_text(&token));
	buf_wipe(&token);
	headers[1] = authorization;
	headers[2] = condition;
	call.url = buf_text(&url);
	done = http_fetch_json(&found, &answer, &call, body, err);
	http_answer_clear(&answer);
	mem_wipe(authorization, strlen(authorization));
	if (out && done == 0)
		*out = found;
	else
		json_decref(found);
	return done;
}

static int
create(struct assignment *a, struct err *err)
{
	OWN_LIB(json_t) body = identity_to_json(a->wanted, false, true);

	return ask(a, "PUT", "devices", NULL, body, NULL, err);
}

/* What is there keeps all but its credential, as in our own hub. */
static int
renew(struct assignment *a, json_t *found, const struct identity *there, struct err *err)
{
	OWN_LIB(json_t) wanted = identity_to_json(a->wanted, false, true);

	if (!a->owned)
		return err_set(err, ERR_DENIED, "the hub has a device of this id that was not provisioned here");
	json_object_set(found, "authentication", json_object_get(wanted, "authentication"));
	return ask(a, "PUT", "devices", there->etag, found, NULL, err);
}

static int
make_device(struct assignment *a, struct err *err)
{
	OWN_LIB(json_t) found = NULL;
	OWN(identity) there = NULL;

	if (ask(a, "GET", "devices", NULL, NULL, &found, err) < 0) {
		if (err->kind != ERR_MISSING)
			return -1;
		*err = (struct err)ERR_INIT;
		return create(a, err);
	}
	there = identity_from_json(found, err);
	if (!there)
		return -1;
	return identity_same_trust(there, a->wanted) ? 0 : renew(a, found, there, err);
}

static int
make_twin(struct assignment *a, struct err *err)
{
	return a->owned || !a->twin ? 0 : ask(a, "PATCH", "twins", NULL, a->twin, NULL, err);
}

/* A conflict is a race with somebody else's change: the next look tells. */
static bool
is_for_good(const struct err *err)
{
	return err->kind == ERR_DENIED || err->kind == ERR_INVALID;
}

static void
run(struct job *job)
{
	struct assignment *a = CONTAINER_OF(job, struct assignment, job);
	struct err err = ERR_INIT;

	a->made = make_device(a, &err) == 0 && make_twin(a, &err) == 0;
	if (a->made)
		return;
	log_warn("provisioning: %s in the hub %s: %s", a->wanted->device_id, a->hub.host, err.text);
	if (is_for_good(&err))
		a->failure = mem_text(err.text);
}

/* -- The end, on the worker ------------------------------------------------------------------------------------------------------- */

static void
forget(struct job *job)
{
	struct assignment *a = CONTAINER_OF(job, struct assignment, job);
	struct provisioning *p = a->provisioning;
	struct assignment **at = &p->running;

	pthread_mutex_lock(&p->lock);
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	pthread_mutex_unlock(&p->lock);
	assignment_free(a);
}

/* Registered again meanwhile: the device is its own all the same, but assigned it is by a look with the later evidence. */
static void
conclude(struct job *job)
{
	struct assignment *a = CONTAINER_OF(job, struct assignment, job);
	struct db *db = registry_store_db(registry_store_of(a->provisioning->config.registry));
	OWN(registration) r = NULL;
	struct err err = ERR_INIT;
	int done = registration_find(db, a->id, &r, &err);

	if (done == 0 && r && text_is(r->hub, a->hub.host)) {
		r->owned = r->owned || a->made;
		if (text_is(r->operation, a->operation)) {
			r->assigned = a->made;
			r->failure = a->failure ? mem_text(a->failure) : NULL;
			r->updated = clock_wall();
		}
		done = registration_put(db, r, &err);
	}
	if (done < 0)
		log_error("provisioning: %s", err.text);
}

static void
on_tried(struct job *job)
{
	struct assignment *a = CONTAINER_OF(job, struct assignment, job);

	a->job = (struct job){ .run = conclude, .done = forget, .owner = a->provisioning->config.owner };
	if ((!a->made && !a->failure) || !registry_work(a->provisioning->config.registry, &a->job))
		forget(&a->job);
}

/* -- Beginning -------------------------------------------------------------------------------------------------------------------- */

/* One at a time of a registration: who registers again and again fills no queue. */
static bool
is_running(struct provisioning *p, const char *id)
{
	struct assignment *a;

	pthread_mutex_lock(&p->lock);
	for (a = p->running; a && !text_is(a->id, id);)
		a = a->next;
	pthread_mutex_unlock(&p->lock);
	return a != NULL;
}

static void
remember(struct provisioning *p, struct assignment *a)
{
	pthread_mutex_lock(&p->lock);
	a->next = p->running;
	p->running = a;
	pthread_mutex_unlock(&p->lock);
}

bool
assignment_start(struct provisioning *p, const struct registration *r, const struct linked_hub *hub, const struct identity *wanted,
	const json_t *initial_twin)
{
	struct assignment *a;

	if (is_running(p, r->id))
		return true;
	a = NEW(assignment);
	a->provisioning = p;
	a->hub.host = mem_text(hub->host);
	a->hub.policy = mem_text(hub->policy);
	secret_set(&a->hub.key, hub->key.bytes, hub->key.len);
	a->id = mem_text(r->id);
	a->operation = mem_text(r->operation);
	a->owned = r->owned;
	a->wanted = identity_ref(wanted);
	a->twin = initial_twin ? json_deep_copy(initial_twin) : NULL;
	a->job = (struct job){ .run = run, .done = on_tried, .owner = p->config.owner };
	remember(p, a);
	if (pool_try(p->pool, &a->job))
		return true;
	forget(&a->job);
	return false;
}
