/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-provisioning: options, start, the line that says it serves, end. */
#include <stdio.h>

#include "base/log.h"
#include "base/option.h"
#include "common/service.h"
#include "hub/client.h"
#include "hub/provisioning/provisioning.h"
#include "provisioning/provisioning_alone.h"

struct options {
	const char *state, *hostname, *address, *id_scope, *hubs_ca, *issuing_ca, *issuing_ca_key, *crl_ca, *issuing_ca_crl_url,
		*issuing_ca_ocsp_url;
	bool issuing_ca_new;
	struct key_source_config keys;
	struct option_list credential_policies, crls;
	struct server_identity_paths certs;
	int64_t port, mqtt_port, http_port, loops, max_connections;
	struct service_options service;
};

#define ROW(name, letter, value, help, type, field, max)                                                                           \
	{                                                                                                                          \
		name, letter, value, help, type, offsetof(struct options, field), 0, max                                           \
	}

static const struct option_row rows[] = {
	ROW("state", 's', "DIR", "the folder of enrollments and registrations (" PROVISIONING_STATE_DEFAULT ")", OPTION_TEXT, state,
		0),
	ROW("hostname", 'n', "NAME", "the name that devices and services know this service by", OPTION_TEXT, hostname, 0),
	ROW("address", 'a', "ADDRESS", "listen on this address (0.0.0.0)", OPTION_TEXT, address, 0),
	ROW("port", 0, "PORT", "HTTPS, for devices and services (443); 0 takes a free one", OPTION_INT, port, 65535),
	ROW("mqtt-port", 0, "PORT", "MQTT, for devices (8883); 0 takes a free one", OPTION_INT, mqtt_port, 65535),
	ROW("cert", 'c', "FILE", "the server certificate with its intermediates, PEM", OPTION_TEXT, certs.cert, 0),
	ROW("key", 'k', "FILE", "its private key, PEM", OPTION_TEXT, certs.key, 0),
	ROW("rsa-cert", 0, "FILE", "an RSA certificate beside it, for old clients", OPTION_TEXT, certs.rsa_cert, 0),
	ROW("rsa-key", 0, "FILE", "the key of that", OPTION_TEXT, certs.rsa_key, 0),
	ROW("hubs-ca", 0, "FILE", "the roots that linked hubs, to which devices are assigned, are trusted by, PEM", OPTION_TEXT,
		hubs_ca, 0),
	ROW("id-scope", 0, "TEXT", "the id scope that devices give (made at the first start)", OPTION_TEXT, id_scope, 0),
	ROW("issuing-ca", 0, "FILE", "the CA that certificates are issued by, with those above it, PEM", OPTION_TEXT, issuing_ca,
		0),
	ROW("issuing-ca-key", 0, "FILE", "the key of that: a file, pkcs11:... or tpm:handle=...", OPTION_TEXT, issuing_ca_key, 0),
	ROW("issuing-ca-new", 0, NULL, "make that CA in the state folder at the first start, and keep it", OPTION_FLAG,
		issuing_ca_new, 0),
	ROW("issuing-ca-crl-url", 0, "URL",
		"http:// address that stands in its certificates: where devices find /crl/issuing.crl of this service", OPTION_TEXT,
		issuing_ca_crl_url, 0),
	ROW("issuing-ca-ocsp-url", 0, "URL", "the same of /ocsp-issuing", OPTION_TEXT, issuing_ca_ocsp_url, 0),
	ROW("http-port", 0, "PORT", "the revocation list and OCSP of that CA without TLS too (no); 0 takes a free one", OPTION_INT,
		http_port, 65535),
	KEY_SOURCE_OPTION_ROWS(struct options, keys),
	ROW("credential-policy", 0, "NAME=DAYS",
		"enrollments that name it get certificates for so long, 7 to 90 days; give it once for each (default=30)",
		OPTION_LIST, credential_policies, 0),
	ROW("crl", 0, "FILE", "a revocation list, PEM or DER, which is looked at again when it changes; give it once for each",
		OPTION_LIST, crls, 0),
	ROW("crl-ca", 0, "FILE", "the CAs that sign those, PEM", OPTION_TEXT, crl_ca, 0),
	ROW("loops", 0, "N", "threads for connections; 0 takes one a core", OPTION_INT, loops, 64),
	ROW("max-connections", 0, "N", "refuse further ones on a port; 0 is 100,000", OPTION_INT, max_connections, 10000000),
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge provisioning",
	.arguments = "",
	.summary = "Provisioning alone: devices register themselves by their enrollment, and are made in the hubs that are linked.",
	.more = "SIGHUP loads the certificate again; SIGTERM ends.",
	.rows = rows,
};

