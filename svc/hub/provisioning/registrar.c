/* SPDX-License-Identifier: Apache-2.0 */
/* What devices do (hub 6.1): register, ask how that goes, look it up.  Every request is judged anew with the evidence of its own connection, and nothing is
 * told as assigned before the registration and the device in the hub are durable.
 *
 * The order of writing: first the registration claims the device id, then the hub's record is made or changed, then the registration is assigned.  What a kill leaves is
 * gone on with by the next register, with the same device and the same keys, because all of it follows from the enrollment.
 *
 * A device of the hub that no registration has claimed is somebody's own: it is taken over only when it trusts exactly what the enrollment says (atk-17). */
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/provisioning/allocation.h"
#include "hub/provisioning/assignment.h"
#include "hub/provisioning/attest.h"
#include "hub/provisioning/registrar.h"
#include "wire/codec.h"
#include "wire/json.h"

#define RETRY_AFTER_S 1
#define PAYLOAD_MAX (64 * 1024) /* on one line; what fits into a packet fits, too */

enum numbers {
	BAD_ARGUMENT = 400004,
	UNAUTHORIZED = 401000,
	NO_REGISTRATION = 404202,
	NO_OPERATION = 404203,
	CONFLICT = 409203,
};

/* -- Answers ---------------------------------------------------------------------------------------------------------------------- */

static void
answer(struct registrar_call *call, int status, json_t *body_take)
{
	json_decref(call->answer.body);
	call->answer.status = status;
	call->answer.body = body_take;
}

static __attribute__((format(printf, 3, 4))) void
fail(struct registrar_call *call, int number, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	answer(call, number / 1000, provisioning_error(number, fmt, args));
	va_end(args);
	call->answer.number = number;
	call->answer.retry_after_s = provisioning_retry_after_s(number);
}

static void
fail_broken(struct registrar_call *call, const struct err *err)
{
	log_error("provisioning: %s", err->text);
	if (err->kind == ERR_UNAVAILABLE)
		fail(call, 503001, "the service can't write now");
	else
		fail(call, 500001, "internal error");
}

void
registrar_refuse_busy(struct registrar_call *call)
{
	fail(call, 429001, "too many requests wait; try again");
}

static struct db *
db_of(const struct registrar_call *call)
{
	return registry_store_db(registry_store_of(call->provisioning->config.registry));
}

void
registrar_call_clear(struct registrar_call *call)
{
	json_decref(call->answer.body);
	call->answer = (struct registrar_answer){ 0 };
}

/* -- Judging ------------------------------------------------------------------------------------------------------------------------ */

static struct enrollment *
decide(struct registrar_call *call, const struct enrollment_groups *groups, const struct enrollment *individual)
{
	struct attest_claim claim = {
		.id_scope = call->provisioning->id_scope, .given_scope = call->id_scope, .registration_id = call->registration_id
	};
	struct attest_evidence evidence = { .chain = call->chain, .token = call->token };
	struct attest_records records = {
		.individual = individual, .groups = (const struct enrollment *const *)groups->item, .n_groups = groups->n
	};
	const struct enrollment *matched;
	OWN(verdict) v = attest_decide(&claim, &evidence, &records, clock_wall(), &matched);

	service_log_verdict(v);
	if (matched)
		return enrollment_ref(matched);
	/* The reason is the operator's: it stands in the log. */
	fail(call, UNAUTHORIZED, "Unauthorized");
	return NULL;
}

/* Who has an enrollment of its own is judged by that alone.  NULL: answered. */
static struct enrollment *
judge(struct registrar_call *call)
{
	static const struct enrollment_groups none;
	struct enrollment_groups *groups = &call->provisioning->groups;
	OWN(enrollment) individual = NULL;
	struct db *db = db_of(call);
	struct err err = ERR_INIT;

	if (enrollment_id_is_valid(call->registration_id) &&
		enrollment_store_find(db, false, call->registration_id, &individual, &err) < 0) {
		fail_broken(call, &err);
		return NULL;
	}
	if (individual)
		return decide(call, &none, individual);
	if (enrollment_groups_load(groups, db, &err) < 0) {
		fail_broken(call, &err);
		return NULL;
	}
	return decide(call, groups, NULL);
}

