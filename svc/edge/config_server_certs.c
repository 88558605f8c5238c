/* SPDX-License-Identifier: Apache-2.0 */
/* [gateway.server_certs.NAME]: certificates of the operator's own that the gateway shows to whoever asks for a name in them, beside the one that the Edge CA issues. */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "edge/config_tables.h"

#define NAME_MAX_LEN 40 /* it is part of a key's id, and of a file's name */

static bool
is_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
			return false;
	return len > 0 && len <= NAME_MAX_LEN;
}

static void
take_one(struct config *c, const struct config_at *at, const char *name)
{
	struct config_server_cert *one;

	if (!is_name(name)) {
		config_wrong(
			at, NULL, "a name of at most %d letters, digits, - and _ is expected, not '%.100s'", NAME_MAX_LEN, name);
		return;
	}
	if (c->n_server_certs == CONFIG_SERVER_CERTS_MAX) {
		config_wrong(at, NULL, "more than %d further certificates", CONFIG_SERVER_CERTS_MAX);
		return;
	}
	if (!config_need(at, "cert") || !config_need(at, "pk"))
		return;
	one = &c->server_certs[c->n_server_certs++];
	*one = (struct config_server_cert){ .name = mem_text(name),
		.key_id = mem_textf("%s-%s", CONFIG_SERVER_KEY_ID, name),
		.cert = config_file(at, "cert"),
		.pk = config_place(at, "pk") };
}

void
config_take_server_certs(struct config *c, const struct config_at *root)
{
	struct config_at gateway = config_table(root, "gateway"), all = config_table(&gateway, "server_certs");

	for (size_t i = 0; all.table && i < all.table->n; i++) {
		struct config_at at = config_entry(&all, i);

		if (at.table)
			take_one(c, &at, all.table->item[i]->key);
	}
}
