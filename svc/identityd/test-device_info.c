/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/mem.h"
#include "identityd/device_info.h"
#include "t.h"
#include "wire/json.h"

static const struct device_question question = { "https://dps.example", "0ne00001234", "dev-1", "tpm", "c0ffee" };

TEST("what provisioning said is found again by who asks the same")
{
	struct err err = ERR_INIT;
	OWN(device_info) info = device_info_new("Hub.Example", NULL, "device-1");
	OWN(device_info) back = NULL;
	bool again;

	CHECK_STR(info->hub_name, "hub.example");
	CHECK_STR(info->gateway_host, "hub.example");
	CHECK_OK(device_info_save(T_TMPDIR, info, &question, false, &err), err);
	back = device_info_load(T_TMPDIR, &question, &again, &err);
	CHECK(back && device_info_is_same(back, info) && !again);
	device_info_free(GIVE(back));
	CHECK_OK(device_info_save(T_TMPDIR, info, &question, true, &err), err);
	back = device_info_load(T_TMPDIR, &question, &again, &err);
	CHECK(back && again);
}

TEST("each part of the question that differs makes it somebody else's, and the sentence says which")
{
	static const struct {
		struct device_question question;
		const char *words;
	} rows[] = {
		{ { "https://other.example", "0ne00001234", "dev-1", "tpm", "c0ffee" }, "endpoint" },
		{ { "https://dps.example", "0ne00009999", "dev-1", "tpm", "c0ffee" }, "ID scope" },
		{ { "https://dps.example", "0ne00001234", "dev-2", "tpm", "c0ffee" }, "registration id" },
		{ { "https://dps.example", "0ne00001234", "dev-1", "x509", "c0ffee" }, "way to prove" },
		{ { "https://dps.example", "0ne00001234", "dev-1", "tpm", "dec0de" }, "credential" },
	};
	OWN(device_info) info = device_info_new("hub.example", NULL, "device-1");
	OWN_LIB(json_t) json = device_info_to_json(info, &question, false);

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = ERR_INIT;
		bool again;

		CHECK(!device_info_from_json(json, &rows[i].question, &again, &err));
		CHECK_ERR(err, ERR_CONFLICT, rows[i].words);
	}
}

TEST("a file that is damaged, or names no hub and device, is no answer, whatever it holds")
{
	static const char *const texts[] = { "", "{", "[]", "7", "{}", "{\"hubName\":\"h\",\"deviceId\":\"d\"}",
		"{\"hubName\":\"h\",\"deviceId\":\"d\",\"asked\":7}", "{\"hubName\":\"h\",\"deviceId\":\"d\",\"asked\":{}}",
		"{\"hubName\":\"h/../x\",\"deviceId\":\"d\",\"asked\":{\"endpoint\":\"https://dps.example\"}}",
		"{\"hubName\":\"h\",\"deviceId\":\"a/b\",\"asked\":{\"endpoint\":\"https://dps.example\"}}",
		"{\"hubName\":\"\",\"deviceId\":\"d\",\"asked\":{}}", "hub_name = \"h\"\n" };
	OWN_TEXT path = mem_textf("%s/device_info", T_TMPDIR);

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;
		bool again;

		CHECK_OK(file_save(path, texts[i], strlen(texts[i]), 0600, &err), err);
		CHECK(!device_info_load(T_TMPDIR, &question, &again, &err));
		CHECK(err.kind == ERR_INVALID);
	}
}

TEST("a disk that fails while it is written leaves what was there before")
{
	struct err err = ERR_INIT;
	OWN(device_info) before = device_info_new("hub.example", NULL, "device-1");
	OWN(device_info) after = device_info_new("other.example", NULL, "device-1");

	CHECK_OK(device_info_save(T_TMPDIR, before, &question, false, &err), err);
	for (int i = 1; i < 3; i++) {
		OWN(device_info) back = NULL;
		bool again;

		err = (struct err)ERR_INIT;
		file_fault_after = i;
		CHECK(device_info_save(T_TMPDIR, after, &question, false, &err) < 0);
		file_fault_after = 0;
		back = device_info_load(T_TMPDIR, &question, &again, &err);
		CHECK(back && device_info_is_same(back, before));
	}
}
