/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The devices of a load and those they deal with: a root, an intermediate and a server certificate, and for each device a key with two certificates, one that
 * it signed itself (for registration by thumbprint) and one of the intermediate, which goes with it or not; and a symmetric key.  Made afresh for every run, in memory; what a server needs is written to a folder. */

#include "base/secret.h"
#include "keys/key.h"
#include "pki/cert.h"

/* What a device shows: one of its certificates or nothing, and a token; mixed: every other device a token, the rest FLEET_SELF. */
enum fleet_kind { FLEET_SELF, FLEET_CHAIN, FLEET_LEAF, FLEET_TOKEN, FLEET_KINDS, FLEET_MIXED = FLEET_KINDS };

struct fleet_device {
	struct certs chain[FLEET_KINDS]; /* by fleet_kind: as the device sends it */
	struct key *key;
	struct secret secret; /* of its tokens */
	bool has_even_number;
	char id[32];
};

struct fleet {
	struct fleet_device *devices;
	size_t n_devices;
};

/* Writes server.cert.pem, server.key.pem, root.pem, cas.pem (root and intermediate), devices.pem (all self-signed certificates) and thumbprints ("ID SHA-256" a
 * line), keys ("ID BASE64"), and self-signed certificate and key of the first device (device.pem, device.key.pem) into dir. */
struct fleet *fleet_make(const char *dir, const char *host, size_t n_devices, struct err *err);
void fleet_free(struct fleet *fleet);
OWN_DEFINE(fleet);
