/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of routes, from a twin or a file: what is understood can be asked about a message, and sends it to each sink once at most. */
#include "fuzz.h"
#include "gateway/routes/routes.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	const struct routes_row *taken[ROUTES_MAX];
	OWN(routes) routes = routes_parse((const char *)data, size, &err);
	struct route_message message = {
		.device_id = { "edge", 4 },
		.module_id = { "m", 1 },
		.is_own = true,
		.bag = { "%24.on=o&%24.ct=application%2Fjson&%24.ce=utf-8&a=1", 51 },
		.payload = { "{\"a\":{\"b\":[1,\"x\"]}}", 19 },
	};
	size_t n;

	FUZZ_CHECK(routes || err.text[0]);
	if (!routes)
		return 0;
	FUZZ_CHECK(routes->n <= ROUTES_MAX && routes->n_sinks <= routes->n);
	n = routes_take(routes, &message, taken);
	FUZZ_CHECK(n <= routes->n_sinks);
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++)
			FUZZ_CHECK(taken[i]->sink != taken[k]->sink);
	return 0;
}
