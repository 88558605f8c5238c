/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of this box. */
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "edged/system_info.h"
#include "t.h"
#include "wire/json.h"

static void
release_is(const char *text, const char *name, const char *want)
{
	OWN_TEXT value = system_info_release(text, name);

	if (want)
		CHECK_STR(value, want);
	else
		CHECK(value == NULL);
}

TEST("os-release: values with and without quotes, and no name that only begins like another")
{
	static const char text[] = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\nVARIANT_ID=''\nEMPTY=\n";

	release_is(text, "ID", "debian");
	release_is(text, "VERSION_ID", "12");
	release_is(text, "VARIANT_ID", "");
	release_is(text, "EMPTY", "");
	release_is(text, "VERSION", NULL);
	release_is(text, "D", NULL);
	release_is("", "ID", NULL);
	release_is("ID", "ID", NULL);
	release_is("ID=\"", "ID", "\"");
}

TEST("every member that the original tells is there, and what an operator adds changes none of them")
{
	static const char *const members[] = { "osType", "kernel_release", "kernel_version", "operating_system",
		"operating_system_version", "operating_system_variant", "operating_system_build", "architecture", "cpus",
		"total_memory", "virtualized", "product_name", "system_vendor", "version", "server_version", "provisioning",
		"site" };
	static const char more[] = "site = \"north\"\nosType = \"other\"\nnumber = 1\n";
	char path[256];
	struct err err = ERR_INIT;
	OWN_LIB(json_t) info = NULL;
	const char *text;

	snprintf(path, sizeof(path), "%s/more.toml", T_TMPDIR);
	CHECK_OK(file_save(path, more, strlen(more), 0600, &err), err);
	info = system_info_json(path);
	for (size_t i = 0; i < COUNT(members); i++)
		CHECK(json_object_get(info, members[i]) != NULL);
	CHECK_OK(json_get_text(info, "osType", &text, &err), err);
	CHECK_STR(text, "linux");
	CHECK(json_object_get(info, "number") == NULL);
}

TEST("resources: memory and a disk that are there, processors between nothing and all")
{
	OWN_LIB(json_t) first = system_resources_json(T_TMPDIR, clock_boot_ms());
	OWN_LIB(json_t) second = system_resources_json("/nothing/here", clock_boot_ms());
	double used = json_real_value(json_object_get(second, "usedCpu"));

	CHECK(json_integer_value(json_object_get(first, "totalRam")) > json_integer_value(json_object_get(first, "usedRam")));
	CHECK_INT(json_array_size(json_object_get(first, "disks")), 1);
	CHECK_INT(json_array_size(json_object_get(second, "disks")), 0);
	CHECK(used >= 0 && used <= 100);
}
