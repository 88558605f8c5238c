/* SPDX-License-Identifier: Apache-2.0 */
/* Shared access policies: what a back-end application may do, by the key it signs with. */
#include "hub/registry/policy.h"

#include <string.h>

#include "base/mem.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/text.h"

#define KEY_LEN 32

struct default_row {
	const char *name;
	unsigned rights;
};

static const struct default_row defaults[] = {
	{ "iothubowner", AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE | AUTH_SERVICE_CONNECT | AUTH_DEVICE_CONNECT },
	{ "service", AUTH_SERVICE_CONNECT },
	{ "device", AUTH_DEVICE_CONNECT },
	{ "registryRead", AUTH_REGISTRY_READ },
	{ "registryReadWrite", AUTH_REGISTRY_READ | AUTH_REGISTRY_WRITE },
};

static void
add_policy(void *arg, const char *name, unsigned rights, const struct secret keys[2])
{
	struct policies *policies = arg;
	size_t i = policies->n;

	if (i == POLICIES_MAX)
		return;
	policies->names[i] = mem_text(name);
	policies->row[i] = (struct auth_service_policy){ .name = policies->names[i], .rights = rights };
	for (int k = 0; k < 2; k++) {
		secret_set(&policies->keys[i][k], keys[k].bytes, keys[k].len);
		policies->row[i].keys[k] = &policies->keys[i][k];
	}
	policies->n++;
}

/* A key at random, or the one that follows from the text. */
static void
make_key(struct secret *key, const char *text, const char *policy, int slot)
{
	OWN_TEXT what = mem_textf("policy %s key %d", policy, slot);
	uint8_t bytes[KEY_LEN];

	if (text)
		digest_hmac_sha256(text, strlen(text), what, strlen(what), bytes);
	else
		random_bytes(bytes, sizeof(bytes));
	secret_set(key, bytes, sizeof(bytes));
	mem_wipe(bytes, sizeof(bytes));
}

void
policy_make_key(struct secret *key)
{
	make_key(key, NULL, "", 0);
}

static int
make_policy(struct registry_store *store, const struct default_row *row, const char *text, struct err *err)
{
	struct secret keys[2] = { 0 };
	int done;

	for (int k = 0; k < 2; k++)
		make_key(&keys[k], text, row->name, k);
	done = registry_store_put_policy(store, row->name, row->rights, keys, err);
	secret_clear(&keys[0]);
	secret_clear(&keys[1]);
	return done;
}

int
policies_fix(struct registry_store *store, const char *text, struct err *err)
{
	int done = 0;

	if (registry_store_begin(store, err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(defaults) && done == 0; i++)
		done = make_policy(store, &defaults[i], text, err);
	return registry_store_end(store, done, err);
}

struct policies *
policies_read(struct registry_store *store, struct err *err)
{
	OWN(policies) policies = NEW(policies);

	policies->n_refs = 1;
	return registry_store_policies(store, add_policy, policies, err) < 0 ? NULL : GIVE(policies);
}

struct policies *
policies_load(struct registry_store *store, struct err *err)
{
	OWN(policies) policies = policies_read(store, err);

	if (!policies || policies->n > 0)
		return GIVE(policies);
	return policies_fix(store, NULL, err) < 0 ? NULL : policies_read(store, err);
}

struct policies *
policies_ref(struct policies *policies)
{
	policies->n_refs++;
	return policies;
}

void
policies_free(struct policies *policies)
{
	if (!policies || --policies->n_refs > 0)
		return;
	for (size_t i = 0; i < policies->n; i++) {
		mem_free(policies->names[i]);
		secret_clear(&policies->keys[i][0]);
		secret_clear(&policies->keys[i][1]);
	}
	mem_free(policies);
}

const struct auth_service_policy *
policies_find(const struct policies *policies, const char *name)
{
	for (size_t i = 0; i < policies->n; i++)
		if (text_is(policies->row[i].name, name))
			return &policies->row[i];
	return NULL;
}