bool
registrar_admit(struct registrar_call *call)
{
	OWN(enrollment) e = judge(call);

	return e != NULL;
}

/* -- The device in the hub ------------------------------------------------------------------------------------------------------------ */

static char *
thumbprint_of(const struct cert *cert)
{
	struct buf hex = BUF_INIT(128);

	hex_encode(&hex, cert_sha256(cert), DIGEST_SHA256_LEN, true);
	return buf_take_text(&hex);
}

/* hub 6.5: individual certificates by both slots, a single one in both; what a CA vouches for by the leaf that was shown. */
static void
trust_certs(struct identity *device, const struct enrollment *e, const struct certs *chain)
{
	const struct cert *shown = e->proof == ENROLLMENT_BY_CA ? chain->item[0] : NULL;

	device->auth = IDENTITY_AUTH_THUMBPRINT;
	for (int i = 0; i < 2; i++) {
		const struct cert *cert = shown ? shown : e->certs[i] ? e->certs[i] : e->certs[1 - i];

		mem_free(device->thumbprints[i]);
		device->thumbprints[i] = thumbprint_of(cert);
		secret_clear(&device->keys[i]);
	}
}

static void
trust_keys(struct identity *device, const struct enrollment *e, const char *registration_id)
{
	device->auth = IDENTITY_AUTH_SAS;
	for (int i = 0; i < 2; i++) {
		if (e->is_group)
			attest_derive_key(&device->keys[i], &e->keys[i], registration_id);
		else
			secret_set(&device->keys[i], e->keys[i].bytes, e->keys[i].len);
		mem_free(device->thumbprints[i]);
		device->thumbprints[i] = NULL;
	}
}

/* What is there keeps all but its credentials: it may be disabled, or have got a parent. */
static struct identity *
wanted_device(struct registrar_call *call, const struct enrollment *e, const char *device_id, const struct identity *before)
{
	const json_t *capabilities = json_object_get(e->wishes, "capabilities");
	struct identity *device = before ? identity_copy(before) : identity_new(device_id, NULL);

	if (!before) {
		device->enabled = true;
		device->is_edge = json_is_true(json_object_get(capabilities, "iotEdge"));
	}
	if (e->proof == ENROLLMENT_BY_KEY)
		trust_keys(device, e, call->registration_id);
	else
		trust_certs(device, e, call->chain);
	return device;
}

/* 0, or the number of what is wrong: answered. */
static int
put_device(struct registrar_call *call, const struct enrollment *e, struct identity *wanted_take, const struct identity *before)
{
	struct registry_call put = {
		.op = REGISTRY_PUT,
		.device_id = mem_text(wanted_take->device_id),
		.wanted = wanted_take,
		.twin = before ? NULL : json_incref(json_object_get(e->wishes, "initialTwin")),
		.if_match = before ? mem_text(before->etag) : NULL,
	};
	int wrong = 0;

	registry_run(call->provisioning->config.registry, &put);
	if (put.answer == REGISTRY_FAILED) {
		fail_broken(call, &put.err);
		wrong = 1;
	} else if (put.answer != REGISTRY_OK) {
		fail(call, CONFLICT, "the hub refuses the device: %s", put.err.text);
		wrong = 1;
	}
	registry_call_clear(&put);
	return wrong;
}

/* -- Registering -------------------------------------------------------------------------------------------------------------------- */

static void
set_text(char **field, char *value_take)
{
	mem_free(*field);
	*field = value_take;
}

/* A new operation of this registration, or of a new one. */
static void
begin(struct registrar_call *call, struct registration *r, const struct enrollment *e)
{
	char uuid[RANDOM_UUID_LEN];

	if (!r->id) {
		r->id = mem_text(call->registration_id);
		r->device_id = mem_text(e->device_id ? e->device_id : call->registration_id);
		r->created = clock_wall();
	}
	set_text(&r->group_id, e->is_group ? mem_text(e->id) : NULL);
	set_text(&r->operation, mem_textf("5.%016llx.%s", (unsigned long long)random_u64(), random_uuid(uuid)));
	set_text(&r->etag, mem_text(random_uuid(uuid)));
	r->assigned = false;
	r->updated = clock_wall();
}

