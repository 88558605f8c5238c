/* SPDX-License-Identifier: Apache-2.0 */
/* Consumer groups (event_group.h): one small file each, replaced atomically. */
#include "store/event_group.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rd.h"
#include "base/text.h"

#define SUFFIX ".group"
#define FILE_MAX 4096

static char *
group_path(const char *dir, const char *name)
{
	return mem_textf("%s/%s" SUFFIX, dir, name);
}

bool
event_group_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= EVENT_GROUP_NAME_MAX && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$._-") == len;
}

/* "2 1234": of partition 2 all below 1234 is done. */
static bool
parse_line(struct event_group *group, struct slice line)
{
	OWN_TEXT text = slice_text(line);
	char *space = strchr(text, ' ');
	int64_t partition, next;

	if (!space)
		return false;
	*space = '\0';
	if (!text_to_i64(text, 0, EVENT_PARTITIONS_MAX - 1, &partition) || !text_to_i64(space + 1, 0, INT64_MAX, &next))
		return false;
	group->next[partition] = (uint64_t)next;
	group->has[partition] = true;
	return true;
}

int
event_group_load(const char *dir, const char *name, struct event_group *out, struct err *err)
{
	OWN_TEXT path = group_path(dir, name);
	CLEAR(buf) text = BUF_INIT(FILE_MAX);
	struct slice rest, line;

	*out = (struct event_group){ 0 };
	if (file_load(&text, path, err) < 0) {
		if (err->kind != ERR_MISSING)
			return -1;
		*err = (struct err)ERR_INIT;
		return 0;
	}
	rest = (struct slice){ buf_text(&text), text.len };
	while (rest.len > 0) {
		slice_cut(&rest, '\n', &line);
		if (!parse_line(out, line))
			return err_set(
				err, ERR_BROKEN, "%s does not hold the positions of a consumer group; it is left untouched", path);
	}
	return 0;
}

int
event_group_save(const char *dir, const char *name, const struct event_group *group, struct err *err)
{
	OWN_TEXT path = group_path(dir, name);
	CLEAR(buf) text = BUF_INIT(FILE_MAX);

	for (unsigned i = 0; i < EVENT_PARTITIONS_MAX; i++)
		if (group->has[i])
			buf_putf(&text, "%u %llu\n", i, (unsigned long long)group->next[i]);
	return file_save(path, buf_text(&text), text.len, 0600, err);
}

int
event_group_remove(const char *dir, const char *name, struct err *err)
{
	OWN_TEXT path = group_path(dir, name);

	if (unlink(path) == 0)
		return file_sync_dir(dir, err);
	if (errno == ENOENT)
		return err_set(err, ERR_MISSING, "there is no consumer group %s", name);
	return err_errno(err, "cannot remove %s", path);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
event_group_list(const char *dir, char ***names, size_t *n, struct err *err)
{
	DIR *listing = opendir(dir);
	struct dirent *entry;

	*names = NULL;
	*n = 0;
	if (!listing)
		return err_errno(err, "cannot list %s", dir);
	while ((entry = readdir(listing)) != NULL) {
		OWN_TEXT name = NULL;

		if (!text_ends(entry->d_name, SUFFIX))
			continue;
		name = mem_textf("%.*s", (int)(strlen(entry->d_name) - strlen(SUFFIX)), entry->d_name);
		if (!event_group_name_is_valid(name))
			continue;
		*names = mem_resize(*names, (*n + 1) * sizeof(**names));
		(*names)[(*n)++] = GIVE(name);
	}
	closedir(listing);
	if (*n > 1)
		qsort(*names, *n, sizeof(**names), compare_names);
	return 0;
}
