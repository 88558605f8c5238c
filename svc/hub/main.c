/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-hub: options, start, the line that says it serves, end. */
#include <stdio.h>

#include <jansson.h>

#include "base/log.h"
#include "base/option.h"
#include "base/text.h"
#include "common/service.h"
#include "hub/events/event_sink.h"
#include "hub/events/event_source.h"
#include "hub/hub.h"
#include "hub/provisioning/provisioning.h"
#include "store/event_log.h"

struct options {
	const char *state, *hostname, *address, *cert, *key, *rsa_cert, *rsa_key, *device_ca, *trust, *issuing_ca_crl_url,
		*issuing_ca_ocsp_url, *fault, *event_sources, *sink_ca, *sink_connect_to, *id_scope, *provisioning_hostname,
		*provisioning_address, *provisioning_hubs_ca;
	const char *issuing_ca, *issuing_ca_key, *est;
	bool provisioning, issuing_ca_new;
	struct key_source_config keys;
	struct option_list sinks, index, credential_policies, crls;
	const char *crl_ca;
	int64_t mqtt_port, https_port, loops, retention_mib, retention_hours, partitions, files_quota_mib, files_device_quota_mib,
		max_connections, grace_s, http_port, provisioning_port, provisioning_mqtt_port;
	bool refuse_sha1, plain_scopes, watch_turns;
	struct service_options service;
};

