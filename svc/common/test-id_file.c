/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/text.h"
#include "common/id_file.h"
#include "t.h"

struct golden {
	const char *id, *name;
};

/* edge-services 4.7: file names seen on real devices. */
static const struct golden golden[] = {
	{ "aziot-edged-ca", "aziotedgedca-86f154be7ff14480027f0d00c59c223db6d9e4ab0b559fc523cca36a7c973d6d" },
	{ "device-id", "deviceid-bd732105ef89cf8edd2606a5309c8a26b7b5599a4e124a0fe6199b6b2f60e655" },
	{ "aziot-edged/module/IoTEdgeAPIProxy:637913460334654299:server",
		"aziotedgedmoduleIoTEdgeAPIProxy637913460334654299server-"
		"c7066944a8d35ca97f1e7380ab2afea5068f39a8112476ffc89ea2c46ca81d10" },
	{ "aziot-edged/module/$edgeHub:637911101449272999:server",
		"aziotedgedmoduleedgeHub637911101449272999server-"
		"a0407493b6b50ee07b3fedbbb9d181e7bb5f6f52c1d071114c361aca628daa92" },
	{ "aziot-edged/module/edgeHub:637911101449272999:server",
		"aziotedgedmoduleedgeHub637911101449272999server-"
		"5ed5e7756c32169fbcfca8c1fdb297e40ada08597e40ce8f097c286efd24874c" },
};

TEST("ids become the file names that the original gives them")
{
	for (size_t i = 0; i < COUNT(golden); i++) {
		struct err err = ERR_INIT;
		OWN_TEXT path = id_file_path("/d", golden[i].id, ".cer", &err);
		OWN_TEXT want = mem_textf("/d/%s.cer", golden[i].name);

		CHECK_STR(path, want);
	}
}

TEST("atk-15: whatever an id holds, its file is one plain name in the folder")
{
	static const char *const ids[] = { "../../etc/passwd", "/etc/passwd", ".", "..", "con.pem", "a/b", "%2e%2e", "a\\b", "~",
		"-rf", "Ⓐ" };

	for (size_t i = 0; i < COUNT(ids); i++) {
		struct err err = ERR_INIT;
		OWN_TEXT path = id_file_path("/d", ids[i], ".key", &err);

		CHECK(text_starts(path, "/d/"));
		CHECK(!strchr(path + 3, '/'));
		CHECK(!strstr(path + 3, ".."));
		CHECK(strlen(path + 3) >= 64 + 5);
	}
}

TEST("atk-15: a long id still gives a file name that a file system takes")
{
	struct err err = ERR_INIT;
	char id[301] = "";
	OWN_TEXT path = NULL;

	memset(id, 'a', 300);
	path = id_file_path("/d", id, ".cer", &err);
	CHECK(strlen(path + 3) <= 255);
}

TEST("two ids that look alike without their punctuation have two files")
{
	struct err err = ERR_INIT;
	OWN_TEXT one = id_file_path("/d", "ab", ".key", &err);
	OWN_TEXT two = id_file_path("/d", "a-b", ".key", &err);

	CHECK(!text_is(one, two));
}

TEST("atk-15: ids that are empty, too long, with control bytes or no UTF-8 are refused")
{
	char long_id[ID_MAX + 2] = "";
	const char *const ids[] = { "", long_id, "a\nb", "\x7f", "\xff\xfe", "\xc0\xae" };

	memset(long_id, 'x', ID_MAX + 1);
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct err err = ERR_INIT;

		CHECK(!id_file_path("/d", ids[i], ".key", &err));
		CHECK_ERR(err, ERR_INVALID, "an id has 1 to");
	}
}
