/* SPDX-License-Identifier: Apache-2.0 */
/* Attestation: what does not fit together. */
#include "hub/provisioning/test_arrival.h"

TEST("a certificate for an enrollment by key, and a token for one by certificate, are refused as the wrong proof")
{
	CLEAR(made) leaf = story_device("dev1", NULL);
	CLEAR(arrival) a = arrival_of("dev1");
	CLEAR(arrival) b = arrival_of("dev1");
	CLEAR(secret) key = { 0 };

	set_key(&set_individual(&a, ENROLLMENT_BY_KEY)->keys[0], "primary key of dev1");
	show(&a, &leaf, NULL);
	refused(&a, ENROLLMENT_WRONG_PROOF);
	set_individual(&b, ENROLLMENT_BY_CERT)->certs[0] = cert_ref(leaf.cert);
	set_key(&key, "some key");
	show_token(&b, &key);
	show(&b, &leaf, NULL);
	refused(&b, ENROLLMENT_WRONG_PROOF);
}

TEST("another id scope, a malformed id, nothing shown, and half a token are refused each by its name")
{
	CLEAR(arrival) scope = arrival_of("dev1");
	CLEAR(arrival) id = arrival_of("dev1/../dev2");
	CLEAR(arrival) nothing = arrival_of("dev1");
	CLEAR(arrival) half = arrival_of("dev1");

	scope.scope = "0neffffffff";
	refused(&scope, ID_SCOPE_UNKNOWN);
	refused(&id, REGISTRATION_ID_INVALID);
	refused(&nothing, DEVICE_NO_CREDENTIAL);
	half.token = mem_text("SharedAccessSignature sr=x");
	refused(&half, SAS_MALFORMED);
}
