/* SPDX-License-Identifier: Apache-2.0 */
/* What each role may reach. */
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "edge/role_sandbox.h"

static void
allow_read(struct sandbox *s, const char *path)
{
	if (path && s->n_read < SANDBOX_PATHS_MAX)
		s->read[s->n_read++] = path;
}

static void
allow_write(struct sandbox *s, const char *path)
{
	if (path && s->n_write < SANDBOX_PATHS_MAX)
		s->write[s->n_write++] = path;
}

static void
allow_key(struct sandbox *s, const char *place)
{
	char *files[CONFIG_PLACE_FILES];
	size_t n = config_keys_files(place, files);

	for (size_t i = 0; i < n; i++)
		allow_read(s, files[i]);
}

static void
allow_keys(struct sandbox *s, const struct config *c)
{
	const char *places[] = { c->identity_pk, c->device_key_path, c->ca_pk, c->issuance.local_ca_pk, c->keys.pkcs11_base_slot };
	const char *id;
	json_t *place;

	for (size_t i = 0; i < COUNT(places); i++)
		allow_key(s, places[i]);
	json_object_foreach(c->preloaded_keys, id, place)
		allow_key(s, json_string_value(place));
	json_object_foreach(c->issuance.keys, id, place)
		allow_key(s, json_string_value(place));
	for (size_t i = 0; i < c->n_server_certs; i++)
		allow_key(s, c->server_certs[i].pk);
	allow_read(s, c->keys.pkcs11_lib_path);
	allow_write(s, "/dev/tpmrm0");
	allow_write(s, "/dev/tpm0");
	for (size_t i = 0; i < c->keys.n_paths; i++)
		allow_write(s, c->keys.paths[i]);
	for (size_t i = 0; i < c->keys.n_groups && s->n_groups < SANDBOX_GROUPS_MAX; i++)
		s->groups[s->n_groups++] = c->keys.groups[i];
}

static void
allow_certs(struct sandbox *s, const struct config *c)
{
	const char *files[] = { c->identity_cert, c->ca_cert, c->issuance.local_ca_cert, c->trust_bundle };
	const json_t *tables[] = { c->preloaded_certs, c->issuance.certs };
	const char *id;
	json_t *path;

	for (size_t i = 0; i < COUNT(files); i++)
		allow_read(s, files[i]);
	for (size_t i = 0; i < COUNT(tables); i++)
		json_object_foreach((json_t *)(uintptr_t)tables[i], id, path)
			allow_read(s, json_string_value(path)); /* a list has none */
}

/* About this box, and about the processes that call: their control groups.  What else /proc has of others is for their own user, and not from within a sandbox. */
static void
allow_facts(struct sandbox *s, const struct config *c)
{
	allow_read(s, "/proc");
	allow_read(s, "/sys/class/dmi/id");
	allow_read(s, "/sys/devices/virtual/dmi/id");
	allow_read(s, c->additional_info);
}

/* Who asks whom: membership of a service's group is the permission to connect to its socket (edge-services 11.1). */
static void
join_groups(struct sandbox *s, const struct layout *l, enum layout_role role)
{
	static const unsigned asks[ROLE_COUNT] = {
		[ROLE_CERTD] = 1u << ROLE_KEYD,
		[ROLE_IDENTITYD] = 1u << ROLE_KEYD | 1u << ROLE_CERTD,
		[ROLE_EDGED] = 1u << ROLE_KEYD | 1u << ROLE_CERTD | 1u << ROLE_IDENTITYD,
		[ROLE_GATEWAY] = 1u << ROLE_KEYD,
	};

	for (int r = 0; r < ROLE_COUNT; r++)
		if (asks[role] & 1u << r)
			s->groups[s->n_groups++] = l->users[r].gid;
}

bool
role_sandbox_resolves_names(const struct config *c, enum layout_role role)
{
	const char *id;
	json_t *table;

	if (role != ROLE_CERTD)
		return role == ROLE_IDENTITYD || role == ROLE_GATEWAY;
	if (c->trust_source)
		return true;
	json_object_foreach(c->issuance.tables, id, table)
		if (text_is(json_string_value(json_object_get(table, "method")), "est"))
			return true;
	return false;
}

void
role_sandbox_fill(struct sandbox *s, const struct config *c, const struct layout *l, enum layout_role role, const char *program_dir)
{
	*s = (struct sandbox){ .change_user = l->separate_users, .uid = l->users[role].uid, .gid = l->users[role].gid };
	s->uses_tokens = role == ROLE_KEYD;
	s->resolves_names = role_sandbox_resolves_names(c, role);
	join_groups(s, l, role);
	allow_read(s, program_dir);
	if (role != ROLE_GATEWAY)
		allow_read(s, l->identity_bundle);
	if (c->trust_source)
		allow_read(s, l->root_line_dir);
	allow_read(s, l->config_dirs[role]);
	if (role == ROLE_CERTD)
		allow_certs(s, c);
	if (role == ROLE_EDGED)
		allow_facts(s, c);
	if (role == ROLE_KEYD)
		allow_keys(s, c);
	if (role == ROLE_GATEWAY) {
		allow_read(s, c->gateway_crl_dir);
		allow_read(s, c->gateway_routes_dir);
	}
	allow_read(s, getenv("ROOTEDGE_CLOCK_FILE"));
	allow_write(s, l->dirs[role]);
}