static bool
may_take_over(struct registrar_call *call, const struct registration *r, const struct enrollment *e, const struct identity *before,
	const struct identity *wanted)
{
	/* Keys and thumbprints follow from the id as it is written: one device, one spelling. */
	if (r && e->is_group && !text_is(r->id, call->registration_id)) {
		fail(call, CONFLICT, "this id is registered in another spelling");
		return false;
	}
	/* Another group's CA or key vouches for the same name: it says nothing about this device (atk-07). */
	if (r && e->is_group && !text_is(r->group_id, e->id)) {
		fail(call, CONFLICT, "this id was registered by another enrollment");
		return false;
	}
	if (!r && before && !identity_same_trust(before, wanted)) {
		fail(call, CONFLICT, "the hub has a device of this id that was not provisioned here");
		return false;
	}
	return true;
}

static void
answer_assigning(struct registrar_call *call, const struct registration *r)
{
	call->answer.retry_after_s = RETRY_AFTER_S;
	answer(call, 202, json_pack("{s:s, s:s}", "operationId", r->operation, "status", "assigning"));
}

/* The claim is on disk when this answers true. */
static bool
claim(struct registrar_call *call, struct registration *r, const struct enrollment *e, const char *host, const char *payload)
{
	struct err err = ERR_INIT;

	begin(call, r, e);
	r->owned = r->owned && text_is(r->hub, host);
	set_text(&r->hub, mem_text(host));
	set_text(&r->payload, mem_text(payload));
	set_text(&r->failure, NULL);
	if (registration_put(db_of(call), r, &err) == 0)
		return true;
	fail_broken(call, &err);
	return false;
}

/* Claim, device, assigned (see above). */
static void
assign_here(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload)
{
	OWN(registration) fresh = found ? NULL : NEW(registration);
	struct registration *r = found ? found : fresh;
	const char *device_id = found ? found->device_id : e->device_id ? e->device_id : call->registration_id;
	OWN(identity) before = registry_find(call->provisioning->config.registry, device_id, NULL);
	OWN(identity) wanted = wanted_device(call, e, device_id, before);
	bool same = before && identity_same_trust(before, wanted);
	struct err err = ERR_INIT;

	if (!may_take_over(call, found, e, before, wanted) || !claim(call, r, e, call->provisioning->config.hub, payload))
		return;
	if (!same && put_device(call, e, GIVE(wanted), before) != 0)
		return;
	r->assigned = true;
	if (registration_put(db_of(call), r, &err) < 0)
		fail_broken(call, &err);
	else
		answer_assigning(call, r);
}

/* -- Linked hubs ------------------------------------------------------------------------------------------------------------------- */

static void
make_there(struct registrar_call *call, const struct enrollment *e, const struct registration *r, const struct linked_hub *hub)
{
	OWN(identity) wanted = wanted_device(call, e, r->device_id, NULL);

	if (assignment_start(call->provisioning, r, hub, wanted, json_object_get(e->wishes, "initialTwin")))
		answer_assigning(call, r);
	else
		registrar_refuse_busy(call);
}

static void
assign_there(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload,
	const struct linked_hub *hub)
{
	OWN(registration) fresh = found ? NULL : NEW(registration);
	struct registration *r = found ? found : fresh;

	/* What is in the other hub is looked at there (assignment.c). */
	if (may_take_over(call, found, e, NULL, NULL) && claim(call, r, e, hub->host, payload))
		make_there(call, e, r, hub);
}

