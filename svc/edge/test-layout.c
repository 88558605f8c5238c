/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "edge/layout.h"
#include "t.h"

#define HEAD "hostname = \"edge.local\"\n"
#define SAS                                                                                                                        \
	HEAD "[provisioning]\nsource = \"manual\"\niothub_hostname = \"hub.local\"\ndevice_id = "                                  \
	     "\"d\"\n[provisioning.authentication]\nmethod = \"sas\"\ndevice_id_pk = { value = \"a2V5\" }\n"
#define TPM                                                                                                                        \
	HEAD "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://p.local\"\nid_scope = \"s\"\n"                         \
	     "[provisioning.attestation]\nmethod = \"tpm\"\nregistration_id = \"d\"\n"

static struct config *
configured(const char *text)
{
	CLEAR(findings) findings = { 0 };
	struct err err = ERR_INIT;
	OWN(toml) root = toml_parse(text, strlen(text), "config.toml", &err);
	struct config *c;

	if (!root)
		fail_msg("%s", err.text);
	c = config_from_toml(root, &findings);
	if (findings_first_error(&findings, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

static bool
fits(const char *now_text, const char *next_text, bool separate_users)
{
	OWN(config) now = configured(now_text);
	OWN(config) next = configured(next_text);
	OWN(layout) layout = layout_plan(now, "/state", separate_users);

	return layout_fits(layout, now, next);
}

TEST("what changes users, sockets or the gateway's being there does not fit under roles that run; all else does")
{
	static const struct {
		const char *next;
		bool as_root, as_one;
	} cases[] = {
		{ SAS, true, true },
		{ SAS "[aziot_max_requests]\ncertd = 1\n[modules.tool]\nuid = 7\n[gateway]\nmqtt_port = 1883\n", true, true },
		{ SAS "[gateway]\nhttps_port = 444\n", false, false }, /* below 1024, so it is opened for it */
		{ SAS "[gateway]\nenabled = false\n", false, false },
		{ SAS "[privileges]\nfirst_uid = 7000\n", false, true },
		{ SAS "[[principal]]\nname = \"p\"\nuid = 7\nkeys = [\"k\"]\n", false, true },
		{ TPM, false, false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CHECK(fits(SAS, cases[i].next, true) == cases[i].as_root);
		CHECK(fits(SAS, cases[i].next, false) == cases[i].as_one);
		CHECK(fits(cases[i].next, cases[i].next, true));
	}
}
