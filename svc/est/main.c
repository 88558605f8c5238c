/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-est: options, start, the line that says it serves, end. */
#include <stdio.h>

#include "base/log.h"
#include "base/option.h"
#include "common/service.h"
#include "est/est_alone.h"
#include "est/est_store.h"

struct options {
	const char *state, *config, *address;
	struct server_identity_paths certs;
	struct key_source_config keys;
	int64_t port, http_port, loops, workers, max_connections;
	struct service_options service;
};

#define ROW(name, letter, value, help, type, field, max)                                                                           \
	{                                                                                                                          \
		name, letter, value, help, type, offsetof(struct options, field), 0, max                                           \
	}

static const struct option_row rows[] = {
	ROW("config", 'f', "FILE", "issuers and labels, TOML (docs/est.md)", OPTION_TEXT, config, 0),
	ROW("state", 's', "DIR", "the folder of the journal, users and one-time passwords (" EST_STATE_DEFAULT ")", OPTION_TEXT,
		state, 0),
	ROW("address", 'a', "ADDRESS", "listen on this address (0.0.0.0)", OPTION_TEXT, address, 0),
	ROW("port", 'p', "PORT", "HTTPS (8085); 0 takes a free one", OPTION_INT, port, 65535),
	ROW("http-port", 0, "PORT", "revocation lists and OCSP without TLS too (no); 0 takes a free one", OPTION_INT, http_port,
		65535),
	ROW("cert", 'c', "FILE", "the server certificate with its intermediates, PEM", OPTION_TEXT, certs.cert, 0),
	ROW("key", 'k', "FILE", "its private key, PEM", OPTION_TEXT, certs.key, 0),
	ROW("rsa-cert", 0, "FILE", "an RSA certificate beside it, for old clients", OPTION_TEXT, certs.rsa_cert, 0),
	ROW("rsa-key", 0, "FILE", "the key of that", OPTION_TEXT, certs.rsa_key, 0),
	KEY_SOURCE_OPTION_ROWS(struct options, keys),
	ROW("loops", 0, "N", "threads for connections; 0 takes one a core", OPTION_INT, loops, 64),
	ROW("workers", 0, "N", "threads that judge and sign; 0 takes one a core", OPTION_INT, workers, 64),
	ROW("max-connections", 0, "N", "refuse further ones; 0 is 100,000", OPTION_INT, max_connections, 10000000),
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge est",
	.arguments = "",
	.summary = "An EST server (RFC 7030): devices get certificates and renew them over HTTPS.",
	.more = "SIGHUP loads the server certificate and the configuration again; SIGTERM ends.  What it has issued: rootedge ca "
		"issued "
		"--journal STATE/issued.db",
	.rows = rows,
};

static int
check_options(const struct options *o, int n_operands, struct err *err)
{
	if (n_operands > 0)
		(void)err_set(err, ERR_INVALID, "there is nothing to give but options; --help lists the verbs");
	else if (!o->config)
		(void)err_set(err, ERR_INVALID, "--config is missing, the file of issuers and labels");
	else if (!o->certs.cert || !o->certs.key)
		(void)err_set(err, ERR_INVALID, "--cert and --key are needed (rootedge cert server makes them)");
	else if (!o->certs.rsa_cert != !o->certs.rsa_key)
		(void)err_set(err, ERR_INVALID, "--rsa-cert and --rsa-key go together");
	else
		return 0;
	return err_wrap(err, "rootedge est");
}

static int
serve(const struct options *o, struct err *err)
{
	struct est_alone_config config = {
		.state_dir = o->state,
		.config_path = o->config,
		.address = o->address,
		.port = (int)o->port,
		.http_port = (int)o->http_port,
		.certs = o->certs,
		.keys = o->keys,
		.n_loops = (size_t)o->loops,
		.n_workers = (size_t)o->workers,
		.max_connections = service_max_connections(o->max_connections, 1),
	};
	struct est_alone *alone = est_alone_open(&config, err);
	int done;

	if (!alone)
		return -1;
	log_info("EST is served on %s:%d", o->address, est_alone_port(alone));
	service_ready(&o->service, json_pack("{s:i, s:i}", "port", est_alone_port(alone), "http_port", est_alone_http_port(alone)));
	done = est_alone_run(alone, err);
	est_alone_close(alone);
	return done;
}

int
main(int argc, char **argv)
{
	struct options options = {
		.state = EST_STATE_DEFAULT, .address = "0.0.0.0", .port = 8085, .http_port = -1, .service.ready_fd = -1
	};
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &options, argc, argv, &err);

	if (n < 0 || check_options(&options, n, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	service_start("est", &options.service);
	if (serve(&options, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return 0;
}