/* May the enrollment use this hub? */
static bool
is_wanted(const struct enrollment *e, const char *host)
{
	const json_t *hubs = json_object_get(e->wishes, "iotHubs");
	const char *one = json_string_value(json_object_get(e->wishes, "iotHubHostName"));

	for (size_t i = 0; i < json_array_size(hubs); i++)
		if (text_is_nocase(json_string_value(json_array_get(hubs, i)), host))
			return true;
	return json_array_size(hubs) == 0 && (!one || !*one || text_is_nocase(one, host));
}

/* static: the one that is named first. */
static bool
is_first(const struct enrollment *e, const char *host)
{
	const char *first = json_string_value(json_array_get(json_object_get(e->wishes, "iotHubs"), 0));

	return text_is(json_string_value(json_object_get(e->wishes, "allocationPolicy")), "static") && text_is_nocase(first, host);
}

/* A new device's hub: an index into hubs, hubs->n for our own, or -1: answered. */
static int
pick(struct registrar_call *call, const struct enrollment *e, const struct linked_hubs *hubs)
{
	const char *policy = json_string_value(json_object_get(e->wishes, "allocationPolicy"));
	int64_t weights[LINKED_HUBS_MAX + 1];
	size_t which[LINKED_HUBS_MAX + 1], n = 0;

	for (size_t k = 0; k <= hubs->n; k++) {
		size_t i = (hubs->n + k) % (hubs->n + 1); /* our own first */
		const char *host = i < hubs->n ? hubs->item[i]->host : call->provisioning->config.hub;

		if (is_first(e, host))
			return (int)i;
		if (!is_wanted(e, host))
			continue;
		weights[n] = i < hubs->n ? hubs->item[i]->weight : 1;
		which[n++] = i;
	}
	if (n > 0)
		return (int)which[allocation_pick(policy, weights, n, call->registration_id)];
	fail(call, CONFLICT, "no hub that the enrollment names is linked");
	return -1;
}

/* The hub where it is already, the same way: a registration keeps its hub.  Only one that no other hub has made a device for gets another one. */
static int
find_hub(struct registrar_call *call, const struct enrollment *e, const struct registration *found, const struct linked_hubs *hubs)
{
	if (text_is_nocase(found->hub, call->provisioning->config.hub))
		return (int)hubs->n;
	for (size_t i = 0; i < hubs->n; i++)
		if (text_is(found->hub, hubs->item[i]->host))
			return (int)i;
	if (!found->owned)
		return pick(call, e, hubs);
	fail(call, CONFLICT, "the hub of this registration is no longer linked");
	return -1;
}

static void
assign(struct registrar_call *call, const struct enrollment *e, struct registration *found, const char *payload)
{
	struct linked_hubs hubs;
	struct err err = ERR_INIT;
	int i = -1;

	if (linked_hubs_load(db_of(call), &hubs, &err) < 0)
		fail_broken(call, &err);
	else
		i = found && !found->failure ? find_hub(call, e, found, &hubs) : pick(call, e, &hubs);
	if (i == (int)hubs.n)
		assign_here(call, e, found, payload);
	else if (i >= 0)
		assign_there(call, e, found, payload, hubs.item[i]);
	linked_hubs_clear(&hubs);
}

/* Asked how it goes: what nobody works on (the other hub was away, or we were) is begun anew. */
static void
go_on(struct registrar_call *call, const struct enrollment *e, const struct registration *r)
{
	OWN(linked_hub) hub = NULL;
	struct err err = ERR_INIT;

	if (linked_hub_find(db_of(call), r->hub, &hub, &err) < 0)
		fail_broken(call, &err);
	else if (hub)
		make_there(call, e, r, hub);
	else
		answer_assigning(call, r);
}

/* NULL is as good as nothing (the Python SDK sends it).  false: answered. */
static bool
take_payload(struct registrar_call *call, const json_t *body, char **payload)
{
	const json_t *value = json_object_get(body, "payload");

	if (!value || json_is_null(value))
		return true;
	*payload = json_line(value);
	if (strlen(*payload) <= PAYLOAD_MAX)
		return true;
	fail(call, BAD_ARGUMENT, "the payload is longer than %d bytes", PAYLOAD_MAX);
	return false;
}

