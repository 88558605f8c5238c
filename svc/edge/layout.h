/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The state folder of an edge device: whose its folders are, and where sockets and configurations lie.
 *
 *	STATE/ROLE		the role's own, which it writes to
 *	STATE/config/ROLE	what the role is told: config.json, and copies of the operator's files.  Root's, so that no role changes its own orders, and root never
 *				writes into a folder that a role may have changed under its hands
 *	STATE/run		sockets, made anew at each start
 *	STATE/logs		what the roles say (role_log.h)
 *
 * As root each role has a user id of its own, and the services know their callers by it.  Otherwise all roles are one user: then each has sockets of its own in a folder whose
 * name only it is told, and its sandbox (sandbox.h) keeps it from finding out the others. */

#include "edge/config.h"
#include "edge/tree.h"

enum layout_role { ROLE_KEYD, ROLE_CERTD, ROLE_IDENTITYD, ROLE_EDGED, ROLE_GATEWAY, ROLE_COUNT };
int layout_n_roles(const struct config *config); /* how many of them, the first ones, this device has */

#define LAYOUT_RUN_DIRS_MAX 8
#define LAYOUT_SOCKETS_MAX 16
#define LAYOUT_ADDRESS_MAX 64

struct layout_socket {
	enum layout_role role;
	const char *path; /* the layout's; NULL: a TCP port */
	mode_t mode;
	char address[LAYOUT_ADDRESS_MAX]; /* of TCP, as is */
	int port;
};

struct layout {
	char *state, *logs;
	bool separate_users;
	bool by_units; /* systemd makes role folders and sockets */
	struct tree_owner users[ROLE_COUNT];
	char *dirs[ROLE_COUNT];	       /* STATE/keyd, ... */
	char *config_dirs[ROLE_COUNT]; /* STATE/config/keyd, ... */
	char *configs[ROLE_COUNT];     /* STATE/config/keyd/config.json, ...; the gateway is told all by its arguments */
	struct layout_run_dir {
		char *path;
		bool is_secret;
	} run_dirs[LAYOUT_RUN_DIRS_MAX]; /* below STATE/run */
	size_t n_run_dirs;
	struct layout_socket sockets[LAYOUT_SOCKETS_MAX]; /* that are open before their roles run (role_sockets.h) */
	size_t n_sockets;
	char *control;		/* the supervisor's own */
	char *keyd[ROLE_COUNT]; /* the socket of keyd that this role uses */
	char *certd, *identityd, *management;
	char *tpmd;	/* keyd's too; NULL: no TPM proves who this device is */
	char *workload; /* for modules that have no socket of their own */
	char *mnt;	/* the modules' sockets */
	char *gateway_workload;
	char *gateway_control; /* its operator's; made by itself */
	char *identity_bundle; /* what identityd trusts the hub by */
	char *gateway_bundle;  /* the same for the gateway, in a folder that it may read: it takes another one over while it runs */
	char *gateway_names;   /* beside it: the further names of its certificate, one a line, which it takes over as well */
	char *root_line_dir;   /* certd's: what has followed these (pki/root_line.h) */
	char *root_line;
};

/* What is told now and was not before. */
struct layout_news {
	bool role[ROLE_COUNT]; /* whose orders are others: it is to be started again */
	bool names;	       /* of the gateway's certificate: it takes them over while it runs */
};

const char *layout_role_name(enum layout_role role);
/* Where everything is to lie; nothing is made. */
struct layout *layout_plan(const struct config *config, const char *state, bool separate_users);
/* Makes the folders and writes the configurations (role_config.h). */
struct layout *layout_prepare(const struct config *config, const char *state, struct err *err);
/* The same for systemd's units (dist/systemd), which name the users, make the roles' own folders and open their sockets: only STATE/config is written, and
 * what is others than before is set in news. */
struct layout *layout_prepare_for_units(const struct config *config, const char *state, struct layout_news *news, struct err *err);
/* Do folders, users and sockets stay what they are? */
bool layout_fits(const struct layout *layout, const struct config *now, const struct config *next);
/* Writes the configurations anew into folders that are there: those that are others than before, and sets these in news. */
int layout_tell(const struct layout *layout, const struct config *config, struct layout_news *news, struct err *err);
/* A file that is its role's own, in a folder that is ours. */
int layout_save(const struct layout *layout, enum layout_role role, const char *path, const void *data, size_t len, mode_t mode,
	struct err *err);
void layout_free(struct layout *layout);
OWN_DEFINE(layout);
