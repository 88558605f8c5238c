/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge dev up: a hub for the laptop and for CI, with certificates of its own.  When it serves, one line of JSON says how to reach it; it ends with
 * Ctrl-C, and an ephemeral one leaves nothing behind. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "child.h"
#include "cmd.h"
#include "dev.h"
#include "dev_papers.h"
#include "dev_provisioning.h"
#include "hub/client.h"
#include "page.h"
#include "stage.h"
#include "wire/connstr.h"
#include "wire/json.h"

#define START_MS 60000
#define MQTT_PORT 8883
#define HTTPS_PORT 8443
#define PROVISIONING_PORT_DEFAULT "8444"
#define PROVISIONING_MQTT_PORT_DEFAULT "8884"
#define ARGS_MAX 48

struct options {
	const char *state, *hostname, *address, *seed, *fixed, *fault;
	struct option_list names, hub;
	int64_t mqtt_port, https_port;
	bool ephemeral, provisioning;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "where it keeps what it knows (~/.local/state/rootedge-dev)", OPTION_TEXT,
		offsetof(struct options, state), 0, 0 },
	{ "ephemeral", 'e', NULL, "in memory: nothing stays, and ports are free ones", OPTION_FLAG,
		offsetof(struct options, ephemeral), 0, 0 },
	{ "seed", 0, "FILE", "devices to begin with (rootedge hub seed)", OPTION_TEXT, offsetof(struct options, seed), 0, 0 },
	{ "fixed", 0, "TEXT", "keys of the policies follow from this text, so that connection strings stay: for tests only",
		OPTION_TEXT, offsetof(struct options, fixed), 0, 0 },
	{ "hostname", 'n', "NAME", "the name in connection strings (localhost)", OPTION_TEXT, offsetof(struct options, hostname), 0,
		0 },
	{ "name", 0, "NAME", "a further name or address in its certificate", OPTION_LIST, offsetof(struct options, names), 0, 0 },
	{ "address", 'a', "ADDRESS", "listen on this address (127.0.0.1)", OPTION_TEXT, offsetof(struct options, address), 0, 0 },
	{ "mqtt-port", 0, "PORT", "for devices (8883); 0 takes a free one", OPTION_INT, offsetof(struct options, mqtt_port), 0,
		65535 },
	{ "https-port", 0, "PORT", "for services and devices (8443; SDKs want 443); 0 takes a free one", OPTION_INT,
		offsetof(struct options, https_port), 0, 65535 },
	{ "provisioning", 0, NULL, "provisioning too, with an enrollment group by key (" DEV_GROUP "): ports 8444 and 8884",
		OPTION_FLAG, offsetof(struct options, provisioning), 0, 0 },
	{ "fault", 0, "FAULTS", "break things on purpose: delay=200ms,drop=5%,throttle=10%,disconnect=30s,clock=-1h", OPTION_TEXT,
		offsetof(struct options, fault), 0, 0 },
	{ "hub", 0, "ARGUMENT", "a further argument for rootedge hub: --hub=--loops --hub=1", OPTION_LIST,
		offsetof(struct options, hub), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge dev up",
	.arguments = "",
	.summary = "A hub on this machine for developing and testing: up in a moment, with a root, a server certificate and "
		   "policies of its own.",
	.more = "It prints one line of JSON when it serves: ports, connection string, and the file of the root to trust (caFile).  "
		"Beside it lies a file to be\n"
		"read by a shell: . \"$(rootedge dev env)\"",
	.rows = rows,
};

struct dev {
	const struct options *o;
	char *dir;
	int stop_fd;
	struct child *hub;
};

/* -- Where ------------------------------------------------------------------------------------------------------------------------------- */

char *
dev_default_dir(struct err *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (state && *state == '/')
		return file_join(state, "rootedge-dev");
	if (!home || *home != '/')
		return err_null(err, ERR_MISSING, "there is no $HOME: --state says where to keep what it knows");
	return file_join(home, ".local/state/rootedge-dev");
}

static char *
make_dir(const struct options *o, struct err *err)
{
	OWN_TEXT dir = NULL;

	if (o->ephemeral)
		return stage_make_dir("dev", true, err);
	dir = o->state ? mem_text(o->state) : dev_default_dir(err);
	return dir && file_make_dir(dir, 0700, err) == 0 ? GIVE(dir) : NULL;
}

