/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-gateway: options, start, the line that says it serves, end.  `rootedge edge` starts it with what config.toml says. */
#include <poll.h>
#include <stdio.h>

#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "common/notify.h"
#include "common/service.h"
#include "gateway/gateway.h"
#include "net/listen_address.h"

#define GATEWAY_MODULE "$edgeHub"
#define ASK_AGAIN_MS 2000
#define HTTPS_PORT 443

struct options {
	const char *state, *hostname, *address, *keyd, *workload, *generation_id, *management, *device_id, *hub, *parent,
		*hub_address, *trust, *root_line, *names, *crl_dir, *metrics_address, *routes, *when_full;
	struct option_list offline, server_certs;
	bool leave_expired, watch_turns;
	int64_t mqtt_port, https_port, metrics_port, hub_mqtt_port, hub_https_port, max_queue_mib, audit_mib, loops,
		max_connections, max_clients, accepts_per_second, connects_per_second, max_session_age_s;
	struct service_options service;
};

#define TEXT_ROW(name, letter, value, help, member)                                                                                \
	{                                                                                                                          \
		name, letter, value, help, OPTION_TEXT, offsetof(struct options, member), 0, 0                                     \
	}

static const struct option_row rows[] = {
	TEXT_ROW("state", 's', "DIR", "the folder of the queue and of what is known of the devices", state),
	TEXT_ROW("hostname", 'n', "NAME", "the name that devices connect to; stands in the server certificate", hostname),
	TEXT_ROW("names", 0, "FILE",
		"further names and IP addresses in the server certificate, one a line; looked at again and again", names),
	{ "server-cert", 0, "ID=FILE",
		"a further certificate, with the chain in the file and its key in keyd, for who asks for a name in it; may be "
		"given "
		"several times",
		OPTION_LIST, offsetof(struct options, server_certs), 0, 0 },
	TEXT_ROW("address", 'a', "ADDRESS", "listen on this address (::, which is IPv6 and IPv4)", address),
	{ "mqtt-port", 0, "PORT", "for devices (8883); 0 takes a free one", OPTION_INT, offsetof(struct options, mqtt_port), 0,
		65535 },
	{ "https-port", 0, "PORT",
		"for MQTT over WebSocket, and the gateway's own API; 0 takes a free one (443, or none where that can't be had)",
		OPTION_INT, offsetof(struct options, https_port), 0, 65535 },
	TEXT_ROW("metrics-address", 0, "ADDRESS", "listen there with metrics and health (127.0.0.1)", metrics_address),
	{ "metrics-port", 0, "PORT",
		"for metrics and health, plain HTTP; without it only the operator's socket tells; 0 takes a free one", OPTION_INT,
		offsetof(struct options, metrics_port), 0, 65535 },
	TEXT_ROW("keyd", 0, "SOCKET", "keyd's socket: the server certificate's key stays there", keyd),
	TEXT_ROW("workload", 0, "SOCKET", "the workload API's socket of $edgeHub", workload),
	TEXT_ROW("generation-id", 0, "ID", "the generation of $edgeHub", generation_id),
	TEXT_ROW("management", 0, "SOCKET",
		"instead: ask for it at edged's management socket, and for the device and its hub where they are not given, until "
		"edged knows",
		management),
	TEXT_ROW("device-id", 'd', "ID", "the device that this gateway is, in the hub", device_id),
	TEXT_ROW("hub", 0, "NAME", "the hub's name", hub),
	TEXT_ROW("parent", 0, "NAME", "a gateway above this one, through which the hub is reached", parent),
	TEXT_ROW("hub-address", 0, "ADDRESS", "connect to this address instead of resolving the hub's name", hub_address),
	{ "hub-mqtt-port", 0, "PORT", "the hub's MQTT port (8883)", OPTION_INT, offsetof(struct options, hub_mqtt_port), 1, 65535 },
	{ "hub-https-port", 0, "PORT", "the hub's HTTPS port (443)", OPTION_INT, offsetof(struct options, hub_https_port), 1,
		65535 },
	{ "offline", 0, "WHAT=TIME",
		"how long a record counts after the hub confirmed it: all, modules, sas, thumbprint, ca or devices:PATTERN, and "
		"90day or the like; may be given several times",
		OPTION_LIST, offsetof(struct options, offline), 0, 0 },
	{ "leave-expired", 0, NULL, "a certificate that ends leaves its session open", OPTION_FLAG,
		offsetof(struct options, leave_expired), 0, 0 },
	{ "max-session-age", 0, "SECONDS", "sessions end at this age, or up to a tenth earlier; 0: at none", OPTION_INT,
		offsetof(struct options, max_session_age_s), 0, INT32_MAX },
	TEXT_ROW("crl-dir", 0, "DIR", "a folder of revocation lists, *.crl and *.pem, which is looked at again when it changes",
		crl_dir),
	TEXT_ROW("trust", 't', "FILE", "the roots to trust the hub by, PEM", trust),
	TEXT_ROW("root-line", 0, "FILE", "which roots have followed these since: certd keeps it (docs/trust.md)", root_line),
	TEXT_ROW("routes", 0, "FILE", "routes, JSON as in the desired properties of $edgeHub, which hold where the hub has none",
		routes),
	TEXT_ROW("when-full", 0, "WHAT",
		"what a full disk share means: refuse new messages (refuse), or drop the oldest (drop_oldest)", when_full),
	{ "max-queue-mib", 0, "MIB", "disk that stored messages may take (1024)", OPTION_INT,
		offsetof(struct options, max_queue_mib), 1, 1 << 24 },
	{ "audit-mib", 0, "MIB", "disk that the audit log may take (16); 0: there is none", OPTION_INT,
		offsetof(struct options, audit_mib), 0, 1 << 20 },
	{ "loops", 0, "N", "threads for connections; 0 takes one a core", OPTION_INT, offsetof(struct options, loops), 0, 64 },
	{ "max-clients", 0, "N", "devices and modules with a session at a time (100,000)", OPTION_INT,
		offsetof(struct options, max_clients), 1, 10000000 },
	{ "accepts-per-second", 0, "N", "connections to let in a second, further ones wait (1000); 0: any number", OPTION_INT,
		offsetof(struct options, accepts_per_second), 0, 1000000 },
	{ "connects-per-second", 0, "N", "lines to the hub to connect in a second, further ones wait (500); 0: any number",
		OPTION_INT, offsetof(struct options, connects_per_second), 0, 1000000 },
	{ "watch-turns", 0, NULL, "measure the turns of the loops, and log the longest at the end", OPTION_FLAG,
		offsetof(struct options, watch_turns), 0, 0 },
	{ "max-connections", 0, "N", "refuse further ones; 0 is 100,000", OPTION_INT, offsetof(struct options, max_connections), 0,
		10000000 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge gateway",
	.arguments = "",
	.summary = "The gateway: lets downstream devices in, also while the hub is away, and passes on what they send.",
	.more = "It is a role of an edge device: `rootedge edge` starts it with what config.toml says, beside the services that it "
		"needs.",
	.rows = rows,
};

/* What was not given, edged knows. */
static const char *
given_or(const char *given, const char *known)
{
	return given ? given : known;
}

static int
check_options(const struct options *o, int n_operands, struct err *err)
{
	const struct {
		const char *name, *value;
	} needed[] = {
		{ "state", o->state },
		{ "hostname", o->hostname },
		{ "keyd", o->keyd },
		{ "workload", o->workload },
		{ "generation-id", o->generation_id ? o->generation_id : o->management },
		{ "device-id", given_or(o->device_id, o->management) },
		{ "hub", given_or(o->hub, o->management) },
		{ "trust", o->trust },
	};

	if (!text_is(o->when_full, "refuse") && !text_is(o->when_full, "drop_oldest"))
		return err_set(err, ERR_INVALID, "rootedge gateway: --when-full is refuse or drop_oldest, not %s", o->when_full);
	if (n_operands > 0)
		return err_set(err, ERR_INVALID, "rootedge gateway: there is nothing to give but options");
	for (size_t i = 0; i < COUNT(needed); i++)
		if (!needed[i].value || !*needed[i].value)
			return err_set(err, ERR_INVALID,
				"rootedge gateway: --%s is missing; `rootedge edge` gives it, a gateway is not started by hand",
				needed[i].name);
	return 0;
}

/* The module's identity may have to wait for the hub, and who the device is for provisioning. */
static int
wait_for_facts(const char *management, struct management_facts *facts, struct err *err)
{
	bool told = false;

	while (management_find(management, GATEWAY_MODULE, facts, err) < 0) {
		if (err->kind != ERR_UNAVAILABLE && err->kind != ERR_MISSING)
			return -1;
		if (!told)
			log_warn("waiting for edged to know %s: %s", GATEWAY_MODULE, err->text);
		told = true;
		notify_ready(); /* it has started, and whoever starts it need not wait for provisioning or the hub */
		notify_alive();
		*err = (struct err)ERR_INIT;
		poll(NULL, 0, ASK_AGAIN_MS);
	}
	return 0;
}

static int
serve(const struct options *o, struct err *err)
{
	CLEAR(management_facts) facts = { 0 };
	int waited = o->management && !o->generation_id ? wait_for_facts(o->management, &facts, err) : 0;
	struct gateway_config config = {
		.state_dir = o->state,
		.hostname = o->hostname,
		.names_file = o->names,
		.server_certs = o->server_certs.items,
		.n_server_certs = o->server_certs.n,
		.address = o->address,
		.mqtt_port = (int)o->mqtt_port,
		.https_port = o->https_port >= 0 ? (int)o->https_port : HTTPS_PORT,
		.https_is_optional = o->https_port < 0,
		.keyd_path = o->keyd,
		.crl_dir = o->crl_dir,
		.metrics_address = o->metrics_address,
		.metrics_port = (int)o->metrics_port,
		.upstream = {
			.workload = {
				.socket_path = (char *)(uintptr_t)o->workload,
				.module_id = (char *)(uintptr_t)GATEWAY_MODULE,
				.generation_id = (char *)(uintptr_t)given_or(o->generation_id, facts.generation_id),
			},
			.hub_host = given_or(o->hub, facts.hub_name),
			.parent_host = o->parent,
			.hub_address = o->hub_address,
			.edge_id = given_or(o->device_id, facts.device_id),
			.mqtt_port = (int)o->hub_mqtt_port,
			.https_port = (int)o->hub_https_port,
			.trust_path = o->trust,
			.line_path = o->root_line,
		},
		.max_audit_bytes = (uint64_t)o->audit_mib << 20,
		.tenure = { .leave_expired = o->leave_expired, .max_age_s = o->max_session_age_s },
		.max_queue_bytes = (uint64_t)o->max_queue_mib << 20,
		.when_full = text_is(o->when_full, "drop_oldest") ? QUEUE_DROP_OLDEST : QUEUE_REFUSE,
		.routes_file = o->routes,
		.n_loops = (size_t)o->loops,
		.watch_turns = o->watch_turns,
		.max_clients = (size_t)o->max_clients,
		.accepts_per_second = o->accepts_per_second,
		.connects_per_second = o->connects_per_second,
		.max_connections = service_max_connections(o->max_connections, 1),
	};
	struct gateway *gateway;
	int done;

	if (waited < 0)
		return -1;
	for (size_t i = 0; i < o->offline.n; i++)
		if (offline_policy_add(&config.offline, o->offline.items[i], err) < 0)
			return err_wrap(err, "--offline");
	gateway = gateway_open(&config, err);
	if (!gateway)
		return -1;
	log_info("%s serves on %s: MQTT at %d, HTTPS at %d (0: nowhere)", o->hostname, listen_address_here(o->address),
		gateway_mqtt_port(gateway), gateway_https_port(gateway));
	service_ready(
		&o->service, json_pack("{s:s, s:i, s:i, s:i}", "hostname", o->hostname, "mqtt_port", gateway_mqtt_port(gateway),
				     "https_port", gateway_https_port(gateway), "metrics_port", gateway_metrics_port(gateway)));
	done = gateway_run(gateway, err);
	gateway_close(gateway);
	return done;
}

int
main(int argc, char **argv)
{
	struct options options = {
		.address = "::",
		.mqtt_port = 8883,
		.metrics_address = "127.0.0.1",
		.metrics_port = -1,
		.https_port = -1,
		.hub_mqtt_port = 8883,
		.hub_https_port = 443,
		.max_queue_mib = 1024,
		.audit_mib = 16,
		.max_clients = 100000,
		.accepts_per_second = 1000,
		.connects_per_second = 500,
		.when_full = "refuse",
		.service.ready_fd = -1,
	};
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &options, argc, argv, &err);

	if (n < 0 || check_options(&options, n, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	service_start("gateway", &options.service);
	if (serve(&options, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return 0;
}
