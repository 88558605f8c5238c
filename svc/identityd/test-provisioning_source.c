/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "identityd/provisioning_source.h"
#include "t.h"
#include "wire/json.h"

static int
take(struct provisioning_source *out, const char *text, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text, strlen(text), err);

	CHECK(json != NULL);
	*out = (struct provisioning_source){ 0 };
	return provisioning_source_take(out, json, err);
}

#define DPS_AT(endpoint, scope, auth, more)                                                                                        \
	"{\"source\":\"dps\",\"auth\":\"" auth "\",\"dps\":{\"global_endpoint\":\"" endpoint "\",\"id_scope\":\"" scope "\"" more  \
	"}"
#define DPS(auth, more) DPS_AT("https://dps.example", "0ne1", auth, more)

struct row {
	const char *config, *answer;
};

TEST("each source says what the original's clients read of it")
{
	static const struct row rows[] = {
		{ "{\"hub_name\":\"H\",\"device_id\":\"d\",\"auth\":\"sas\"}", "{\"source\": \"manual\", \"auth\": \"sas\"}" },
		{ "{\"source\":\"manual\",\"hub_name\":\"h\",\"device_id\":\"d\",\"auth\":\"x509\"}",
			"{\"source\": \"manual\", \"auth\": \"x509\"}" },
		{ DPS("symmetric_key", ",\"registration_id\":\"r\",\"payload\":{\"a\":1}}"),
			"{\"source\": \"dps\", \"auth\": \"symmetric_key\", \"endpoint\": \"https://dps.example\", \"scope_id\": "
			"\"0ne1\", "
			"\"registration_id\": \"r\", \"payload\": {\"a\": 1}}" },
		{ DPS("tpm", ",\"registration_id\":\"r\"}"),
			"{\"source\": \"dps\", \"auth\": \"tpm\", \"endpoint\": \"https://dps.example\", \"scope_id\": \"0ne1\", "
			"\"registration_id\": \"r\"}" },
		{ DPS("x509", "}"),
			"{\"source\": \"dps\", \"auth\": \"x509\", \"endpoint\": \"https://dps.example\", \"scope_id\": \"0ne1\", "
			"\"registration_id\": \"the-cn\"}" },
		{ "{\"source\":\"none\"}", "{\"source\": \"none\"}" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct provisioning_source s;
		struct err err = ERR_INIT;
		OWN_LIB(json_t) json = NULL;
		OWN_LIB(json_t) want = json_parse(rows[i].answer, strlen(rows[i].answer), &err);

		CHECK_OK(take(&s, rows[i].config, &err), err);
		json = provisioning_source_json(&s, s.registration_id ? s.registration_id : "the-cn");
		CHECK(json_equal(json, want));
		provisioning_source_clear(&s);
	}
}

TEST("modes have the original's names, and Dynamic is the default")
{
	struct provisioning_source s;
	struct err err = ERR_INIT;

	CHECK_OK(take(&s, "{\"source\":\"none\"}", &err), err);
	CHECK_INT(s.mode, MODE_DYNAMIC);
	CHECK_OK(take(&s, "{\"source\":\"none\",\"auto_reprovisioning_mode\":\"AlwaysOnStartup\"}", &err), err);
	CHECK_STR(source_mode_name(s.mode), "AlwaysOnStartup");
	CHECK(take(&s, "{\"source\":\"none\",\"auto_reprovisioning_mode\":\"dynamic\"}", &err) < 0);
}

TEST("what can't be gone by is refused: no such source or proof, no registration id, an endpoint without TLS, DPS below a parent")
{
	static const struct row rows[] = {
		{ "{\"source\":\"dsp\"}", "source: 'dsp'" },
		{ "{}", "hub_name" },
		{ "{\"hub_name\":\"h\",\"device_id\":\"a/b\",\"auth\":\"sas\"}", "device_id" },
		{ "{\"hub_name\":\"h\",\"device_id\":\"d\",\"auth\":\"tpm\"}", "auth: 'tpm'" },
		{ "{\"hub_name\":\"h\",\"device_id\":\"d\"}", "auth" },
		{ DPS("sas", ",\"registration_id\":\"r\"}"), "auth: 'sas'" },
		{ DPS("tpm", "}"), "registration_id is missing" },
		{ DPS("tpm", ",\"registration_id\":\"a/b\"}"), "registration_id" },
		{ DPS("x509", "},\"gateway_host\":\"parent.local\""), "not supported in nested mode" },
		{ DPS_AT("http://dps.example", "s", "x509", "}"), "https://HOST" },
		{ DPS_AT("dps.example", "s", "x509", "}"), "endpoint" },
		{ DPS_AT("https://dps.example", "s/t", "x509", "}"), "id_scope" },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct provisioning_source s;
		struct err err = ERR_INIT;

		CHECK(take(&s, rows[i].config, &err) < 0);
		CHECK_CONTAINS(err.text, rows[i].answer);
		provisioning_source_clear(&s);
	}
}
