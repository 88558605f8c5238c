/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The state folder of an edge device and the roles' configurations in it.
 *
 * As root each role has a user id of its own, and the services know their callers by it.  Otherwise all roles are one user: then each has sockets of its own in a folder whose
 * name only it is told, and its sandbox (sandbox.h) keeps it from finding out the others. */

#include "edge/config.h"

enum layout_role { ROLE_KEYD, ROLE_CERTD, ROLE_IDENTITYD, ROLE_EDGED, ROLE_GATEWAY, ROLE_COUNT };

struct layout {
	char *state;
	bool separate_users;
	uid_t uids[ROLE_COUNT];
	char *dirs[ROLE_COUNT];	   /* STATE/keyd, ... */
	char *configs[ROLE_COUNT]; /* STATE/keyd/config.json; NULL for the gateway */
	char *run_dir, *gateway_run_dir;
	char *keyd[ROLE_COUNT]; /* the socket of keyd that this role uses */
	char *certd, *identityd;
	char *mnt; /* the modules' sockets */
	char *gateway_workload;
	char *identity_bundle; /* what identityd and the gateway trust the hub by */
};

const char *layout_role_name(enum layout_role role);
/* Makes the folders and writes the configurations, 0600 and owned by their role. */
struct layout *layout_prepare(const struct config *config, const char *state, struct err *err);
void layout_free(struct layout *layout);
OWN_DEFINE(layout);
