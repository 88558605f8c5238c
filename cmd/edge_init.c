/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge edge init: a config.toml for an edge device below another one, written when the parent was found to be what it should be.  The key doesn't stay in it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "config_write.h"
#include "edge.h"
#include "edge/config_source.h"
#include "page.h"
#include "parent_check.h"
#include "wire/connstr.h"
#include "wire/json.h"
#include "wire/sas.h"
#include "wire/uri.h"

#define COMMAND "rootedge edge init"
#define STRING_MAX 4096
#define CHAIN_MAX 16
#define TOKEN_LIFE_S 300
#define TIMEOUT_MS 10000

struct options {
	const char *parent, *ca, *connection_string, *hub, *device_id, *cert, *key, *hostname, *connect_to, *config, *secrets;
	int64_t https_port, mqtt_port;
	bool force, unchecked;
};

#define TEXT_ROW(name, letter, value, help, member)                                                                                \
	{                                                                                                                          \
		name, letter, value, help, OPTION_TEXT, offsetof(struct options, member), 0, 0                                     \
	}

static const struct option_row rows[] = {
	TEXT_ROW("parent", 'p', "NAME", "the gateway above: the name in its certificate", parent),
	TEXT_ROW("ca", 0, "FILE", "what it is trusted by, PEM: what `rootedge edge bundle` says there", ca),
	TEXT_ROW("connection-string", 's', "S",
		"this device's in the hub: HostName=HUB;DeviceId=...;SharedAccessKey=...  (-: from standard input)",
		connection_string),
	TEXT_ROW("hub", 0, "NAME", "instead: the hub's name, for a device that is known by its certificate", hub),
	TEXT_ROW("device-id", 'd', "ID", "this device, in the hub", device_id),
	TEXT_ROW("cert", 0, "FILE", "its certificate, PEM", cert),
	TEXT_ROW("key", 0, "FILE", "and the private key", key),
	TEXT_ROW("hostname", 'n', "NAME", "the name that devices below this one use (this machine's)", hostname),
	TEXT_ROW("connect-to", 0, "ADDRESS", "where the parent is, when its name does not resolve to it", connect_to),
	{ "https-port", 0, "PORT", "the parent's HTTPS port (443)", OPTION_INT, offsetof(struct options, https_port), 1, 65535 },
	{ "mqtt-port", 0, "PORT", "the parent's MQTT port (8883)", OPTION_INT, offsetof(struct options, mqtt_port), 1, 65535 },
	TEXT_ROW("config", 'c', "FILE", "write this config.toml ($ROOTEDGE_CONFIG, /etc/aziot/config.toml)", config),
	TEXT_ROW("secrets", 0, "DIR", "put the key in a file here (the folder secrets beside FILE)", secrets),
	{ "force", 0, NULL, "replace FILE and its key; the old FILE stays as FILE.old", OPTION_FLAG,
		offsetof(struct options, force), 0, 0 },
	{ "unchecked", 0, NULL, "write it without looking for the parent, or whatever is wrong with it", OPTION_FLAG,
		offsetof(struct options, unchecked), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = COMMAND,
	.arguments = "",
	.summary = "Write a config.toml for an edge device below another one (docs/nested.md), after looking whether the parent is "
		   "what it should be and lets this device in.",
	.more = "On a command line others can read the key; with - it comes from standard input.\n"
		"Exit status: 0 written, 1 not, 2 called wrongly, 3 not, because of the parent.",
	.rows = rows,
};

/* Who this device is, as given. */
struct device {
	struct connstr *string; /* NULL: by its certificate */
	struct certs roots, chain;
	struct anchors *anchors;
	struct key *key;
	char *authorization;
	int64_t token_from, token_until;
};

static void
device_clear(struct device *d)
{
	if (d->authorization)
		mem_wipe(d->authorization, strlen(d->authorization));
	mem_free(d->authorization);
	connstr_free(d->string);
	certs_clear(&d->roots);
	certs_clear(&d->chain);
	anchors_free(d->anchors);
	key_free(d->key);
}

/* -- The options --------------------------------------------------------------------------------------------------------------------------- */

static int
check_options(const struct options *o, int n_operands, struct err *err)
{
	if (n_operands > 0)
		return err_set(err, ERR_INVALID, "takes options only");
	if (!o->parent || !o->ca)
		return err_set(err, ERR_INVALID, "--parent NAME and --ca FILE are needed");
	if (o->connection_string && (o->hub || o->device_id || o->cert || o->key))
		return err_set(err, ERR_INVALID, "--connection-string says what --hub, --device-id, --cert and --key would");
	if (!o->connection_string && (!o->hub || !o->device_id || !o->cert || !o->key))
		return err_set(err, ERR_INVALID, "--connection-string is needed, or --hub, --device-id, --cert and --key");
	return 0;
}

static int
read_string(struct options *o, char line[static STRING_MAX], struct err *err)
{
	if (!text_is(o->connection_string, "-"))
		return 0;
	if (!fgets(line, STRING_MAX, stdin) || strcspn(line, "\r\n") == 0)
		return err_set(err, ERR_INVALID, "there is no connection string on standard input");
	line[strcspn(line, "\r\n")] = '\0';
	o->connection_string = line;
	return 0;
}

static void
make_token(struct device *d)
{
	OWN_TEXT resource = mem_textf("%s/devices/%s", d->string->host, d->string->device_id);
	struct buf line = BUF_INIT(STRING_MAX);

	d->token_from = clock_wall();
	d->token_until = d->token_from + TOKEN_LIFE_S;
	buf_puts(&line, "Authorization: ");
	sas_sign(&line, resource, d->token_until, NULL, &d->string->key);
	d->authorization = buf_take_text(&line);
}

static int
take_credential(struct device *d, struct options *o, struct err *err)
{
	if (!o->connection_string) {
		d->key = certs_load(&d->chain, o->cert, CHAIN_MAX, err) < 0 ? NULL : key_load(o->key, err);
		return d->key ? 0 : -1;
	}
	d->string = connstr_parse(o->connection_string, err);
	if (!d->string)
		return -1;
	if (!d->string->has_key || !d->string->device_id || d->string->module_id || !d->string->host)
		return err_set(err, ERR_INVALID, "the connection string must be an edge device's, with its key");
	o->hub = d->string->host;
	o->device_id = d->string->device_id;
	make_token(d);
	return 0;
}

static int
take_device(struct device *d, struct options *o, struct err *err)
{
	if (certs_load(&d->roots, o->ca, CERTS_MAX, err) < 0)
		return -1;
	d->anchors = anchors_new(&d->roots, err);
	return d->anchors ? take_credential(d, o, err) : -1;
}

/* -- The parent ---------------------------------------------------------------------------------------------------------------------------- */

static bool
is_good(const struct device *d, const struct options *o)
{
	struct parent_check check = {
		.name = o->parent,
		.connect_to = o->connect_to,
		.https_port = (int)o->https_port,
		.mqtt_port = (int)o->mqtt_port,
		.roots = &d->roots,
		.anchors = d->anchors,
		.roots_name = o->ca,
		.timeout_ms = TIMEOUT_MS,
		.device_id = o->device_id,
		.authorization = d->authorization,
		.token_from = d->token_from,
		.token_until = d->token_until,
		.chain = d->chain.n > 0 ? &d->chain : NULL,
		.key = d->key,
	};
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	bool good = parent_check(&check, &page);

	page_print(&page);
	return good;
}

/* -- The configuration --------------------------------------------------------------------------------------------------------------------- */

static void
put_text(struct buf *out, const char *key, const char *value)
{
	OWN_LIB(json_t) json = json_string(value);
	char *quoted = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;

	buf_putf(out, "%s = %s\n", key, quoted ? quoted : "\"\"");
	if (quoted)
		mem_wipe(quoted, strlen(quoted));
	free(quoted);
}

/* It is read from anywhere. */
static void
put_file(struct buf *out, const char *key, const char *path)
{
	char *whole = realpath(path, NULL);
	OWN_TEXT uri = mem_textf("file://%s", whole ? whole : path);

	free(whole);
	put_text(out, key, uri);
}

static void
put_upstream(struct buf *out, const struct options *o)
{
	if (!o->connect_to && o->https_port == 443 && o->mqtt_port == 8883)
		return;
	buf_puts(out, "[upstream]\n");
	if (o->connect_to)
		put_text(out, "address", o->connect_to);
	buf_putf(out, "https_port = %lld\nmqtt_port = %lld\n", (long long)o->https_port, (long long)o->mqtt_port);
}

/* As somebody would write it; what moves the key out of it is the same as for an import. */
static struct toml *
document(const struct options *o, struct err *err)
{
	struct buf text = BUF_INIT(8 * STRING_MAX);
	struct toml *root;

	if (o->hostname)
		put_text(&text, "hostname", o->hostname);
	put_text(&text, "parent_hostname", o->parent);
	put_file(&text, "trust_bundle_cert", o->ca);
	buf_puts(&text, "[provisioning]\nsource = \"manual\"\n");
	if (o->connection_string) {
		put_text(&text, "connection_string", o->connection_string);
	} else {
		put_text(&text, "iothub_hostname", o->hub);
		put_text(&text, "device_id", o->device_id);
		buf_puts(&text, "[provisioning.authentication]\nmethod = \"x509\"\n");
		put_file(&text, "identity_cert", o->cert);
		put_file(&text, "identity_pk", o->key);
	}
	put_upstream(&text, o);
	root = toml_parse(buf_text(&text), text.len, "the options", err);
	buf_wipe(&text);
	return root;
}

static int
write_config(const struct options *o, struct err *err)
{
	OWN_TEXT secrets = config_write_secrets_dir(o->secrets, o->config);
	struct config_target target = { .config = o->config, .secrets = secrets, .force = o->force };
	CLEAR(config_import) made = { 0 };
	struct toml *root = document(o, err);

	if (!root)
		return -1;
	config_import_init(&made, root, secrets);
	if (config_import_finish(&made, err) < 0)
		return -1;
	return config_write(&made, &target, "Made by rootedge edge init; hostname is this machine's unless it is set.", err);
}

int
edge_init(int argc, char **argv)
{
	struct options o = { .config = config_source_default(), .https_port = 443, .mqtt_port = 8883 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	CLEAR(device) device = { 0 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &o, argc, argv, &err), status;
	char line[STRING_MAX];

	if (n < 0 || check_options(&o, n, &err) < 0 || read_string(&o, line, &err) < 0 || take_device(&device, &o, &err) < 0)
		return page_failure(COMMAND, &err, 2);
	sigaction(SIGPIPE, &ignore, NULL); /* libssl writes to servers that are gone */
	if (!o.unchecked && !is_good(&device, &o)) {
		puts("Nothing is written; --unchecked writes it all the same.");
		return 3;
	}
	status = write_config(&o, &err);
	mem_wipe(line, sizeof(line));
	return status < 0 ? page_failure(COMMAND, &err, 1) : status;
}
