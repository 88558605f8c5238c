/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The workload API as a module sees it (edge-services 2), from our own gateway's side.  Calls block: use them on a worker. */

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"
#include "keys/key.h"
#include "pki/cert.h"

struct workload {
	char *socket_path, *module_id, *generation_id;
};

/* Server certificate for a key that stays where it is: the CSR goes along (our extension "csr"), no private key comes back.
 * names[0] is the common name; the rest are further SANs ("dnsNames"/"ipAddresses" of the extension). */
int workload_server_certificate(const struct workload *w, const struct key *key, const char *const *names, size_t n_names,
	struct certs *chain, int64_t *expires, struct err *err);
/* Which certificate the Edge CA has now: its SHA-256.  Another one than before is the time to ask for another server certificate. */
int workload_edge_ca(const struct workload *w, uint8_t out[static 32], struct err *err);
/* The management API, with our extension: what edged knows of a module of its own, and of the device.  MISSING: it does not know that module (yet). */
struct management_facts {
	char *generation_id, *hub_name, *device_id;
};
int management_find(const char *socket_path, const char *module_id, struct management_facts *out, struct err *err);
void management_facts_clear(struct management_facts *facts);
int workload_hub_reached(
	const struct workload *w, struct err *err); /* our extension: what edged has only kept is asked of the hub now */
int workload_trust_bundle(const struct workload *w, struct buf *pem, struct err *err);
int workload_sign(const struct workload *w, const void *data, size_t len, uint8_t out[static 32], struct err *err);
int workload_encrypt(
	const struct workload *w, const void *iv, size_t iv_len, const void *data, size_t len, struct buf *out, struct err *err);
int workload_decrypt(
	const struct workload *w, const void *iv, size_t iv_len, const void *data, size_t len, struct buf *out, struct err *err);
