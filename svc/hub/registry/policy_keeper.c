/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that change while the hub runs (policy_keeper.h): stored, read again as a whole, swapped. */
#include "hub/registry/policy_keeper.h"

#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/codec.h"
#include "wire/json.h"

struct policy_keeper {
	struct registry *registry;
	pthread_mutex_t lock; /* for `current` */
	struct policies *current;
};

/* -- Names and rights ------------------------------------------------------------------------------------------------------------------ */

bool
policy_name_is_valid(const char *name)
{
	size_t len = strnlen(name, POLICY_NAME_MAX + 1);

	if (len == 0 || len > POLICY_NAME_MAX)
		return false;
	for (; *name; name++)
		if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') && !(*name >= '0' && *name <= '9') &&
			!strchr("!._-", *name))
			return false;
	return true;
}

static const struct {
	const char *name;
	unsigned right;
} right_names[] = {
	{ "RegistryRead", AUTH_REGISTRY_READ },
	{ "RegistryWrite", AUTH_REGISTRY_WRITE },
	{ "ServiceConnect", AUTH_SERVICE_CONNECT },
	{ "DeviceConnect", AUTH_DEVICE_CONNECT },
	{ "EnrollmentRead", PROVISIONING_ENROLLMENT_READ },
	{ "EnrollmentWrite", PROVISIONING_ENROLLMENT_WRITE },
	{ "RegistrationStatusRead", PROVISIONING_REGISTRATION_READ },
	{ "RegistrationStatusWrite", PROVISIONING_REGISTRATION_WRITE },
};

static unsigned
right_of(struct slice word)
{
	for (size_t i = 0; i < COUNT(right_names); i++)
		if (word.len == strlen(right_names[i].name) && strncasecmp(word.text, right_names[i].name, word.len) == 0)
			return right_names[i].right;
	return 0;
}

/* Commas, blanks or both between them. */
unsigned
policy_rights_parse(const char *text)
{
	unsigned rights = 0, right;

	while (*(text += strspn(text, ", "))) {
		size_t len = strcspn(text, ", ");

		right = right_of((struct slice){ .text = text, .len = len });
		if (right == 0)
			return 0;
		rights |= right;
		text += len;
	}
	return rights;
}

char *
policy_rights_text(unsigned rights)
{
	CLEAR(buf) text = BUF_INIT(256);

	for (size_t i = 0; i < COUNT(right_names); i++)
		if (rights & right_names[i].right)
			buf_putf(&text, "%s%s", text.len > 0 ? ", " : "", right_names[i].name);
	return buf_take_text(&text);
}

bool
policy_is_of(const struct auth_service_policy *policy, unsigned of)
{
	return (policy->rights & of) != 0;
}

static json_t *
key_json(const struct secret *key)
{
	struct buf text = BUF_INIT(256);
	json_t *json;

	base64_encode(&text, key->bytes, key->len);
	json = json_string(buf_text(&text));
	buf_wipe(&text);
	return json;
}

json_t *
policy_to_json(const struct auth_service_policy *policy)
{
	OWN_TEXT rights = policy_rights_text(policy->rights);

	return json_pack("{s:s, s:o, s:o, s:s}", "keyName", policy->name, "primaryKey", key_json(policy->keys[0]), "secondaryKey",
		key_json(policy->keys[1]), "rights", rights);
}

bool
policy_renewal_parse(enum policy_renewal *out, const char *word)
{
	static const char *const words[] = {
		[POLICY_PRIMARY] = "primary", [POLICY_SECONDARY] = "secondary", [POLICY_BOTH] = "both", [POLICY_SWAP] = "swap"
	};

	for (size_t i = 0; i < COUNT(words); i++)
		if (text_is(word, words[i])) {
			*out = (enum policy_renewal)i;
			return true;
		}
	return false;
}

/* -- What counts now ---------------------------------------------------------------------------------------------------------------------- */

struct policies *
policy_keeper_current(struct policy_keeper *keeper)
{
	struct policies *current;

	pthread_mutex_lock(&keeper->lock);
	current = policies_ref(keeper->current);
	pthread_mutex_unlock(&keeper->lock);
	return current;
}

static int
load(struct policy_keeper *keeper, struct err *err)
{
	struct policies *fresh = policies_load(registry_store_of(keeper->registry), err), *old;

	if (!fresh)
		return -1;
	pthread_mutex_lock(&keeper->lock);
	old = keeper->current;
	keeper->current = fresh;
	pthread_mutex_unlock(&keeper->lock);
	policies_free(old);
	return 0;
}

struct policy_keeper *
policy_keeper_open(struct registry *registry, struct err *err)
{
	struct policy_keeper *keeper = NEW(policy_keeper);

	keeper->registry = registry;
	pthread_mutex_init(&keeper->lock, NULL);
	if (load(keeper, err) < 0) {
		policy_keeper_close(keeper);
		return NULL;
	}
	return keeper;
}

void
policy_keeper_close(struct policy_keeper *keeper)
{
	if (!keeper)
		return;
	policies_free(keeper->current);
	pthread_mutex_destroy(&keeper->lock);
	mem_free(keeper);
}

