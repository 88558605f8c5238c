/* SPDX-License-Identifier: Apache-2.0 */
/* Callers and what they may (caller.h). */
#include "identityd/caller.h"

#include "auth/identity.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/json.h"

static const char *const use_names[LOCAL_USES] = { "client", "server" };

const char *
local_use_name(enum local_use use)
{
	return use_names[use];
}

bool
local_use_parse(const char *text, enum local_use *out)
{
	for (size_t i = 0; i < LOCAL_USES; i++)
		if (text_is(text, use_names[i])) {
			*out = (enum local_use)i;
			return true;
		}
	return false;
}

/* -- Configuration -------------------------------------------------------------------------------------------------------------------- */

static int
take_idtype(struct caller *c, const json_t *types, struct err *err)
{
	json_t *type;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)types, i, type) {
		const char *word = json_string_value(type);

		if (text_is(word, "device"))
			c->device = true;
		else if (text_is(word, "module"))
			c->module = true;
		else if (text_is(word, "local"))
			c->local = true;
		else
			return err_set(err, ERR_INVALID, "principal %s: idtype has device, module and local", c->name);
	}
	c->kind = types ? CALLER_HOST_PROCESS : CALLER_DAEMON;
	return 0;
}

/* {"type": "x509", "attributes": "client"} */
static int
take_localid(struct caller *c, const json_t *localid, struct err *err)
{
	const char *type = "x509", *attributes = NULL;

	if (!localid)
		return 0;
	if (json_find_text(localid, "type", &type, err) < 0 || json_find_text(localid, "attributes", &attributes, err) < 0)
		return -1;
	if ((type && !text_is(type, "x509")) || (attributes && !local_use_parse(attributes, &c->local_use)))
		return err_set(err, ERR_INVALID,
			"principal %s: localid is { type = \"x509\", attributes = \"client\" or \"server\" }", c->name);
	return 0;
}

static int
take_one(struct caller *c, const json_t *json, struct err *err)
{
	const char *name;
	json_t *types = NULL, *localid = NULL;
	int64_t uid = -1;

	if (json_get_text(json, "name", &name, err) < 0 || json_find_int(json, "uid", &uid, err) < 0 ||
		json_find_array(json, "idtype", &types, err) < 0 || json_find_object(json, "localid", &localid, err) < 0)
		return -1;
	c->name = mem_text(name);
	if (uid < 0 || uid > UINT32_MAX - 1)
		return err_set(err, ERR_INVALID, "principal %s: no uid", name);
	c->uid = (uid_t)uid;
	return take_idtype(c, types, err) < 0 ? -1 : take_localid(c, localid, err);
}

static int
check_one(const struct callers *all, const struct caller *c, const struct caller_rules *rules, struct err *err)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->item[i].uid == c->uid || text_is(all->item[i].name, c->name))
			return err_set(err, ERR_INVALID, "principals %s and %s have the same %s", all->item[i].name, c->name,
				all->item[i].uid == c->uid ? "uid" : "name");
	if ((c->module || c->local) && !identity_id_is_valid(c->name))
		return err_set(err, ERR_INVALID, "principal %.100s: its name is no module id", c->name);
	if (c->local && !rules->has_localid)
		return err_set(err, ERR_INVALID, "principal %s: idtype local needs a [localid] section", c->name);
	if ((c->device || c->module) && !rules->has_device)
		return err_set(err, ERR_INVALID, "principal %s: idtype device and module need a provisioning source", c->name);
	return 0;
}

static bool
has_daemon(const struct callers *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->item[i].kind == CALLER_DAEMON)
			return true;
	return false;
}

static int
take_all(struct callers *out, const json_t *list, const struct caller_rules *rules, const char **ignored, struct err *err)
{
	json_t *json;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, json) {
		struct caller *c = &out->item[out->n];

		*c = (struct caller){ 0 };
		if (take_one(c, json, err) < 0 || check_one(out, c, rules, err) < 0) {
			mem_free(c->name);
			return -1;
		}
		if (c->kind == CALLER_DAEMON && has_daemon(out)) {
			*ignored = json_string_value(json_object_get(json, "name"));
			mem_free(c->name);
			continue;
		}
		out->n++;
	}
	return 0;
}

int
callers_take(struct callers *out, const json_t *list, const struct caller_rules *rules, const char **ignored, struct err *err)
{
	out->n = 0;
	*ignored = NULL;
	if (json_array_size(list) > CALLERS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d principals", CALLERS_MAX);
	if (take_all(out, list, rules, ignored, err) == 0)
		return 0;
	callers_clear(out);
	return -1;
}

void
caller_clear(struct caller *c)
{
	mem_free(c->name);
	*c = (struct caller){ 0 };
}

void
callers_clear(struct callers *all)
{
	for (size_t i = 0; i < all->n; i++)
		caller_clear(&all->item[i]);
	all->n = 0;
}

/* -- Who is it, and may they? ------------------------------------------------------------------------------------------------------------ */

struct caller
callers_find(const struct callers *all, bool has_uid, uid_t uid)
{
	for (size_t i = 0; has_uid && i < all->n; i++)
		if (all->item[i].uid == uid) {
			struct caller found = all->item[i];

			found.name = mem_text(found.name);
			return found;
		}
	return (struct caller){ .kind = has_uid && uid == 0 ? CALLER_ROOT : CALLER_STRANGER, .uid = uid };
}

const struct caller *
callers_named(const struct callers *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (text_is(all->item[i].name, name))
			return &all->item[i];
	return NULL;
}

static bool
host_process_may(const struct caller *c, enum caller_wish wish, const char *name)
{
	switch (wish) {
	case WISH_CALLER_IDENTITY:
		return c->device || c->module || c->local;
	case WISH_DEVICE:
		return c->device;
	case WISH_MODULE:
		return c->module && text_is(c->name, name);
	case WISH_LOCAL:
		return c->local && text_is(c->name, name);
	case WISH_REPROVISION:
	case WISH_MODULES:
	case WISH_PUBLIC:
		break;
	}
	return false;
}

bool
caller_may(const struct caller *c, enum caller_wish wish, const char *name)
{
	if (wish == WISH_PUBLIC || c->kind == CALLER_DAEMON || c->kind == CALLER_ROOT)
		return true;
	return c->kind == CALLER_HOST_PROCESS && host_process_may(c, wish, name);
}
