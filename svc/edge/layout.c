/* SPDX-License-Identifier: Apache-2.0 */
/* The state folder. */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/layout.h"
#include "edge/operator_files.h"
#include "edge/role_config.h"
#include "edge/role_sockets.h"

#define BUNDLE_MAX (8 * 1024 * 1024)

static const char *const role_names[] = { "keyd", "certd", "identityd", "edged", "gateway" };

/* Without a hub there are local identities, and nothing that modules or a gateway could do. */
int
layout_n_roles(const struct config *c)
{
	if (text_is(c->source, "none"))
		return ROLE_EDGED;
	return c->has_gateway ? ROLE_COUNT : ROLE_GATEWAY;
}

const char *
layout_role_name(enum layout_role role)
{
	return role_names[role];
}

/* Can the roles have users of their own?  Not in a user namespace whose root has just itself, nor where those users could not even reach the state folder (a folder
 * of root's on the way).  Tried out in a child. */
static bool
can_change_user(uid_t first, const char *state)
{
	int status = 1;
	pid_t pid;

	if (geteuid() != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		for (uid_t uid = first + ROLE_COUNT - 1; uid >= first; uid--)
			if (setgroups(0, NULL) < 0 || setresgid(uid, uid, 0) < 0 || setresuid(uid, uid, 0) < 0 ||
				access(state, X_OK) < 0 || setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0)
				_exit(1);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && status == 0;
}

/* -- Folders --------------------------------------------------------------------------------------------------------------------------- */

/* What a role writes to.  Another range of users than last time: everything in it moves along. */
static int
make_role_dirs(const struct layout *l, struct err *err)
{
	static const struct {
		enum layout_role role;
		const char *below;
		mode_t mode;
	} dirs[] = {
		{ ROLE_KEYD, "", 0700 },
		{ ROLE_KEYD, "/keys", 0700 },
		{ ROLE_CERTD, "", 0755 },
		{ ROLE_CERTD, "/certs", 0755 },
		{ ROLE_CERTD, "/roots", 0755 },
		{ ROLE_IDENTITYD, "", 0700 },
		{ ROLE_EDGED, "", 0711 }, /* modules reach their sockets through it */
		{ ROLE_EDGED, "/mnt", 0711 },
		{ ROLE_GATEWAY, "", 0700 },
	};

	for (size_t i = 0; i < COUNT(dirs); i++) {
		OWN_TEXT path = mem_textf("%s%s", l->dirs[dirs[i].role], dirs[i].below);

		if (tree_make(path, dirs[i].mode, l->users[dirs[i].role], err) < 0)
			return -1;
	}
	for (int r = 0; r < ROLE_COUNT; r++)
		if (tree_give(l->dirs[r], l->users[r], err) < 0)
			return -1;
	return 0;
}

/* Of us, for all to pass through, or for a role's group alone. */
static int
make_own_dir(const char *path, mode_t mode, gid_t group, struct err *err)
{
	return tree_make(path, mode, (struct tree_owner){ .uid = geteuid(), .gid = group }, err);
}

static int
make_config_dirs(const struct layout *l, struct err *err)
{
	OWN_TEXT all = mem_textf("%s/config", l->state);

	if (make_own_dir(all, 0711, getegid(), err) < 0)
		return -1;
	for (int r = 0; r < ROLE_COUNT; r++)
		if (make_own_dir(l->config_dirs[r], 0710, l->users[r].gid, err) < 0)
			return -1;
	return 0;
}

/* Made anew, so that no stale socket is met and last time's secret name is worth nothing. */
static int
make_run_dirs(const struct layout *l, struct err *err)
{
	OWN_TEXT run = mem_textf("%s/run", l->state);

	if (tree_empty(run, err) < 0 || make_own_dir(run, 0711, getegid(), err) < 0)
		return -1;
	for (size_t i = 0; i < l->n_run_dirs; i++)
		if (make_own_dir(l->run_dirs[i].path, l->run_dirs[i].is_secret ? 0700 : 0711, getegid(), err) < 0)
			return -1;
	return 0;
}

/* -- All of it -------------------------------------------------------------------------------------------------------------------------- */

int
layout_save(
	const struct layout *l, enum layout_role role, const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	if (file_save_unsynced(path, data, len, mode, err) < 0)
		return -1;
	if (geteuid() == 0 && lchown(path, l->users[role].uid, l->users[role].gid) < 0)
		return err_errno(err, "%s", path);
	return 0;
}

static bool
is_there(const char *path, const struct buf *content)
{
	CLEAR(buf) old = BUF_INIT(BUNDLE_MAX);
	struct err ignored = ERR_INIT;

	return file_load(&old, path, &ignored) == 0 && text_is(buf_text(&old), buf_text(content));
}

/* What the hub is trusted by: the operator's bundle; without one, the system's roots.  Copied, because the roles may not read where it lies.  The gateway takes another one over by itself. */
static int
write_bundle(const struct layout *l, const struct config *c, bool changed[static ROLE_COUNT], struct err *err)
{
	CLEAR(buf) pem = BUF_INIT(BUNDLE_MAX);
	int status = file_load(&pem, c->trust_bundle ? c->trust_bundle : SYSTEM_ROOTS, err);

	if (status == 0 && !is_there(l->identity_bundle, &pem)) {
		changed[ROLE_IDENTITYD] = true;
		status = file_save_unsynced(l->identity_bundle, pem.data, pem.len, 0644, err);
	}
	if (status == 0 && !is_there(l->gateway_bundle, &pem))
		status = layout_save(l, ROLE_GATEWAY, l->gateway_bundle, pem.data, pem.len, 0644, err);
	return status < 0 ? err_wrap(err, "the roots to trust the hub by") : 0;
}

/* In a file, not in the gateway's arguments, since it is not to be started again for another name. */
static int
write_names(const struct layout *l, const struct config *c, bool *changed, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(65536);

	for (size_t i = 0; i < c->n_names; i++)
		buf_putf(&text, "%s\n", c->names[i]);
	if (is_there(l->gateway_names, &text))
		return 0;
	*changed |= c->has_gateway && (c->n_names > 0 || file_exists(l->gateway_names));
	return layout_save(l, ROLE_GATEWAY, l->gateway_names, text.data, text.len, 0644, err);
}

/* Users of a range of our own, or all one: us. */
static void
number_users(struct layout *l, const struct config *c)
{
	for (int r = 0; r < ROLE_COUNT; r++) {
		uid_t own = (uid_t)(c->first_uid + r);

		l->users[r] = l->separate_users ? (struct tree_owner){ .uid = own, .gid = (gid_t)own }
						: (struct tree_owner){ .uid = geteuid(), .gid = getegid() };
	}
}

/* Those of dist/sysusers.d; they are IoT Edge's. */
static int
look_up_users(struct layout *l, struct err *err)
{
	static const char *const names[ROLE_COUNT] = { "aziotks", "aziotcs", "aziotid", "iotedge", "edgehubuser" };

	for (int r = 0; r < ROLE_COUNT; r++) {
		const struct passwd *user = getpwnam(names[r]);

		if (!user)
			return err_set(err, ERR_MISSING, "there is no user %s; `systemd-sysusers` makes it from what was installed",
				names[r]);
		l->users[r] = (struct tree_owner){ .uid = user->pw_uid, .gid = user->pw_gid };
	}
	return 0;
}

static void
name_dirs(struct layout *l, const char *state)
{
	l->state = mem_text(state);
	l->logs = mem_textf("%s/logs", state);
	l->identity_bundle = mem_textf("%s/hub-roots.pem", state);
	for (int r = 0; r < ROLE_COUNT; r++) {
		l->dirs[r] = mem_textf("%s/%s", state, role_names[r]);
		l->config_dirs[r] = mem_textf("%s/config/%s", state, role_names[r]);
		l->configs[r] = mem_textf("%s/config.json", l->config_dirs[r]);
	}
	l->gateway_bundle = mem_textf("%s/hub-roots.pem", l->config_dirs[ROLE_GATEWAY]);
	l->gateway_names = mem_textf("%s/names", l->config_dirs[ROLE_GATEWAY]);
	l->root_line_dir = mem_textf("%s/roots", l->dirs[ROLE_CERTD]);
	l->root_line = mem_textf("%s/line.json", l->root_line_dir);
}

struct layout *
layout_plan(const struct config *c, const char *state, bool separate_users)
{
	struct layout *l = NEW(layout);

	l->separate_users = separate_users;
	name_dirs(l, state);
	number_users(l, c);
	role_sockets_name(l, c);
	return l;
}

/* Secret names are other ones each time, so sockets are told apart by whose they are. */
static bool
same_sockets(const struct layout *a, const struct layout *b)
{
	bool same = a->n_sockets == b->n_sockets && !a->tpmd == !b->tpmd;

	for (size_t i = 0; same && i < a->n_sockets; i++)
		same = a->sockets[i].role == b->sockets[i].role && a->sockets[i].mode == b->sockets[i].mode &&
		       a->sockets[i].port == b->sockets[i].port && text_is(a->sockets[i].address, b->sockets[i].address);
	return same;
}

bool
layout_fits(const struct layout *l, const struct config *now, const struct config *next)
{
	OWN(layout) then = layout_plan(next, l->state, l->separate_users);
	bool same = now->has_gateway == next->has_gateway && same_sockets(l, then);

	for (int r = 0; same && r < ROLE_COUNT; r++)
		same = l->users[r].uid == then->users[r].uid;
	return same;
}

int
layout_tell(const struct layout *l, const struct config *c, struct layout_news *news, struct err *err)
{
	if (write_bundle(l, c, news->role, err) < 0 || write_names(l, c, &news->names, err) < 0)
		return -1;
	return role_config_write_all(l, c, news->role, err);
}

/* Made when it is not there yet; the caller owns its whole path. */
static char *
open_state(const char *state, struct err *err)
{
	char *whole, *path;

	if (!file_exists(state) && (file_make_dir(state, 0755, err) < 0 || chmod(state, 0755) < 0)) /* whatever the umask */
		return err_wrap_null(err, "the state folder");
	whole = realpath(state, NULL);
	if (!whole)
		return err_errno_null(err, "%s", state);
	path = mem_text(whole);
	free(whole);
	return path;
}

struct layout *
layout_prepare(const struct config *c, const char *state, struct err *err)
{
	struct layout_news ignored = { 0 };
	OWN_TEXT whole = NULL;
	OWN(layout) l = NULL;

	if (operator_files_check(c, err) < 0)
		return NULL;
	whole = open_state(state, err);
	if (!whole)
		return NULL;
	l = layout_plan(c, whole, can_change_user((uid_t)c->first_uid, whole));
	if (role_sockets_check(l, c, err) < 0 || make_role_dirs(l, err) < 0 || make_config_dirs(l, err) < 0 ||
		make_run_dirs(l, err) < 0 || make_own_dir(l->logs, 0700, getegid(), err) < 0 ||
		layout_tell(l, c, &ignored, err) < 0)
		return NULL;
	return GIVE(l);
}

struct layout *
layout_prepare_for_units(const struct config *c, const char *state, struct layout_news *news, struct err *err)
{
	OWN_TEXT whole = NULL;
	OWN(layout) l = NEW(layout);

	l->by_units = l->separate_users = true;
	if (operator_files_check(c, err) < 0 || look_up_users(l, err) < 0)
		return NULL;
	whole = open_state(state, err);
	if (!whole)
		return NULL;
	name_dirs(l, whole);
	role_sockets_name(l, c);
	if (role_sockets_check(l, c, err) < 0 || make_config_dirs(l, err) < 0 || layout_tell(l, c, news, err) < 0)
		return NULL;
	return GIVE(l);
}

void
layout_free(struct layout *l)
{
	if (!l)
		return;
	for (int r = 0; r < ROLE_COUNT; r++) {
		mem_free(l->dirs[r]);
		mem_free(l->config_dirs[r]);
		mem_free(l->configs[r]);
		mem_free(l->keyd[r]);
	}
	mem_free(l->state);
	mem_free(l->logs);
	for (size_t i = 0; i < l->n_run_dirs; i++)
		mem_free(l->run_dirs[i].path);
	mem_free(l->control);
	mem_free(l->certd);
	mem_free(l->identityd);
	mem_free(l->management);
	mem_free(l->workload);
	mem_free(l->tpmd);
	mem_free(l->mnt);
	mem_free(l->gateway_workload);
	mem_free(l->gateway_control);
	mem_free(l->identity_bundle);
	mem_free(l->gateway_bundle);
	mem_free(l->gateway_names);
	mem_free(l->root_line_dir);
	mem_free(l->root_line);
	mem_free(l);
}
