/* SPDX-License-Identifier: Apache-2.0 */
/* The keys service's paths (edge-services 1.1). */
#include "base/mem.h"
#include "keyd/keyd.h"
#include "keyd/keyd_endpoints.h"

static const struct endpoint endpoints[] = {
	{ "POST", "/key", "2020-09-01", keyd_create_key },
	{ "DELETE", "/key", "2020-09-01", keyd_delete_key },
	{ "GET", "/key/{}", "2020-09-01", keyd_load_key },
	{ "POST", "/key/{}", "2020-09-01", keyd_move_key },
	{ "POST", "/keypair", "2020-09-01", keyd_create_pair },
	{ "DELETE", "/keypair", "2020-09-01", keyd_delete_pair },
	{ "GET", "/keypair/{}", "2020-09-01", keyd_load_pair },
	{ "POST", "/keypair/{}", "2020-09-01", keyd_move_pair },
	{ "POST", "/parameters/{}", "2020-09-01", keyd_parameter },
	{ "POST", "/derivedkey", "2020-09-01", keyd_derive },
	{ "POST", "/derivedkey/export", "2020-09-01", keyd_export_derived },
	{ "POST", "/sign", "2020-09-01", keyd_sign },
	{ "POST", "/encrypt", "2020-09-01", keyd_encrypt },
	{ "POST", "/decrypt", "2020-09-01", keyd_decrypt },
};

static const struct endpoint quick[] = {
	{ "POST", "/sign", "2020-09-01", keyd_sign_now },
};

static const struct endpoint_body bodies[] = {
	{ "POST", "/key", "keyId usage keyBytes?" },
	{ "DELETE", "/key", "keyHandle" },
	{ "POST", "/keypair", "keyId preferredAlgorithms?" },
	{ "DELETE", "/keypair", "keyHandle" },
	{ "POST", "/key/{}", "from" },
	{ "POST", "/keypair/{}", "from" },
	{ "POST", "/parameters/{}", "keyHandle" },
	{ "POST", "/derivedkey", "baseKeyHandle derivationData" },
	{ "POST", "/derivedkey/export", "keyHandle" },
	{ "POST", "/sign", "keyHandle algorithm" },
	{ "POST", "/encrypt", "keyHandle algorithm plaintext" },
	{ "POST", "/decrypt", "keyHandle algorithm ciphertext" },
};

static const char *const versions[] = { "2020-09-01", "2021-05-01", NULL };

const struct endpoint_table keyd_endpoints = {
	.endpoints = endpoints,
	.n_endpoints = COUNT(endpoints),
	.quick = quick,
	.n_quick = COUNT(quick),
	.bodies = bodies,
	.n_bodies = COUNT(bodies),
	.versions = versions,
	.denied_status = 401,
	.missing_status = 400,
	.hide_failures = true,
};