/* -- The hub ----------------------------------------------------------------------------------------------------------------------------- */

static int
run_seed(struct dev *dev, const char *state, struct err *err)
{
	OWN_TEXT log = file_join(dev->dir, "seed.log");
	const char *args[] = { "seed", "--state", state, dev->o->seed, NULL };
	int status;

	if (!dev->o->seed)
		return 0;
	status = child_run(&(struct child_spec){ .name = "hub",
				   .by_command = true,
				   .args = args,
				   .log_path = log,
				   .stop_fd = dev->stop_fd,
				   .timeout_ms = 600000 },
		err);
	if (status < 0)
		return -1;
	return status == 0 ? 0 : err_set(err, ERR_INVALID, "the seed was not taken; %s says why", log);
}

static int
start_hub(struct dev *dev, const char *state, struct err *err)
{
	const struct options *o = dev->o;
	OWN_TEXT cert = dev_papers_cert(dev->dir);
	OWN_TEXT key = dev_papers_key(dev->dir);
	OWN_TEXT log = file_join(dev->dir, "hub.log");
	char mqtt[16], https[16];
	const char *args[ARGS_MAX + OPTION_LIST_MAX] = { "--state", state, "--hostname", o->hostname, "--address", o->address,
		"--mqtt-port", mqtt, "--https-port", https, "--cert", cert, "--key", key };
	size_t n = 14;

	snprintf(mqtt, sizeof(mqtt), "%d", (int)o->mqtt_port);
	snprintf(https, sizeof(https), "%d", (int)o->https_port);
	if (o->fault) {
		args[n++] = "--fault";
		args[n++] = o->fault;
	}
	if (o->provisioning) {
		args[n++] = "--provisioning";
		args[n++] = "--provisioning-port";
		args[n++] = o->ephemeral ? "0" : PROVISIONING_PORT_DEFAULT;
		args[n++] = "--provisioning-mqtt-port";
		args[n++] = o->ephemeral ? "0" : PROVISIONING_MQTT_PORT_DEFAULT;
	}
	for (size_t i = 0; i < o->hub.n; i++)
		args[n++] = o->hub.items[i];
	dev->hub = child_start(
		&(struct child_spec){
			.name = "hub", .args = args, .log_path = log, .stop_fd = dev->stop_fd, .timeout_ms = START_MS },
		err);
	return dev->hub ? 0 : -1;
}

/* -- What it says ------------------------------------------------------------------------------------------------------------------------- */

static char *
service_string(const struct dev *dev, const char *state, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(4096);
	CLEAR(buf) whole = BUF_INIT(4096);
	OWN(connstr) string = NULL;

	if (hub_client_policy_string(&text, state, "iothubowner", err) < 0)
		return NULL;
	string = connstr_parse(buf_text(&text), err);
	if (!string)
		return NULL;
	mem_free(string->host);
	string->host = mem_textf("%s:%d", dev->o->hostname, child_port(dev->hub, "https_port"));
	connstr_format(&whole, string);
	return buf_take_text(&whole);
}

static void
put_export(struct buf *out, const char *name, const char *value)
{
	buf_putf(out, "export %s=", name);
	page_put_quoted(out, value);
	buf_putc(out, '\n');
}

/* What is said of provisioning: how devices and services reach it, and the group that devices enroll by.  NULL and no error: there is none. */
static json_t *
provisioning_line(const struct dev *dev, const char *state, const char *root, struct err *err)
{
	CLEAR(buf) string = BUF_INIT(4096);
	CLEAR(hub_session) session = { 0 };
	OWN_TEXT key = NULL;

	if (!dev->o->provisioning)
		return NULL;
	if (hub_client_provisioning_string(&string, state, "provisioningserviceowner", err) < 0 ||
		hub_session_open(&session, buf_text(&string), root, dev->o->address, err) < 0)
		return NULL;
	key = dev_provisioning_group_key(&session, dev->o->fixed, err);
	if (!key)
		return err_wrap_null(err, "provisioning");
	return json_pack("{s:s, s:i, s:i, s:s, s:s, s:s}", "idScope",
		json_string_value(json_object_get(dev->hub->ready, "id_scope")), "provisioningPort",
		child_port(dev->hub, "provisioning_port"), "provisioningMqttPort", child_port(dev->hub, "provisioning_mqtt_port"),
		"provisioningConnectionString", buf_text(&string), "groupId", DEV_GROUP, "groupKey", key);
}