static int
check_options(const struct options *o, int n_operands, struct err *err)
{
	if (n_operands > 0)
		(void)err_set(err, ERR_INVALID, "there is nothing to give but options; --help lists the verbs");
	else if (!o->hostname || !*o->hostname)
		(void)err_set(err, ERR_INVALID, "--hostname is missing, the name that stands in connection strings");
	else if (!o->certs.cert || !o->certs.key)
		(void)err_set(err, ERR_INVALID, "--cert and --key are needed (rootedge cert server makes them)");
	else if (!o->certs.rsa_cert != !o->certs.rsa_key)
		(void)err_set(err, ERR_INVALID, "--rsa-cert and --rsa-key go together");
	else if (!o->hubs_ca)
		(void)err_set(
			err, ERR_INVALID, "--hubs-ca is missing, the roots that the hubs it assigns devices to are trusted by");
	else if (!o->issuing_ca != !o->issuing_ca_key || (o->issuing_ca && o->issuing_ca_new))
		(void)err_set(
			err, ERR_INVALID, "--issuing-ca and --issuing-ca-key go together, and --issuing-ca-new goes without them");
	else if (!o->issuing_ca && !o->issuing_ca_new && o->credential_policies.n > 0)
		(void)err_set(err, ERR_INVALID, "--credential-policy needs an issuing CA: --issuing-ca or --issuing-ca-new");
	else if (o->id_scope && !provisioning_scope_is_valid(o->id_scope))
		(void)err_set(err, ERR_INVALID, "--id-scope has 1 to %d letters and digits", PROVISIONING_SCOPE_MAX);
	else
		return 0;
	return err_wrap(err, "rootedge provisioning");
}

static int
serve(const struct options *o, struct err *err)
{
	struct provisioning_alone_config config = {
		.state_dir = o->state,
		.hostname = o->hostname,
		.address = o->address,
		.https_port = (int)o->port,
		.mqtt_port = (int)o->mqtt_port,
		.http_port = (int)o->http_port,
		.certs = o->certs,
		.hubs_ca_path = o->hubs_ca,
		.id_scope = o->id_scope,
		.keys = o->keys,
		.issues = o->issuing_ca || o->issuing_ca_new,
		.issuing = { .cert_path = o->issuing_ca,
			.key_path = o->issuing_ca_key,
			.policies = o->credential_policies.items,
			.crl_url = o->issuing_ca_crl_url,
			.ocsp_url = o->issuing_ca_ocsp_url },
		.crl_paths = o->crls.items,
		.crl_ca_path = o->crl_ca,
		.n_loops = (size_t)o->loops,
		.max_connections = service_max_connections(o->max_connections, 1),
	};
	struct provisioning_alone *alone = provisioning_alone_open(&config, err);
	int done;

	if (!alone)
		return -1;
	log_info("%s provisions with the id scope %s: HTTPS on %s:%d, MQTT on %s:%d", o->hostname,
		provisioning_alone_id_scope(alone), o->address, provisioning_alone_https_port(alone), o->address,
		provisioning_alone_mqtt_port(alone));
	service_ready(&o->service,
		json_pack("{s:s, s:i, s:i, s:i, s:s}", "hostname", o->hostname, "http_port", provisioning_alone_http_port(alone),
			"provisioning_port", provisioning_alone_https_port(alone), "provisioning_mqtt_port",
			provisioning_alone_mqtt_port(alone), "id_scope", provisioning_alone_id_scope(alone)));
	done = provisioning_alone_run(alone, err);
	provisioning_alone_close(alone);
	return done;
}

int
main(int argc, char **argv)
{
	struct options options = { .state = PROVISIONING_STATE_DEFAULT,
		.address = "0.0.0.0",
		.port = 443,
		.mqtt_port = 8883,
		.http_port = -1,
		.service.ready_fd = -1 };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &options, argc, argv, &err);

	if (n < 0 || check_options(&options, n, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	service_start("provisioning", &options.service);
	if (serve(&options, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return 0;
}
