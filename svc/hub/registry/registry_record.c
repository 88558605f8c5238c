/* SPDX-License-Identifier: Apache-2.0 */
/* From what a service sends to the record that is kept (hub 4.4, clients-observed 6): ids and generations are given once, keys are made where
 * none were sent, scopes follow from the parent.  Pure but for the random keys. */
#include "hub/registry/registry_record.h"

#include <string.h>

#include "auth/thumbprint.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/text.h"
#include "wire/codec.h"

#define KEY_LEN 32
#define KEY_LEN_MIN 16 /* hub 4.2 */
#define KEY_LEN_MAX 64
#define STATUS_REASON_MAX 128

bool
record_is_system_module(const char *module_id)
{
	return text_is(module_id, "$edgeAgent") || text_is(module_id, "$edgeHub");
}

const char *
record_parent(const struct identity *identity)
{
	return identity->n_parents > 0 ? identity->parents[0] : NULL;
}

char *
record_scope_device(const char *scope)
{
	return identity_scope_device(scope);
}

/* "AAAAAAAAAAE=": clients treat it as opaque, but expect base64. */
char *
record_etag(uint64_t change)
{
	CLEAR(buf) text = BUF_INIT(32);
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(change >> (56 - 8 * i));
	base64_encode(&text, bytes, sizeof(bytes));
	return buf_take_text(&text);
}

static void
set_text(char **field, const char *text)
{
	char *copy = text && *text ? mem_text(text) : NULL;

	mem_free(*field);
	*field = copy;
}

static void
copy_auth(struct identity *record, const struct identity *from)
{
	record->auth = from->auth;
	for (int i = 0; i < 2; i++) {
		secret_set(&record->keys[i], from->keys[i].bytes, from->keys[i].len);
		set_text(&record->thumbprints[i], from->thumbprints[i]);
	}
}

static bool
key_is_good(const struct secret *key)
{
	return key->len >= KEY_LEN_MIN && key->len <= KEY_LEN_MAX;
}

static int
complete_keys(struct identity *record, const struct identity *before, struct err *err)
{
	bool none = record->keys[0].len == 0 && record->keys[1].len == 0;
	uint8_t fresh[KEY_LEN];

	for (int i = 0; i < 2; i++) {
		struct secret *key = &record->keys[i];

		/* An update that sends no keys means the ones that are there: a new state must not lock the device out. */
		if (none && before && before->auth == IDENTITY_AUTH_SAS)
			secret_set(key, before->keys[i].bytes, before->keys[i].len);
		if (key->len == 0) {
			random_bytes(fresh, sizeof(fresh));
			secret_set(key, fresh, sizeof(fresh));
			mem_wipe(fresh, sizeof(fresh));
		}
		if (!key_is_good(key))
			return err_set(err, ERR_INVALID, "a symmetric key must have %d to %d bytes", KEY_LEN_MIN, KEY_LEN_MAX);
	}
	return 0;
}

static void
drop_keys(struct identity *record)
{
	secret_clear(&record->keys[0]);
	secret_clear(&record->keys[1]);
}

static void
drop_thumbprints(struct identity *record)
{
	set_text(&record->thumbprints[0], NULL);
	set_text(&record->thumbprints[1], NULL);
}

/* Only what belongs to the way of authentication is kept: a forgotten key must not come back with the next change. */
static int
settle_auth(struct identity *record, const struct identity *before, struct err *err)
{
	switch (record->auth) {
	case IDENTITY_AUTH_SAS:
		drop_thumbprints(record);
		return complete_keys(record, before, err);
	case IDENTITY_AUTH_THUMBPRINT:
		drop_keys(record);
		if (!record->thumbprints[0] && !record->thumbprints[1])
			return err_set(
				err, ERR_INVALID, "selfSigned authentication needs a thumbprint of 40 or 64 hexadecimal digits");
		return 0;
	case IDENTITY_AUTH_CA:
	case IDENTITY_AUTH_NONE:
		drop_keys(record);
		drop_thumbprints(record);
		return 0;
	}
	return err_set(err, ERR_INVALID, "an unknown way of authentication");
}

static void
clear_parents(struct identity *record)
{
	for (size_t i = 0; i < record->n_parents; i++)
		mem_free(record->parents[i]);
	memset(record->parents, 0, sizeof(record->parents));
	record->n_parents = 0;
}

