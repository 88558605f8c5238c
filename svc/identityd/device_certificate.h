/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The device's own certificate: given as a file, whose end is watched; or issued (by EST, a local CA or itself, through certd) for a key in keyd, with the device id as common name, and
 * renewed ahead of its end.  What is to follow it is tried first, by a connection to whoever knows this device by it (svc/renewal/succession.h). */

#include <pthread.h>

#include "common/renewals.h"
#include "keyd/client.h"
#include "pki/cert.h"
#include "pki/subject.h"

struct device_certificate {
	const char *certd, *device_id; /* borrowed */
	struct keyd_client *keyd;
	bool is_issued;
	X509_NAME *subject; /* owned; NULL: its name alone */
	/* Does the other side take it?  ERR_UNAVAILABLE: it could not be asked.  NULL: there is nobody to ask. */
	int (*test)(void *arg, const struct certs *chain, const struct key *key, struct err *err);
	void *arg;
	/* Its own. */
	struct renewal_policy policy;
	struct renewals *renewals;
	pthread_rwlock_t in_use;
};

/* With the members above filled in.  dir: where the state of renewals is kept; auto_renew: as in config.toml, or NULL. */
int device_certificate_open(struct device_certificate *device, const char *dir, const json_t *auto_renew, struct err *err);
int device_certificate_start(struct device_certificate *device, struct err *err); /* it is watched, and renewed in time */
void device_certificate_stop(struct device_certificate *device);		  /* after what is under way */
void device_certificate_clear(struct device_certificate *device);		  /* also of one that is all zero */

/* Before each use: afterwards there is a pair that belongs together and is valid as far as this clock can tell, or a failure.  Blocks while it is issued; costs nothing otherwise. */
int device_certificate_ensure(struct device_certificate *device, struct err *err);
/* The pair; the caller owns both. */
int device_certificate_load(struct device_certificate *device, struct certs *chain, struct key **key, struct err *err);
json_t *device_certificate_renewals(struct device_certificate *device); /* the answer to GET /renewals */
