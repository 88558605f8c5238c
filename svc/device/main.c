/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-device: TempSensor, a downstream device that verifies who it talks to, sends readings, and says what was acknowledged.  For trying things out, for the demo, and
 * as a source of load that keeps its own list.  Here: options, certificates, and what its exit status means. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "common/service.h"
#include "device/sensor.h"
#include "wire/connstr.h"
#include "wire/uri.h"

#define CHAIN_MAX 16
#define MQTT_PORT 8883

struct options {
	const char *connection_string, *hub, *gateway, *device_id, *cert, *key, *shared_access_key, *ca, *connect_to, *name,
		*acked_file;
	int64_t count, interval_ms, in_flight, timeout_s;
	bool retry, json;
	struct service_options service;
};

#define TEXT_ROW(name, letter, value, help, member)                                                                                \
	{                                                                                                                          \
		name, letter, value, help, OPTION_TEXT, offsetof(struct options, member), 0, 0                                     \
	}

static const struct option_row rows[] = {
	TEXT_ROW("connection-string", 's', "TEXT",
		"HostName=...;DeviceId=...;SharedAccessKey=...[;GatewayHostName=...], or ...;x509=true", connection_string),
	TEXT_ROW("hub", 0, "HOST[:PORT]", "the hub's name, as it stands in tokens and user names; left out, the gateway's", hub),
	TEXT_ROW("gateway", 'g', "HOST[:PORT]", "connect to this gateway instead of the hub", gateway),
	TEXT_ROW("device-id", 'd', "ID", "who it is", device_id),
	TEXT_ROW("cert", 0, "FILE", "its certificate, PEM, with the intermediates that its issuer needs", cert),
	TEXT_ROW("key", 0, "FILE", "the certificate's private key, PEM", key),
	TEXT_ROW("shared-access-key", 0, "BASE64", "its key, where it has no certificate", shared_access_key),
	TEXT_ROW("ca", 0, "FILE", "the root certificates to trust, PEM", ca),
	TEXT_ROW("connect-to", 0, "ADDRESS", "where TCP goes, when the name does not resolve to it", connect_to),
	TEXT_ROW("name", 0, "NAME", "the name that the server must prove, when it is another than the one connected to", name),
	{ "count", 'n', "N", "readings to send (10); 0: without end", OPTION_INT, offsetof(struct options, count), 0, INT64_MAX },
	{ "interval", 'i', "MS", "between readings (1000); 0: as fast as they are acknowledged", OPTION_INT,
		offsetof(struct options, interval_ms), 0, 86400000 },
	{ "in-flight", 0, "N", "unacknowledged readings at most (1)", OPTION_INT, offsetof(struct options, in_flight), 1,
		SENSOR_IN_FLIGHT_MAX },
	{ "timeout", 0, "S", "how long to wait for the server, to be reached and to let it in (30)", OPTION_INT,
		offsetof(struct options, timeout_s), 1, 3600 },
	{ "retry", 0, NULL, "connect again after a broken connection, until all is acknowledged", OPTION_FLAG,
		offsetof(struct options, retry), 0, 0 },
	TEXT_ROW("acked-file", 0, "FILE", "append the number of each acknowledged reading here", acked_file),
	{ "json", 0, NULL, "a line of JSON for each acknowledged reading", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge device",
	.arguments = "",
	.summary = "TempSensor: a downstream device that sends readings to a hub or a gateway.",
	.more = "It exits with 0 when all readings were acknowledged, 1 when it does not trust the server, 2 for wrong options, 3 "
		"when the "
		"server can't be reached, and 4 when the server does not let it in.",
	.rows = rows,
};

struct device {
	struct connstr *identity;
	char *host; /* where to connect */
	int port, acked_fd;
	struct tls_client *tls;
};

/* -- Who it is ------------------------------------------------------------------------------------------------------------------------ */

static char *
host_alone(const char *host_and_port, struct err *err)
{
	char *host = NULL;
	int port = 0;

	return uri_parse_host(host_and_port, &host, &port, err) < 0 ? NULL : host;
}

/* The options as the connection string that says the same. */
static struct connstr *
identity_of_options(const struct options *o, struct err *err)
{
	const char *hub = o->hub ? o->hub : o->gateway;
	OWN_TEXT name = NULL;
	CLEAR(buf) text = BUF_INIT(8192);
	struct connstr *identity;

	if (!hub || !o->device_id)
		return err_null(
			err, ERR_INVALID, "rootedge device: give --connection-string, or --device-id and --hub or --gateway");
	name = host_alone(hub, err);
	if (!name)
		return NULL;
	buf_putf(&text, "HostName=%s;DeviceId=%s", name, o->device_id);
	if (o->shared_access_key)
		buf_putf(&text, ";SharedAccessKey=%s", o->shared_access_key);
	else
		buf_puts(&text, ";x509=true");
	identity = connstr_parse(buf_text(&text), err);
	buf_wipe(&text);
	return identity;
}

static int
check_identity(const struct connstr *identity, const struct options *o, struct err *err)
{
	if (!identity->device_id)
		return err_set(err, ERR_INVALID, "rootedge device: the connection string has no DeviceId");
	if (!o->cert != !o->key)
		return err_set(err, ERR_INVALID, "rootedge device: --cert and --key belong together");
	if (!identity->has_key && !o->cert)
		return err_set(err, ERR_INVALID, "rootedge device: give --cert and --key, or a shared access key");
	if (identity->has_key && o->cert)
		return err_set(err, ERR_INVALID, "rootedge device: it has a certificate and a shared access key; give one of them");
	return 0;
}

/* -- Whom it trusts ------------------------------------------------------------------------------------------------------------------- */

static struct anchors *
load_anchors(const char *path, struct err *err)
{
	struct certs roots = { 0 };
	struct anchors *anchors;

	if (!path)
		return err_null(err, ERR_INVALID, "rootedge device: --ca is missing, the root certificate to trust");
	if (certs_load(&roots, path, CERTS_MAX, err) < 0)
		return NULL;
	anchors = anchors_new(&roots, err);
	certs_clear(&roots);
	return anchors;
}

static struct tls_client *
make_tls(const struct options *o, struct err *err)
{
	OWN(anchors) anchors = load_anchors(o->ca, err);
	OWN(key) key = NULL;
	struct certs chain = { 0 };
	struct tls_client *tls = NULL;

	if (!anchors || (o->cert && certs_load(&chain, o->cert, CHAIN_MAX, err) < 0))
		return NULL;
	key = o->key ? key_load(o->key, err) : NULL;
	if (!o->key || key)
		tls = tls_client_new(&(struct tls_client_config){ .anchors = anchors, .chain = &chain, .key = key }, err);
	certs_clear(&chain);
	return tls;
}

/* -- All of it ------------------------------------------------------------------------------------------------------------------------ */

static int
set_up(struct device *d, const struct options *o, struct err *err)
{
	const char *where;

	d->identity = o->connection_string ? connstr_parse(o->connection_string, err) : identity_of_options(o, err);
	if (!d->identity || check_identity(d->identity, o, err) < 0)
		return -1;
	where = o->gateway		    ? o->gateway
		: d->identity->gateway_host ? d->identity->gateway_host
		: o->hub		    ? o->hub
					    : d->identity->host;
	d->port = MQTT_PORT;
	if (uri_parse_host(where, &d->host, &d->port, err) < 0)
		return -1;
	d->tls = make_tls(o, err);
	if (!d->tls || !o->acked_file)
		return d->tls ? 0 : -1;
	d->acked_fd = open(o->acked_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return d->acked_fd < 0 ? err_errno(err, "%s", o->acked_file) : 0;
}

static enum sensor_end
run(const struct device *d, const struct options *o)
{
	struct sensor_config config = {
		.host = o->name ? o->name : d->host,
		.connect_to = o->connect_to ? o->connect_to : d->host,
		.port = d->port,
		.hub_host = d->identity->host,
		.device_id = d->identity->device_id,
		.key = d->identity->has_key ? &d->identity->key : NULL,
		.tls = d->tls,
		.count = o->count,
		.interval_ms = o->interval_ms,
		.in_flight = (size_t)o->in_flight,
		.timeout_ms = o->timeout_s * 1000,
		.retry = o->retry,
		.json = o->json,
		.quiet = o->acked_file != NULL,
		.acked_fd = d->acked_fd,
	};

	service_ready(&o->service, NULL);
	return sensor_run(&config);
}

int
main(int argc, char **argv)
{
	struct options options = {
		.count = 10, .interval_ms = 1000, .in_flight = 1, .timeout_s = 30, .service = { .ready_fd = -1 }
	};
	struct device device = { .acked_fd = -1 };
	struct err err = ERR_INIT;
	enum sensor_end end = SENSOR_USAGE;
	int n = option_parse(&usage, &options, argc, argv, &err);

	service_start("device", &options.service);
	if (n > 0)
		n = err_set(&err, ERR_INVALID, "rootedge device: takes options only; --help lists them");
	if (n < 0 || set_up(&device, &options, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		end = run(&device, &options);
	tls_client_free(device.tls);
	connstr_free(device.identity);
	mem_free(device.host);
	if (device.acked_fd >= 0)
		close(device.acked_fd);
	return (int)end;
}