/* An empty body says what the path says.  false: answered. */
static bool
read_body(struct registrar_call *call, char **payload)
{
	OWN_LIB(json_t) body = NULL;
	const char *id;
	struct err err = ERR_INIT;

	if (call->body.len == 0)
		return true;
	body = json_parse(call->body.text, call->body.len, &err);
	if (!json_is_object(body)) {
		fail(call, BAD_ARGUMENT, "%s", body ? "the body is not a JSON object" : err.text);
		return false;
	}
	id = json_string_value(json_object_get(body, "registrationId"));
	if (id && !text_is(id, call->registration_id)) {
		fail(call, BAD_ARGUMENT, "the registrationId in the body is not that of the path");
		return false;
	}
	if (json_object_get(body, "csr") || json_object_get(body, "clientCertificateCsr")) {
		fail(call, BAD_ARGUMENT, "certificates are not issued here");
		return false;
	}
	return take_payload(call, body, payload);
}

void
registrar_register(struct registrar_call *call)
{
	OWN(enrollment) e = judge(call);
	OWN(registration) found = NULL;
	OWN_TEXT payload = NULL;
	struct err err = ERR_INIT;

	if (!e || !read_body(call, &payload))
		return;
	if (registration_find(db_of(call), call->registration_id, &found, &err) < 0)
		fail_broken(call, &err);
	else
		assign(call, e, found, payload);
}

/* -- Asking ------------------------------------------------------------------------------------------------------------------------ */

static void
put_time(json_t *object, const char *name, int64_t wall)
{
	char text[CLOCK_TEXT_LEN];

	json_object_set_new(object, name, json_string(clock_text(wall, text)));
}

static const char *
status_of(const struct registration *r)
{
	return r->assigned ? "assigned" : r->failure ? "failed" : "assigning";
}

json_t *
registrar_state_json(const struct registration *r, const struct enrollment *e)
{
	json_t *state = json_pack("{s:s, s:s, s:s}", "registrationId", r->id, "status", status_of(r), "etag", r->etag);
	json_t *proof = json_object();

	if (r->assigned) {
		json_object_set_new(state, "assignedHub", json_string(r->hub));
		json_object_set_new(state, "deviceId", json_string(r->device_id));
		json_object_set_new(state, "substatus", json_string("initialAssignment"));
	}
	if (r->failure) {
		json_object_set_new(state, "errorCode", json_integer(CONFLICT));
		json_object_set_new(state, "errorMessage", json_string(r->failure));
	}
	if (r->group_id)
		json_object_set_new(proof, "enrollmentGroupId", json_string(r->group_id));
	if (e)
		json_object_set_new(state, e->proof == ENROLLMENT_BY_KEY ? "symmetricKey" : "x509", json_incref(proof));
	json_decref(proof);
	put_time(state, "createdDateTimeUtc", r->created);
	put_time(state, "lastUpdatedDateTimeUtc", r->updated);
	return state;
}

void
registrar_operation(struct registrar_call *call)
{
	OWN(enrollment) e = judge(call);
	OWN(registration) r = NULL;
	struct err err = ERR_INIT;

	if (!e)
		return;
	if (registration_find(db_of(call), call->registration_id, &r, &err) < 0)
		fail_broken(call, &err);
	else if (!r || !text_is(r->operation, call->operation))
		fail(call, NO_OPERATION, "there is no such operation");
	else if (!r->assigned && !r->failure)
		go_on(call, e, r);
	else
		answer(call, 200,
			json_pack("{s:s, s:s, s:o}", "operationId", r->operation, "status", status_of(r), "registrationState",
				registrar_state_json(r, e)));
}

void
registrar_lookup(struct registrar_call *call)
{
	OWN(enrollment) e = judge(call);
	OWN(registration) r = NULL;
	struct err err = ERR_INIT;

	if (!e)
		return;
	if (registration_find(db_of(call), call->registration_id, &r, &err) < 0)
		fail_broken(call, &err);
	else if (!r)
		fail(call, NO_REGISTRATION, "it has not registered yet");
	else
		answer(call, 200, registrar_state_json(r, e));
}
