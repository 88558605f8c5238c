/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of names (est_names.h). */
#include "est/est_names.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#define ID "{id}"

void
est_names_clear(struct est_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		mem_free(names->item[i]);
	names->n = 0;
}

bool
est_names_add(struct est_names *names, const char *pattern)
{
	size_t len = strlen(pattern);

	if (len == 0 || len > EST_NAME_LEN_MAX || text_has_control(pattern, len) || names->n == EST_NAMES_MAX)
		return false;
	names->item[names->n++] = mem_text(pattern);
	return true;
}

bool
est_names_hold(const struct est_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (text_fits(name, names->item[i]))
			return true;
	return false;
}

static char *
fill_one(const char *template, const char *id)
{
	struct buf text = BUF_INIT(16 * EST_NAME_LEN_MAX);
	const char *at;

	while ((at = strstr(template, ID))) {
		buf_put(&text, template, (size_t)(at - template));
		buf_puts(&text, id);
		template = at + sizeof(ID) - 1;
	}
	buf_puts(&text, template);
	return buf_take_text(&text);
}

bool
est_names_fill(struct est_names *out, const struct est_names *templates, const char *id)
{
	if (strpbrk(id, "*?"))
		return false;
	for (size_t i = 0; i < templates->n; i++) {
		OWN_TEXT text = fill_one(templates->item[i], id);

		if (!est_names_add(out, text))
			return false;
	}
	return true;
}
