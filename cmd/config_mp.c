/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge config mp: manual provisioning, the shortest way to a config.toml.  The key doesn't stay in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "config.h"
#include "config_write.h"
#include "edge/config_source.h"
#include "page.h"
#include "wire/json.h"

#define STRING_MAX 4096

struct options {
	const char *config, *connection_string, *secrets;
	bool force;
};

static const struct option_row rows[] = {
	{ "connection-string", 's', "S", "the device's: HostName=...;DeviceId=...;SharedAccessKey=...  (-: from standard input)",
		OPTION_TEXT, offsetof(struct options, connection_string), 0, 0 },
	{ "config", 'c', "FILE", "write this config.toml ($ROOTEDGE_CONFIG, /etc/aziot/config.toml)", OPTION_TEXT,
		offsetof(struct options, config), 0, 0 },
	{ "secrets", 0, "DIR", "put the key in a file here (the folder secrets beside FILE)", OPTION_TEXT,
		offsetof(struct options, secrets), 0, 0 },
	{ "force", 0, NULL, "replace FILE and its key; the old FILE stays as FILE.old", OPTION_FLAG,
		offsetof(struct options, force), 0, 0 },
	{ 0 },
};
static const struct option_usage usage = {
	.command = "rootedge config mp",
	.arguments = "",
	.summary = "Write a config.toml for a device that is in a hub already (manual provisioning), from its connection string.",
	.more = "On a command line others can read the key; with - it comes from standard input.\n"
		"Exit status: 0 written, 1 not, 2 called wrongly.",
	.rows = rows,
};

static int
read_line(char line[static STRING_MAX], struct err *err)
{
	if (!fgets(line, STRING_MAX, stdin) || strcspn(line, "\r\n") == 0)
		return err_set(err, ERR_INVALID, "there is no connection string on standard input");
	line[strcspn(line, "\r\n")] = '\0';
	return 0;
}

/* As somebody would write it; what moves the key out of it is the same as for an import. */
static struct toml *
document(const char *connection_string, struct err *err)
{
	struct buf text = BUF_INIT(4 * STRING_MAX);
	OWN_LIB(json_t) json = json_string(connection_string);
	char *quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
	struct toml *root;

	buf_putf(&text, "[provisioning]\nsource = \"manual\"\nconnection_string = %s\n", quoted ? quoted : "0");
	root = toml_parse(buf_text(&text), text.len, "--connection-string", err);
	if (quoted)
		mem_wipe(quoted, strlen(quoted));
	free(quoted);
	buf_wipe(&text);
	return root;
}

static int
write_config(const char *connection_string, const struct config_target *target, struct err *err)
{
	CLEAR(config_import) made = { 0 };
	struct toml *root = document(connection_string, err);

	if (!root)
		return -1;
	config_import_init(&made, root, target->secrets);
	if (config_import_finish(&made, err) < 0)
		return -1;
	return config_write(&made, target, "Made by rootedge config mp; hostname is this machine's unless it is set.", err);
}

int
config_mp(int argc, char **argv)
{
	struct options o = { .config = config_source_default() };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), status = 0;
	OWN_TEXT secrets = NULL;
	char line[STRING_MAX];

	if (n > 0)
		(void)err_set(&err, ERR_INVALID, "takes options only, found '%s'", argv[0]);
	if (n == 0 && !o.connection_string)
		n = err_set(&err, ERR_INVALID, "--connection-string is missing");
	if (n != 0)
		return page_failure(usage.command, &err, 2);
	if (text_is(o.connection_string, "-")) {
		status = read_line(line, &err);
		o.connection_string = line;
	}
	secrets = config_write_secrets_dir(o.secrets, o.config);
	if (status == 0)
		status = write_config(o.connection_string,
			&(struct config_target){ .config = o.config, .secrets = secrets, .force = o.force }, &err);
	mem_wipe(line, sizeof(line));
	return status < 0 ? page_failure(usage.command, &err, 1) : status;
}