static const struct option_row rows[] = {
	{ "state", 's', "DIR", "the folder of the registry and the events (/var/lib/rootedge/hub)", OPTION_TEXT,
		offsetof(struct options, state), 0, 0 },
	{ "hostname", 'n', "NAME", "the name that devices and services know this hub by", OPTION_TEXT,
		offsetof(struct options, hostname), 0, 0 },
	{ "address", 'a', "ADDRESS", "listen on this address (0.0.0.0)", OPTION_TEXT, offsetof(struct options, address), 0, 0 },
	{ "mqtt-port", 0, "PORT", "for devices (8883); 0 takes a free one", OPTION_INT, offsetof(struct options, mqtt_port), 0,
		65535 },
	{ "https-port", 0, "PORT", "for services and gateways (443); 0 takes a free one", OPTION_INT,
		offsetof(struct options, https_port), 0, 65535 },
	{ "cert", 'c', "FILE", "the server certificate with its intermediates, PEM", OPTION_TEXT, offsetof(struct options, cert), 0,
		0 },
	{ "key", 'k', "FILE", "its private key, PEM", OPTION_TEXT, offsetof(struct options, key), 0, 0 },
	{ "rsa-cert", 0, "FILE", "an RSA certificate beside it, for old clients", OPTION_TEXT, offsetof(struct options, rsa_cert),
		0, 0 },
	{ "rsa-key", 0, "FILE", "the key of that", OPTION_TEXT, offsetof(struct options, rsa_key), 0, 0 },
	{ "device-ca", 0, "FILE", "CAs that authenticate devices without being registered, PEM", OPTION_TEXT,
		offsetof(struct options, device_ca), 0, 0 },
	{ "loops", 0, "N", "threads for connections; 0 takes one a core", OPTION_INT, offsetof(struct options, loops), 0, 64 },
	{ "retention", 0, "MIB", "keep this much of events; 0 keeps all", OPTION_INT, offsetof(struct options, retention_mib), 0,
		1 << 30 },
	{ "retention-hours", 0, "HOURS", "keep events this long; 0 keeps all", OPTION_INT,
		offsetof(struct options, retention_hours), 0, 24 * 365 * 100 },
	{ "partitions", 0, "N", "of the events, fixed when the hub is first started (4)", OPTION_INT,
		offsetof(struct options, partitions), 0, EVENT_PARTITIONS_MAX },
	{ "event-sources", 0, "LIST", "events beside telemetry: lifecycle, connection, twin, or all (none)", OPTION_TEXT,
		offsetof(struct options, event_sources), 0, 0 },
	{ "sink", 0, "TO", "pass events on to stdout, or by POST to https://...; once each", OPTION_LIST,
		offsetof(struct options, sinks), 0, 0 },
	{ "sink-ca", 0, "FILE", "the roots that the server of a sink is trusted by, PEM", OPTION_TEXT,
		offsetof(struct options, sink_ca), 0, 0 },
	{ "sink-connect-to", 0, "ADDRESS", "reach that server at this address instead of its name", OPTION_TEXT,
		offsetof(struct options, sink_connect_to), 0, 0 },
	{ "files-quota", 0, "MIB", "room for the files that devices upload (10240); 0 takes none", OPTION_INT,
		offsetof(struct options, files_quota_mib), 0, 1 << 30 },
	{ "files-device-quota", 0, "MIB", "room for the files of one device (1024); 0: as much as for all", OPTION_INT,
		offsetof(struct options, files_device_quota_mib), 0, 1 << 30 },
	{ "max-connections", 0, "N", "refuse further ones on a port; 0 is 100,000", OPTION_INT,
		offsetof(struct options, max_connections), 0, 10000000 },
	{ "index", 0, "PATH",
		"queries look up twins by this property, such as properties.reported.model; give it once for each (tags always "
		"are)",
		OPTION_LIST, offsetof(struct options, index), 0, 0 },
	{ "provisioning", 0, NULL, "serve provisioning too: devices register themselves by their enrollment", OPTION_FLAG,
		offsetof(struct options, provisioning), 0, 0 },
	{ "provisioning-port", 0, "PORT", "HTTPS of that, for devices and services (8444); 0 takes a free one", OPTION_INT,
		offsetof(struct options, provisioning_port), 0, 65535 },
	{ "provisioning-mqtt-port", 0, "PORT", "MQTT of that, for devices (8884); 0 takes a free one", OPTION_INT,
		offsetof(struct options, provisioning_mqtt_port), 0, 65535 },
	{ "provisioning-hubs-ca", 0, "FILE",
		"the roots that other hubs, to which devices are assigned, and web hooks are trusted by, PEM", OPTION_TEXT,
		offsetof(struct options, provisioning_hubs_ca), 0, 0 },
	{ "provisioning-hostname", 0, "NAME", "the name that provisioning is known by (the hub's)", OPTION_TEXT,
		offsetof(struct options, provisioning_hostname), 0, 0 },
	{ "provisioning-address", 0, "ADDRESS", "listen for it on this address (--address)", OPTION_TEXT,
		offsetof(struct options, provisioning_address), 0, 0 },
	{ "id-scope", 0, "TEXT", "the id scope that devices give (made at the first start)", OPTION_TEXT,
		offsetof(struct options, id_scope), 0, 0 },
	{ "issuing-ca", 0, "FILE", "the CA that the hub and its provisioning issue certificates by, with those above it, PEM",
		OPTION_TEXT, offsetof(struct options, issuing_ca), 0, 0 },
	{ "issuing-ca-key", 0, "FILE", "the key of that: a file, pkcs11:... or tpm:handle=...", OPTION_TEXT,
		offsetof(struct options, issuing_ca_key), 0, 0 },
	{ "issuing-ca-new", 0, NULL, "make that CA in the state folder at the first start, and keep it", OPTION_FLAG,
		offsetof(struct options, issuing_ca_new), 0, 0 },
	{ "issuing-ca-crl-url", 0, "URL",
		"http:// address that stands in its certificates: where devices find /crl/issuing.crl of the hub", OPTION_TEXT,
		offsetof(struct options, issuing_ca_crl_url), 0, 0 },
	{ "issuing-ca-ocsp-url", 0, "URL", "the same of /ocsp-issuing", OPTION_TEXT, offsetof(struct options, issuing_ca_ocsp_url),
		0, 0 },
	{ "http-port", 0, "PORT", "revocation lists and OCSP of that CA and of EST without TLS too (no); 0 takes a free one",
		OPTION_INT, offsetof(struct options, http_port), 0, 65535 },
	KEY_SOURCE_OPTION_ROWS(struct options, keys),
	{ "credential-policy", 0, "NAME=DAYS",
		"enrollments that name it get certificates for so long, 7 to 90 days; give it once for each (default=30)",
		OPTION_LIST, offsetof(struct options, credential_policies), 0, 0 },
	{ "crl", 0, "FILE", "a revocation list, PEM or DER, which is looked at again when it changes; give it once for each",
		OPTION_LIST, offsetof(struct options, crls), 0, 0 },
	{ "crl-ca", 0, "FILE", "the CAs that sign those and are not registered with the hub, PEM", OPTION_TEXT,
		offsetof(struct options, crl_ca), 0, 0 },
	{ "est", 0, "FILE", "serve EST on the HTTPS port too, by this configuration (docs/est.md)", OPTION_TEXT,
		offsetof(struct options, est), 0, 0 },
	{ "trust", 0, "DIR",
		"a folder of rootedge trust: where one of its roots is a registered CA, its successor becomes one as soon as it is "
		"announced (those of --est are followed without it)",
		OPTION_TEXT, offsetof(struct options, trust), 0, 0 },
	{ "fault", 0, "FAULTS", "break things on purpose, for tests: delay=200ms,drop=5%,throttle=10%,disconnect=30s,clock=-1h",
		OPTION_TEXT, offsetof(struct options, fault), 0, 0 },
	{ "thumbprint-grace", 0, "SECONDS", "how long the old thumbprint of a rotation is good once the new one was used (86400)",
		OPTION_INT, offsetof(struct options, grace_s), 0, 366 * 86400 },
	{ "refuse-sha1-thumbprints", 0, NULL, "devices that are registered by a SHA-1 thumbprint are not let in", OPTION_FLAG,
		offsetof(struct options, refuse_sha1), 0, 0 },
	{ "plain-scopes", 0, NULL,
		"tell gateways of those below them only what the original's hub does: no CAs, no differences, no calls when "
		"something "
		"changes",
		OPTION_FLAG, offsetof(struct options, plain_scopes), 0, 0 },
	{ "watch-turns", 0, NULL, "measure the turns of the loops, and log the longest at the end", OPTION_FLAG,
		offsetof(struct options, watch_turns), 0, 0 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge hub",
	.arguments = "",
	.summary = "The hub: device registry, MQTT for devices, HTTPS for services and gateways.",
	.more = "SIGHUP loads the certificate again, and the configuration of EST; SIGTERM ends.",
	.rows = rows,
};

static int
check_options(const struct options *o, int n_operands, struct err *err)
{
	if (n_operands > 0)
		return err_set(err, ERR_INVALID,
			"rootedge hub: there is nothing to give but options; rootedge hub --help lists the verbs");
	if (!o->hostname || !*o->hostname)
		return err_set(err, ERR_INVALID, "rootedge hub: --hostname is missing, the name that stands in connection strings");
	if (!o->cert || !o->key)
		return err_set(err, ERR_INVALID, "rootedge hub: --cert and --key are needed (rootedge cert server makes them)");
	if (o->id_scope && !provisioning_scope_is_valid(o->id_scope))
		return err_set(err, ERR_INVALID, "rootedge hub: --id-scope has 1 to %d letters and digits", PROVISIONING_SCOPE_MAX);
	if (!o->issuing_ca != !o->issuing_ca_key || (o->issuing_ca && o->issuing_ca_new))
		return err_set(err, ERR_INVALID,
			"rootedge hub: --issuing-ca and --issuing-ca-key go together, and --issuing-ca-new goes without them");
	if (!o->issuing_ca && !o->issuing_ca_new && o->credential_policies.n > 0)
		return err_set(err, ERR_INVALID,
			"rootedge hub: --credential-policy needs an issuing CA: --issuing-ca or --issuing-ca-new");
	if (!o->rsa_cert != !o->rsa_key)
		return err_set(err, ERR_INVALID, "rootedge hub: --rsa-cert and --rsa-key go together");
	return 0;
}

/* Two of a kind would be one consumer group. */
static int
take_sinks(struct hub_config *config, const struct options *o, struct err *err)
{
	const struct option_list *sinks = &o->sinks;

	if (sinks->n > HUB_SINKS_MAX || (sinks->n == 2 && text_is(sinks->items[0], "stdout") == text_is(sinks->items[1], "stdout")))
		return err_set(err, ERR_INVALID, "rootedge hub: --sink: there may be stdout and one web hook");
	for (size_t i = 0; i < sinks->n; i++) {
		if (event_sink_check(sinks->items[i], o->sink_ca, err) < 0)
			return err_wrap(err, "rootedge hub");
		config->sinks[i] = sinks->items[i];
	}
	config->sink_ca_path = o->sink_ca;
	config->sink_connect_to = o->sink_connect_to;
	return 0;
}

static struct hub_config
config_of(const struct options *o)
{
	return (struct hub_config){
		.state_dir = o->state,
		.hostname = o->hostname,
		.address = o->address,
		.mqtt_port = (int)o->mqtt_port,
		.https_port = (int)o->https_port,
		.cert_path = o->cert,
		.key_path = o->key,
		.rsa_cert_path = o->rsa_cert,
		.rsa_key_path = o->rsa_key,
		.device_ca_path = o->device_ca,
		.n_loops = (size_t)o->loops,
		.retention_bytes = (uint64_t)o->retention_mib << 20,
		.retention_ms = o->retention_hours * 3600 * 1000,
		.partitions = (unsigned)o->partitions,
		.auth = { .refuse_sha1_thumbprints = o->refuse_sha1 },
		.thumbprint_grace_s = o->grace_s,
		.files_quota = (uint64_t)o->files_quota_mib << 20,
		.files_device_quota = (uint64_t)(o->files_device_quota_mib > 0 ? o->files_device_quota_mib : o->files_quota_mib)
				      << 20,
		.max_connections = service_max_connections(o->max_connections, 1),
		.plain_scopes = o->plain_scopes,
		.watch_turns = o->watch_turns,
		.index_paths = o->index.items,
		.n_index_paths = o->index.n,
		.provisioning = o->provisioning,
		.provisioning_port = (int)o->provisioning_port,
		.provisioning_mqtt_port = (int)o->provisioning_mqtt_port,
		.provisioning_hubs_ca_path = o->provisioning_hubs_ca,
		.provisioning_hostname = o->provisioning_hostname,
		.provisioning_address = o->provisioning_address,
		.id_scope = o->id_scope,
		.issuing = o->issuing_ca || o->issuing_ca_new,
		.issuing_ca_path = o->issuing_ca,
		.issuing_ca_key_path = o->issuing_ca_key,
		.issuing_ca_crl_url = o->issuing_ca_crl_url,
		.issuing_ca_ocsp_url = o->issuing_ca_ocsp_url,
		.http_port = (int)o->http_port,
		.keys = o->keys,
		.credential_policies = o->credential_policies.items,
		.crl_paths = o->crls.items,
		.crl_ca_path = o->crl_ca,
		.est_config_path = o->est,
		.trust_dir = o->trust,
	};
}

/* What is more than a value: faults, where they were asked for, sinks and sources of events. */
static int
take_the_rest(struct hub_config *config, const struct options *o, struct faults_config *faults, struct err *err)
{
	if (o->fault && faults_parse(faults, o->fault, err) < 0)
		return err_wrap(err, "--fault");
	config->faults = o->fault ? faults : NULL;
	if (o->fault)
		log_warn("faults on purpose: %s", o->fault);
	return event_source_parse(&config->event_sources, o->event_sources ? o->event_sources : "", err) < 0 ||
			       take_sinks(config, o, err) < 0
		       ? -1
		       : 0;
}

static void
say_ready(const struct options *o, struct hub *hub)
{
	log_info("%s serves MQTT on %s:%d and HTTPS on %s:%d", o->hostname, o->address, hub_mqtt_port(hub), o->address,
		hub_https_port(hub));
	if (o->provisioning)
		log_info("provisioning with the id scope %s on %s:%d, MQTT on port %d", hub_id_scope(hub), o->address,
			hub_provisioning_port(hub), hub_provisioning_mqtt_port(hub));
	service_ready(&o->service, json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:s*}", "hostname", o->hostname, "mqtt_port",
					   hub_mqtt_port(hub), "https_port", hub_https_port(hub), "http_port", hub_http_port(hub),
					   "provisioning_port", hub_provisioning_port(hub), "provisioning_mqtt_port",
					   hub_provisioning_mqtt_port(hub), "id_scope", hub_id_scope(hub)));
}

static int
serve(const struct options *o, struct err *err)
{
	struct hub_config config = config_of(o);
	struct faults_config faults;
	struct hub *hub;
	int done;

	if (take_the_rest(&config, o, &faults, err) < 0)
		return -1;
	hub = hub_open(&config, err);
	if (!hub)
		return -1;
	say_ready(o, hub);
	done = hub_run(hub, err);
	hub_close(hub);
	return done;
}

int
main(int argc, char **argv)
{
	struct options options = { .state = "/var/lib/rootedge/hub",
		.address = "0.0.0.0",
		.mqtt_port = 8883,
		.https_port = 443,
		.grace_s = 86400,
		.files_quota_mib = 10240,
		.files_device_quota_mib = 1024,
		.http_port = -1,
		.provisioning_port = 8444,
		.provisioning_mqtt_port = 8884,
		.service.ready_fd = -1 };
	struct err err = ERR_INIT;
	int n;

	n = option_parse(&usage, &options, argc, argv, &err);
	if (n < 0 || check_options(&options, n, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	service_start("hub", &options.service);
	if (serve(&options, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return 0;
}
