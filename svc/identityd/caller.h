/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who asks identityd, and what for (edge-services 1.3): the user at the other end of the socket is the daemon (edged), root, a host process that was configured with the identities that it
 * may have, or a stranger.  Pure. */

#include <stdbool.h>

#include <jansson.h>
#include <sys/types.h>

#include "base/err.h"

#define CALLERS_MAX 64

enum caller_kind { CALLER_STRANGER, CALLER_DAEMON, CALLER_ROOT, CALLER_HOST_PROCESS };
enum local_use { LOCAL_CLIENT, LOCAL_SERVER };
#define LOCAL_USES 2
const char *local_use_name(enum local_use use);
bool local_use_parse(const char *text, enum local_use *out);

struct caller {
	enum caller_kind kind;
	uid_t uid;
	char *name; /* of a host process: its module's name too */
	bool device, module, local;
	enum local_use local_use;
};

struct callers {
	struct caller item[CALLERS_MAX];
	size_t n;
};

/* What the rest of the configuration allows. */
struct caller_rules {
	bool has_localid, has_device;
};

/* [{"name", "uid", "idtype": ["device", "module", "local"], "localid": {"type": "x509", "attributes": "client"}}].  Without idtype: the daemon, of which there is one; *ignored is the name
 * of a second one, or NULL. */
int callers_take(struct callers *out, const json_t *list, const struct caller_rules *rules, const char **ignored, struct err *err);
void callers_clear(struct callers *callers);
struct caller callers_find(const struct callers *callers, bool has_uid, uid_t uid); /* the caller clears it */
void caller_clear(struct caller *caller);
const struct caller *callers_named(const struct callers *callers, const char *name);

enum caller_wish {
	WISH_CALLER_IDENTITY,
	WISH_DEVICE,
	WISH_REPROVISION,
	WISH_MODULE,  /* aziot, of the name */
	WISH_LOCAL,   /* of the name */
	WISH_MODULES, /* list, make, change, delete */
	WISH_PUBLIC,  /* trust bundle, provisioning information */
};
bool caller_may(const struct caller *caller, enum caller_wish wish, const char *name);
