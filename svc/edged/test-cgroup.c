/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups as /proc tells them. */
#include "base/mem.h"
#include "base/text.h"
#include "edged/cgroup.h"
#include "t.h"

static void
path_is(const char *text, const char *want)
{
	OWN_TEXT path = cgroup_path(text);

	if (want)
		CHECK_STR(path, want);
	else
		CHECK(path == NULL);
}

TEST("the path is that of the unified hierarchy, or of systemd's where the unified one is empty")
{
	path_is("0::/system.slice/sensor.service\n", "/system.slice/sensor.service");
	path_is("12:cpu,cpuacct:/x\n1:name=systemd:/system.slice/a.service\n0::/\n", "/system.slice/a.service");
	path_is("1:name=systemd:/system.slice/a.service\n0::/system.slice/b.service\n", "/system.slice/b.service");
	path_is("0::/\n", "/");
}

TEST("what is outside of our part of the tree, was removed, or is no such file, is nowhere")
{
	path_is("0::/../../system.slice/a.service\n", NULL);
	path_is("0::/system.slice/a.service (deleted)\n", NULL);
	path_is("", NULL);
	path_is("\n\n", NULL);
	path_is("0:", NULL);
	path_is("0::", NULL);
	path_is("4:memory:/system.slice/a.service\n", NULL);
	path_is("0::system.slice/a.service\n", NULL);
}

TEST("a group holds what is below it, and nothing that only begins like it")
{
	CHECK(cgroup_is_in("/system.slice/a.service", "/system.slice/a.service"));
	CHECK(cgroup_is_in("/system.slice/a.service/worker", "/system.slice/a.service"));
	CHECK(cgroup_is_in("/system.slice/a.service", "/system.slice/"));
	CHECK(!cgroup_is_in("/system.slice/a.service2", "/system.slice/a.service"));
	CHECK(!cgroup_is_in("/system.slice", "/system.slice/a.service"));
}

static void
unit_is(const char *path, const char *want)
{
	OWN_TEXT unit = cgroup_unit(path);

	if (want)
		CHECK_STR(unit, want);
	else
		CHECK(unit == NULL);
}

TEST("the unit is the first on the way that is no slice; a process can't give itself another below it")
{
	unit_is("/system.slice/sensor.service", "sensor.service");
	unit_is("/system.slice/sensor.service/init.scope", "sensor.service");
	unit_is("/system.slice/system-sensor.slice/sensor@1.service", "sensor@1.service");
	unit_is("/user.slice/user-1000.slice/user@1000.service/app.slice/sensor.service", "user@1000.service");
	unit_is("/user.slice/user-1000.slice/session-3.scope", "session-3.scope");
	unit_is("/system.slice/_cpu.service", "cpu.service");
	unit_is("/evil/sensor.service", NULL);
	unit_is("/system.slice", NULL);
	unit_is("/", NULL);
}
