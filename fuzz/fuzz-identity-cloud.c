/* SPDX-License-Identifier: Apache-2.0 */
/* What provisioning, a hub and a file of its own say to identityd: whatever it is, a device is assigned to a hub only by names that can be that, nothing that is kept holds anything else, and
 * a refusal has a sentence. */
#include "fuzz.h"
#include "auth/identity.h"
#include "base/text.h"
#include "identityd/device_info.h"
#include "identityd/dps_answer.h"
#include "identityd/module_record.h"
#include "wire/json.h"

static void
check_hub(const char *hub)
{
	FUZZ_CHECK(hub && *hub && !strpbrk(hub, "/?#@ \\\r\n"));
	for (const char *c = hub; *c; c++)
		FUZZ_CHECK(*c < 'A' || *c > 'Z');
}

static void
check_provisioning(int status, const json_t *body)
{
	struct dps_answer a;
	struct err err = ERR_INIT;
	enum dps_step step = dps_answer_take(&a, status, body, -1, &err);

	if (step == DPS_ASSIGNED) {
		check_hub(a.hub);
		FUZZ_CHECK(identity_id_is_valid(a.device_id));
	} else {
		FUZZ_CHECK(!a.hub && !a.device_id);
	}
	FUZZ_CHECK(step != DPS_ASSIGNING || (a.operation && *a.operation && !text_has_control(a.operation, strlen(a.operation))));
	FUZZ_CHECK(step != DPS_CHALLENGED || (status == 401 && a.authentication_key && *a.authentication_key));
	FUZZ_CHECK((step == DPS_BUSY || step == DPS_REFUSED) == (err.kind != ERR_NONE && *err.text));
	dps_answer_clear(&a);
}

static void
check_module(const json_t *body)
{
	struct err err = ERR_INIT;

	if (module_record_check(body, "dev", NULL, &err) == 0)
		FUZZ_CHECK(identity_id_is_valid(json_string_value(json_object_get(body, "moduleId"))));
	else
		FUZZ_CHECK(*err.text);
}

static void
check_kept(const json_t *body)
{
	static const struct device_question question = { "https://dps.test", "0ne1", "dev", "tpm", "c0ffee" };
	struct err err = ERR_INIT;
	bool again;
	OWN(device_info) info = device_info_from_json(body, &question, &again, &err);
	OWN_LIB(json_t) json = info ? device_info_to_json(info, &question, again) : NULL;
	OWN(device_info) back = NULL;

	FUZZ_CHECK(info || *err.text);
	if (!info)
		return;
	FUZZ_CHECK(identity_id_is_valid(info->device_id));
	back = device_info_from_json(json, &question, &again, &err);
	FUZZ_CHECK(back && device_info_is_same(info, back));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 200, 202, 400, 401, 404, 409, 429, 500 };
	struct err err = ERR_INIT;
	OWN_LIB(json_t) body = size > 1 ? json_parse(data + 1, size - 1, &err) : NULL;

	if (size == 0)
		return 0;
	check_provisioning(statuses[data[0] % COUNT(statuses)], body);
	check_module(body);
	check_kept(body);
	return 0;
}