/* -- Changes, on the worker --------------------------------------------------------------------------------------------------------------- */

static bool
is_owner(const struct auth_service_policy *policy, unsigned all)
{
	return (policy->rights & all) == all;
}

/* Would there be nobody left who may do everything, at the hub or at provisioning, if it had only these rights? */
static bool
is_last_owner(const struct policies *policies, const struct auth_service_policy *policy, unsigned rights)
{
	static const unsigned owners[] = { POLICY_OWNER, PROVISIONING_ALL };

	for (size_t k = 0; k < COUNT(owners); k++) {
		bool other = !is_owner(policy, owners[k]) || (rights & owners[k]) == owners[k];

		for (size_t i = 0; i < policies->n; i++)
			other = other || (&policies->row[i] != policy && is_owner(&policies->row[i], owners[k]));
		if (!other)
			return true;
	}
	return false;
}

static void
audit(const struct policy_call *call, const char *what)
{
	OWN_LIB(json_t) json = json_pack("{s:s, s:s}", "change", what, "name", call->name);
	OWN_TEXT text = json_line(json);
	OWN_TEXT sentence = mem_textf("policy %s: %s", call->name, what);

	log_event(LOG_INFO, "policy", text, sentence);
}

static enum policy_answer
put(struct policy_keeper *keeper, const struct policies *policies, const struct auth_service_policy *before,
	struct policy_call *call)
{
	struct secret keys[2] = { 0 };
	int done;

	if (before && !call->may_replace)
		return POLICY_EXISTS;
	if (!before && call->may_replace)
		return POLICY_MISSING;
	if (!before && policies->n == POLICIES_MAX)
		return POLICY_TOO_MANY;
	if (before && is_last_owner(policies, before, call->rights))
		return POLICY_LAST_OWNER;
	for (int k = 0; k < 2; k++) {
		if (before)
			secret_set(&keys[k], before->keys[k]->bytes, before->keys[k]->len);
		else
			policy_make_key(&keys[k]);
	}
	done = registry_store_put_policy(registry_store_of(keeper->registry), call->name, call->rights, keys, &call->err);
	secret_clear(&keys[0]);
	secret_clear(&keys[1]);
	return done < 0 ? POLICY_FAILED : POLICY_OK;
}

static enum policy_answer
renew(struct policy_keeper *keeper, const struct auth_service_policy *before, struct policy_call *call)
{
	bool swap = call->renewal == POLICY_SWAP;
	struct secret keys[2] = { 0 };
	int done;

	for (int k = 0; k < 2; k++) {
		const struct secret *from = before->keys[swap ? 1 - k : k];

		if (call->renewal == POLICY_BOTH || call->renewal == (k == 0 ? POLICY_PRIMARY : POLICY_SECONDARY))
			policy_make_key(&keys[k]);
		else
			secret_set(&keys[k], from->bytes, from->len);
	}
	done = registry_store_put_policy(registry_store_of(keeper->registry), call->name, before->rights, keys, &call->err);
	secret_clear(&keys[0]);
	secret_clear(&keys[1]);
	return done < 0 ? POLICY_FAILED : POLICY_OK;
}

static enum policy_answer
drop(struct policy_keeper *keeper, const struct policies *policies, const struct auth_service_policy *before,
	struct policy_call *call)
{
	if (is_last_owner(policies, before, 0))
		return POLICY_LAST_OWNER;
	return registry_store_remove_policy(registry_store_of(keeper->registry), call->name, &call->err) < 0 ? POLICY_FAILED
													     : POLICY_OK;
}

void
policy_keeper_run(struct policy_keeper *keeper, struct policy_call *call)
{
	static const char *const words[] = { [POLICY_PUT] = "put", [POLICY_RENEW] = "keys renewed", [POLICY_REMOVE] = "deleted" };
	OWN(policies) policies = policy_keeper_current(keeper);
	const struct auth_service_policy *before = policies_find(policies, call->name);

	if (before && !policy_is_of(before, call->of))
		call->answer = POLICY_FOREIGN;
	else if (call->op == POLICY_PUT)
		call->answer = put(keeper, policies, before, call);
	else if (!before)
		call->answer = POLICY_MISSING;
	else if (call->op == POLICY_RENEW)
		call->answer = renew(keeper, before, call);
	else
		call->answer = drop(keeper, policies, before, call);
	if (call->answer != POLICY_OK)
		return;
	audit(call, words[call->op]);
	if (load(keeper, &call->err) < 0)
		call->answer = POLICY_FAILED;
}

static void
run_job(struct job *job)
{
	struct policy_call *call = CONTAINER_OF(job, struct policy_call, job);

	policy_keeper_run(call->keeper, call);
}

static void
job_done(struct job *job)
{
	struct policy_call *call = CONTAINER_OF(job, struct policy_call, job);

	call->done(call);
}

bool
policy_keeper_submit(struct policy_keeper *keeper, struct policy_call *call, struct owner *owner)
{
	call->keeper = keeper;
	call->job = (struct job){ .run = run_job, .done = job_done, .owner = owner };
	return registry_work(keeper->registry, &call->job);
}