/* A gateway's own scope is made once; a leaf shows its parent's; a module is where its device is, whatever it asks for. */
static void
settle_scope(struct identity *record, const struct record_wish *wish)
{
	const struct identity *wanted = wish->wanted, *before = wish->before;
	const char *given = wanted->n_parents > 0 ? wanted->parents[0] : NULL;
	OWN_TEXT parent = NULL;

	if (!record->is_edge && wanted->scope && *wanted->scope)
		given = wanted->scope;
	if (!record->module_id && given && *given)
		parent = mem_text(given);
	clear_parents(record);
	if (!record->is_edge)
		set_text(&record->scope, parent);
	else if (before && before->is_edge)
		set_text(&record->scope, before->scope);
	else {
		mem_free(record->scope);
		record->scope = mem_textf(RECORD_SCOPE_PREFIX "%s-%018llu", record->device_id, (unsigned long long)wish->ticks);
	}
	if (parent)
		record->parents[record->n_parents++] = GIVE(parent);
}

static void
settle_history(struct identity *record, const struct record_wish *wish)
{
	const struct identity *before = wish->before;

	mem_free(record->generation_id);
	record->generation_id = before ? mem_text(before->generation_id) : mem_textf("%018llu", (unsigned long long)wish->ticks);
	mem_free(record->etag);
	record->etag = record_etag(wish->change);
	record->created = before ? before->created : wish->now;
	record->status_updated = before && before->enabled == record->enabled ? before->status_updated : wish->now;
}

struct identity *
record_compose(const struct record_wish *wish, struct err *err)
{
	OWN(identity) record = identity_copy(wish->wanted);
	bool was_edge = wish->before && wish->before->is_edge;

	if (record->status_reason && strlen(record->status_reason) > STATUS_REASON_MAX)
		return err_null(err, ERR_INVALID, "statusReason is longer than %d characters", STATUS_REASON_MAX);
	if (record->module_id && record->is_edge)
		return err_null(err, ERR_INVALID, "a module can't be a gateway");
	record->is_edge = record->is_edge || was_edge; /* capabilities may be left out of an update */
	if (record->module_id)
		record->enabled = true; /* a module is as enabled as its device */
	if (!record->managed_by && wish->before)
		set_text(&record->managed_by, wish->before->managed_by);
	if (wish->keep_auth && wish->before)
		copy_auth(record, wish->before);
	else if (wish->keep_auth)
		record->auth = IDENTITY_AUTH_SAS;
	if (settle_auth(record, wish->before, err) < 0)
		return NULL;
	settle_scope(record, wish);
	settle_history(record, wish);
	return GIVE(record);
}

struct identity *
record_system_module(const char *device_id, const char *module_id, uint64_t ticks, uint64_t change, int64_t now)
{
	struct identity *module = identity_new(device_id, module_id);

	module->enabled = true;
	module->auth = IDENTITY_AUTH_NONE; /* until the gateway registers keys */
	module->generation_id = mem_textf("%018llu", (unsigned long long)ticks);
	module->etag = record_etag(change);
	module->managed_by = mem_text("iotEdge");
	module->created = module->status_updated = now;
	return module;
}

/* -- Checking ------------------------------------------------------------------------------------------------------------------------ */

static bool
thumbprint_is_good(const char *thumbprint)
{
	OWN_TEXT normal = thumbprint_normalise(thumbprint);

	return text_is(normal, thumbprint);
}

static int
check_auth(const struct identity *record, struct err *err)
{
	bool one = false;

	for (int i = 0; i < 2; i++) {
		const char *thumbprint = record->thumbprints[i];

		one = one || thumbprint;
		if (record->auth == IDENTITY_AUTH_SAS && !key_is_good(&record->keys[i]))
			return err_set(err, ERR_BROKEN, "a key of %zu bytes", record->keys[i].len);
		if (thumbprint && !thumbprint_is_good(thumbprint))
			return err_set(err, ERR_BROKEN, "'%.70s' is no thumbprint", thumbprint);
	}
	if (record->auth == IDENTITY_AUTH_THUMBPRINT && !one)
		return err_set(err, ERR_BROKEN, "there is no thumbprint");
	if (record->auth < IDENTITY_AUTH_NONE || record->auth > IDENTITY_AUTH_CA)
		return err_set(err, ERR_BROKEN, "there is no way of authentication %d", (int)record->auth);
	return 0;
}

int
record_check(const struct identity *record, struct err *err)
{
	if (!identity_id_is_valid(record->device_id) || (record->module_id && !identity_id_is_valid(record->module_id)))
		return err_set(err, ERR_BROKEN, "that is no id");
	if (!record->generation_id || !*record->generation_id || !record->etag || !*record->etag)
		return err_set(err, ERR_BROKEN, "it has no generation or no etag");
	return check_auth(record, err);
}
