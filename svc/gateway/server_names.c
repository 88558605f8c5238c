/* SPDX-License-Identifier: Apache-2.0 */
/* The list of names (server_names.h). */
#include "gateway/server_names.h"

#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/listen_address.h"
#include "pki/issue.h"

#define FILE_LIMIT 65536

bool
server_names_have(const struct server_names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (text_is_nocase(names->item[i], name))
			return true;
	return false;
}

static void
add(struct server_names *names, const char *name)
{
	if (names->n < SERVER_NAMES_MAX && !server_names_have(names, name))
		names->item[names->n++] = mem_text(name);
}

int
server_names_load(struct server_names *given, const char *hostname, const char *path, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(FILE_LIMIT);
	const char *at;
	int status = 0;

	*given = (struct server_names){ 0 };
	if (path && file_load(&text, path, err) < 0)
		return err_wrap(err, "the names of the server certificate");
	add(given, hostname);
	for (at = buf_text(&text); *at && status == 0; at += *at ? 1 : 0) {
		size_t n = strcspn(at, "\n");
		OWN_TEXT line = mem_textn(at, n);

		if (n > 0 && !text_is(line, SERVER_NAMES_AUTO))
			status = issue_check_server_name(line, err);
		if (n > 0)
			add(given, line);
		at += n;
	}
	if (status == 0)
		return 0;
	server_names_clear(given);
	return err_wrap(err, "%s", path);
}

void
server_names_fill(struct server_names *names, const char *listens_on, const struct server_names *given, char *const *addresses,
	size_t n_addresses)
{
	*names = (struct server_names){ 0 };
	for (size_t i = 0; i < given->n; i++) {
		if (!text_is(given->item[i], SERVER_NAMES_AUTO)) {
			add(names, given->item[i]);
			continue;
		}
		for (size_t a = 0; a < n_addresses; a++)
			if (listen_address_hears(listens_on, addresses[a]))
				add(names, addresses[a]);
	}
}

void
server_names_clear(struct server_names *names)
{
	while (names->n > 0)
		mem_free(names->item[--names->n]);
}

bool
server_names_are_same(const struct server_names *a, const struct server_names *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!text_is(a->item[i], b->item[i]))
			return false;
	return true;
}
