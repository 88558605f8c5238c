/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a configuration names (est_path.h). */
#include "est/est_path.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"

char *
est_path_place(const struct toml *at, const char *path)
{
	const char *end = strrchr(at->file, '/');
	OWN_TEXT dir = end ? mem_textn(at->file, (size_t)(end - at->file)) : NULL;

	return dir && path[0] != '/' ? file_join(dir, path) : mem_text(path);
}

char *
est_path_find(const struct toml *table, const char *key, struct err *err)
{
	const char *text = NULL;

	return toml_find_text(table, key, &text, err) == 0 && text ? est_path_place(table, text) : NULL;
}