static int
write_env(const struct dev *dev, const char *string, const char *root, const json_t *provisioning, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(16384);
	OWN_TEXT path = file_join(dev->dir, "env");

	put_export(&text, "ROOTEDGE_HUB", string);
	put_export(&text, "ROOTEDGE_CA", root);
	put_export(&text, "ROOTEDGE_CONNECT_TO", dev->o->address);
	put_export(&text, "NODE_EXTRA_CA_CERTS", root);
	if (provisioning) {
		put_export(&text, "ROOTEDGE_PROVISIONING",
			json_string_value(json_object_get(provisioning, "provisioningConnectionString")));
		put_export(&text, "ROOTEDGE_ID_SCOPE", json_string_value(json_object_get(provisioning, "idScope")));
	}
	return file_save(path, text.data, text.len, 0600, err);
}

static int
announce(const struct dev *dev, const char *state, struct err *err)
{
	OWN_TEXT string = service_string(dev, state, err);
	OWN_TEXT root = dev_papers_root(dev->dir);
	OWN_TEXT whole = realpath(root, NULL);
	OWN_LIB(json_t) line = NULL;
	OWN_LIB(json_t) provisioning = string && whole ? provisioning_line(dev, state, whole, err) : NULL;

	if (!string || !whole || (dev->o->provisioning && !provisioning) || write_env(dev, string, whole, provisioning, err) < 0)
		return -1;
	line = json_pack("{s:b, s:s, s:i, s:i, s:s, s:s, s:s}", "ready", 1, "hostname", dev->o->hostname, "mqttPort",
		child_port(dev->hub, "mqtt_port"), "httpsPort", child_port(dev->hub, "https_port"), "connectionString", string,
		"caFile", whole, "state", dev->dir);
	if (provisioning)
		json_object_update(line, provisioning);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	return fflush(stdout) == 0 ? 0 : err_errno(err, "standard output");
}

/* -- All of it ------------------------------------------------------------------------------------------------------------------------------ */

static int
wait_end(const struct dev *dev, struct err *err)
{
	struct pollfd p[] = { { .fd = dev->hub->pid_fd, .events = POLLIN }, { .fd = dev->stop_fd, .events = POLLIN } };

	while (poll(p, COUNT(p), -1) <= 0)
		;
	return p[1].revents ? 0 : err_set(err, ERR_BROKEN, "the hub has ended; %s says why", dev->hub->log_path);
}

static int
run(struct dev *dev, struct err *err)
{
	OWN_TEXT state = file_join(dev->dir, "hub");

	if (dev_papers_make(dev->dir, dev->o->hostname, &dev->o->names, err) < 0)
		return -1;
	if (dev->o->fixed && hub_client_fix_keys(state, dev->o->fixed, err) < 0)
		return -1;
	if (run_seed(dev, state, err) < 0 || start_hub(dev, state, err) < 0 || announce(dev, state, err) < 0)
		return -1;
	return wait_end(dev, err);
}

static void
settle(struct options *o)
{
	if (o->mqtt_port < 0)
		o->mqtt_port = o->ephemeral ? 0 : MQTT_PORT;
	if (o->https_port < 0)
		o->https_port = o->ephemeral ? 0 : HTTPS_PORT;
}

int
dev_up(int argc, char **argv)
{
	struct options o = { .hostname = "localhost", .address = "127.0.0.1", .mqtt_port = -1, .https_port = -1 };
	struct dev dev = { .o = &o };
	struct err err = ERR_INIT;
	int done = page_options(&usage, &o, argc, argv);

	if (done != 0)
		return done;
	settle(&o);
	dev.stop_fd = stage_hold_signals();
	setenv("ROOTEDGE_LOG", "info,json", 0);
	unsetenv("ROOTEDGE_READY_FD");
	dev.dir = make_dir(&o, &err);
	done = dev.dir ? run(&dev, &err) : -1;
	child_free(dev.hub);
	if (dev.dir && o.ephemeral)
		stage_remove_dir(dev.dir);
	mem_free(dev.dir);
	close(dev.stop_fd);
	return done == 0 ? 0 : page_failure(usage.command, &err, 1);
}
