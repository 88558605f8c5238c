/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /proc/PID/cgroup (cgroup.h): a line a hierarchy, "NUMBER:CONTROLLERS:PATH"; the unified one has the number 0 and no controllers. */
#include "edged/cgroup.h"

#include <string.h>

#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define UNIFIED "0::"
#define SYSTEMD ":name=systemd:"

/* A process outside of our part of the tree is shown by "/..", a group that was removed by " (deleted)". */
static char *
seen(struct slice path)
{
	OWN_TEXT text = slice_text(path);

	return text[0] == '/' && strncmp(text, "/..", 3) != 0 && !text_ends(text, " (deleted)") ? GIVE(text) : NULL;
}

/* Where systemd has a hierarchy of its own, the unified one may stand empty at "/". */
static void
take_line(struct slice line, struct slice *unified, struct slice *systemd)
{
	const char *at = line.len > 0 ? memchr(line.text, ':', line.len) : NULL;
	size_t rest = at ? line.len - (size_t)(at - line.text) : 0;

	if (line.len >= strlen(UNIFIED) && memcmp(line.text, UNIFIED, strlen(UNIFIED)) == 0)
		*unified = (struct slice){ line.text + strlen(UNIFIED), line.len - strlen(UNIFIED) };
	else if (rest > strlen(SYSTEMD) && memcmp(at, SYSTEMD, strlen(SYSTEMD)) == 0)
		*systemd = (struct slice){ at + strlen(SYSTEMD), rest - strlen(SYSTEMD) };
}

char *
cgroup_path(const char *text)
{
	struct slice rest = slice_of(text), line, unified = { 0 }, systemd = { 0 };
	bool more = true;

	while (more) {
		more = slice_cut(&rest, '\n', &line);
		take_line(line, &unified, &systemd);
	}
	if (systemd.len > 0 && unified.len <= 1)
		return seen(systemd);
	return unified.len > 0 ? seen(unified) : NULL;
}

bool
cgroup_is_in(const char *path, const char *group)
{
	size_t len = strlen(group);

	while (len > 0 && group[len - 1] == '/')
		len--;
	return strncmp(path, group, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A slice holds units and slices; the first that is none is the unit.  What systemd had to escape begins with "_". */
char *
cgroup_unit(const char *path)
{
	struct slice rest = slice_of(*path == '/' ? path + 1 : path), part;
	bool more = true;

	while (more) {
		OWN_TEXT name = NULL;

		more = slice_cut(&rest, '/', &part);
		name = slice_text(part);
		if (text_ends(name, ".slice"))
			continue;
		return text_ends(name, ".service") || text_ends(name, ".scope") ? mem_text(name[0] == '_' ? name + 1 : name) : NULL;
	}
	return NULL;
}
