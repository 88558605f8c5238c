/* SPDX-License-Identifier: Apache-2.0 */
/* Shared access signatures: an accepted token, signed again by a key of ours, names the same and matches. */
#include "fuzz.h"
#include "wire/sas.h"

static void
sign_again(const struct sas_token *token)
{
	struct secret key = { .len = 4, .bytes = { 1, 2, 3, 4 } };
	CLEAR(buf) text = BUF_INIT(65536);
	struct err err = ERR_INIT;
	OWN(sas_token) copy = NULL;

	FUZZ_CHECK(!sas_signature_matches(token, &key));
	sas_sign(&text, token->resource, token->expiry, token->policy, &key);
	if (text.failed)
		return; /* it grew by being encoded */
	copy = sas_parse(buf_text(&text), &err);
	if (!copy) {
		FUZZ_CHECK(text.len > SAS_TOKEN_MAX);
		return;
	}
	FUZZ_CHECK(sas_signature_matches(copy, &key));
	FUZZ_CHECK(fuzz_same_text(copy->resource, token->resource) && fuzz_same_text(copy->policy, token->policy));
	FUZZ_CHECK(copy->expiry == token->expiry);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sas_audience hub = { .host = "hub" }, gateway = { .host = "hub", .ids_in_any_case = true };
	OWN_TEXT text = mem_textn((const char *)data, size);
	struct err err = ERR_INIT;
	OWN(sas_token) token = sas_parse(text, &err);

	if (!token)
		return 0;
	FUZZ_CHECK(token->expiry > 0);
	sign_again(token);
	/* Who may speak for a module's parent may speak for the module. */
	if (sas_resource_covers(token, &hub, "devices/d"))
		FUZZ_CHECK(sas_resource_covers(token, &hub, "devices/d/modules/m") &&
			   sas_resource_covers(token, &gateway, "devices/d"));
	return 0;
}
