/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about this box (system_info.h), read when they are asked for. */
#include "edged/system_info.h"

#include <pthread.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"
#include "wire/toml.h"

#define FACT_MAX (1024 * 1024) /* /proc/cpuinfo of many processors */
#define UNKNOWN "unknown"

static char *
load(const char *path)
{
	struct buf text = BUF_INIT(FACT_MAX);
	struct err none = ERR_INIT;

	if (file_load(&text, path, &none) < 0) {
		buf_clear(&text);
		return NULL;
	}
	return buf_take_text(&text);
}

/* -- Who made it ------------------------------------------------------------------------------------------------------------------------- */

char *
system_info_release(const char *text, const char *name)
{
	struct slice rest = slice_of(text), line;
	size_t len = strlen(name);
	bool more = true;

	while (more) {
		more = slice_cut(&rest, '\n', &line);
		if (line.len <= len || memcmp(line.text, name, len) != 0 || line.text[len] != '=')
			continue;
		line = (struct slice){ line.text + len + 1, line.len - len - 1 };
		if (line.len >= 2 && (line.text[0] == '"' || line.text[0] == '\'') && line.text[line.len - 1] == line.text[0])
			line = (struct slice){ line.text + 1, line.len - 2 };
		return slice_text(line);
	}
	return NULL;
}

static void
put_release(json_t *info)
{
	static const struct {
		const char *name, *member;
	} rows[] = { { "ID", "operating_system" }, { "VERSION_ID", "operating_system_version" },
		{ "VARIANT_ID", "operating_system_variant" }, { "BUILD_ID", "operating_system_build" } };
	OWN_TEXT text = load("/etc/os-release");

	for (size_t i = 0; i < COUNT(rows); i++) {
		OWN_TEXT value = text ? system_info_release(text, rows[i].name) : NULL;

		json_object_set_new(info, rows[i].member, json_string(value ? value : ""));
	}
}

static void
put_first_line(json_t *info, const char *member, const char *path)
{
	OWN_TEXT text = load(path);
	OWN_TEXT line = text ? mem_textn(text, strcspn(text, "\n")) : NULL;

	json_object_set_new(info, member, json_string(line && *line ? line : UNKNOWN));
}

static const char *
is_virtual(void)
{
	OWN_TEXT text = load("/proc/cpuinfo");

	return !text ? UNKNOWN : strstr(text, " hypervisor") ? "yes" : "no";
}

/* What the operator says of it.  Nothing that we know ourselves is overwritten. */
static void
put_additional(json_t *info, const char *path)
{
	CLEAR(buf) text = BUF_INIT(FACT_MAX);
	struct err err = ERR_INIT;
	OWN(toml) table = NULL;

	if (file_load(&text, path, &err) == 0)
		table = toml_parse(buf_text(&text), text.len, path, &err);
	if (!table)
		log_warn("additional_info: %s", err.text);
	for (size_t i = 0; table && i < table->n; i++)
		if (table->item[i]->type == TOML_STRING && !json_object_get(info, table->item[i]->key))
			json_object_set_new(info, table->item[i]->key, json_string(table->item[i]->text));
}

json_t *
system_info_json(const char *additional_path)
{
	struct utsname name = { 0 };
	struct sysinfo now = { 0 };
	json_t *info;

	uname(&name);
	sysinfo(&now);
	info = json_pack("{s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:{s:s, s:b, s:b}}", "osType", "linux", "kernel_release",
		name.release, "kernel_version", name.version, "architecture", name.machine, "cpus",
		(int)sysconf(_SC_NPROCESSORS_CONF), "total_memory", (json_int_t)now.totalram * now.mem_unit, "virtualized",
		is_virtual(), "version", ROOTEDGE_VERSION, "server_version", "", "provisioning", "type", "ProvisioningType",
		"dynamicReprovisioning", 0, "alwaysReprovisionOnStartup", 0);
	put_release(info);
	put_first_line(info, "product_name", "/sys/class/dmi/id/product_name");
	put_first_line(info, "system_vendor", "/sys/class/dmi/id/sys_vendor");
	if (additional_path)
		put_additional(info, additional_path);
	return info;
}

/* -- What it is busy with ---------------------------------------------------------------------------------------------------------------- */

/* The first line of /proc/stat: user, nice, system, idle, waiting for disks, ... */
static bool
processor_times(double *busy, double *all)
{
	OWN_TEXT text = load("/proc/stat");
	struct slice rest = slice_of(text ? text : ""), word;
	bool more = true;

	*busy = *all = 0;
	for (int field = 0; more && field < 9; field++) {
		OWN_TEXT number = NULL;
		int64_t ticks;

		do
			more = slice_cut(&rest, ' ', &word);
		while (more && word.len == 0);
		number = slice_text(word);
		if (field == 0)
			continue;
		if (!text_to_i64(number, 0, INT64_MAX, &ticks))
			break;
		*all += (double)ticks;
		*busy += field == 4 || field == 5 ? 0 : (double)ticks;
	}
	return *all > 0;
}

/* Percent, since the last call; at the first since the start of the box. */
static double
used_processors(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static double last_busy, last_all;
	double busy, all, used = 0;

	pthread_mutex_lock(&lock);
	if (processor_times(&busy, &all) && all > last_all)
		used = 100 * (busy - last_busy) / (all - last_all);
	last_busy = busy;
	last_all = all;
	pthread_mutex_unlock(&lock);
	return used;
}

static json_t *
disk_json(const char *dir)
{
	struct statvfs disk;

	if (statvfs(dir, &disk) < 0)
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:s, s:s}", "name", dir, "availableSpace", (json_int_t)(disk.f_bavail * disk.f_frsize),
		"totalSpace", (json_int_t)(disk.f_blocks * disk.f_frsize), "fileSystem", UNKNOWN, "fileType", UNKNOWN);
}

json_t *
system_resources_json(const char *state_dir, int64_t started_ms)
{
	struct sysinfo now = { 0 };
	json_t *disks = json_array(), *disk = disk_json(state_dir);

	sysinfo(&now);
	if (disk)
		json_array_append_new(disks, disk);
	return json_pack("{s:I, s:I, s:f, s:I, s:I, s:o, s:s}", "hostUptime", (json_int_t)now.uptime, "processUptime",
		(json_int_t)((clock_boot_ms() - started_ms) / 1000), "usedCpu", used_processors(), "usedRam",
		(json_int_t)((now.totalram - now.freeram - now.bufferram) * now.mem_unit), "totalRam",
		(json_int_t)now.totalram * now.mem_unit, "disks", disks, "dockerStats", "[]");
}
