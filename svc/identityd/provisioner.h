/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Finds out who this device is, and again when it has to, on a thread of its own that never gives up: what was kept serves at once, provisioning is asked when there is nothing kept for
 * this configuration or the mode says so, and the modules of host processes are put in order in the hub that it is.  Nothing of it waits for a network that is away, and nothing ends. */

#include "identityd/dps_client.h"
#include "identityd/reconcile.h"

struct provisioner;

struct provisioner_config {
	const struct provisioning_source *source;
	struct device_credential *credential;
	struct dps_client *dps;
	struct cloud *cloud;
	struct module_identities *modules;
	const char *state_dir, *parent;	 /* the parent gateway's name, or NULL */
	const char *const *host_modules; /* names of host processes with a module identity; copied */
	size_t n_host_modules;
	int64_t look_every_s; /* Dynamic: whether the hub still has this device is looked at so often, unasked */
};

struct provisioner *provisioner_start(const struct provisioner_config *config); /* all borrowed, but for host_modules */
void provisioner_stop(struct provisioner *provisioner);				/* cloud_stop comes first */

/* They are put in order in the hub soon.  Any thread. */
void provisioner_set_host_modules(struct provisioner *provisioner, const char *const *names, size_t n);

/* Who it is now, a reference of the caller's.  NULL: ERR_UNAVAILABLE with why it is not known yet, or ERR_MISSING where there is no device (source none). */
struct device_info *provisioner_device(struct provisioner *provisioner, struct err *err);
char *provisioner_registration_id(struct provisioner *provisioner); /* NULL when not known yet */

/* Somebody wants it done anew.  Waits for the end of one attempt, or until its patience ends: then it goes on by itself. */
int provisioner_reprovision(struct provisioner *provisioner, struct err *err);
/* The hub has refused this device: is there another identity now?  0: yes, or the same once more; -1: no, and err says why. */
int provisioner_refused(struct provisioner *provisioner, const struct device_info *device, struct err *err);
