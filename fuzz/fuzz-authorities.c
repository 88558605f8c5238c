/* SPDX-License-Identifier: Apache-2.0 */
/* The CAs that a hub hands down: a set that was read is written and read again as the same set, and its scopes answer for any device. */
#include "auth/authority.h"
#include "fuzz.h"
#include "wire/json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) json = json_parse(data, size, &err);
	OWN(authorities) set = json ? authorities_from_json(json, &err) : NULL;
	OWN(identity) device = identity_new("sensor-1", NULL);
	struct authority_scope scope = { 0 };

	if (json && json_is_object(json) && authority_scope_from_json(&scope, json, &err) == 0) {
		OWN_LIB(json_t) again = authority_scope_to_json(&scope);
		struct authority_scope copy = { 0 };

		FUZZ_CHECK(authority_scope_from_json(&copy, again, &err) == 0);
		FUZZ_CHECK(authority_scope_covers(&scope, device) == authority_scope_covers(&copy, device));
		authority_scope_clear(&copy);
		authority_scope_clear(&scope);
	}
	if (set) {
		OWN_LIB(json_t) again = authorities_to_json(set);
		OWN(authorities) copy = authorities_from_json(again, &err);

		FUZZ_CHECK(copy && authorities_equal(set, copy));
	}
	return 0;
}
