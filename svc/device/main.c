/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge-device: TempSensor, a downstream device that verifies who it talks to, sends readings, and says what was acknowledged.  For trying things out, for the demo, and
 * as a source of load that keeps its own list. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/random.h"
#include "common/service.h"
#include "device/device_client.h"
#include "wire/connstr.h"
#include "wire/property_bag.h"
#include "wire/sas.h"
#include "wire/uri.h"

#define TOKEN_LIFE_S 3600
#define RETRY_MS 500
#define CHAIN_MAX 16
#define ROOTS_MAX 1024

enum exit_status { EXIT_ALL_ACKED, EXIT_UNTRUSTED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_REFUSED };

struct options {
	const char *connection_string, *hub, *gateway, *device_id, *cert, *key, *shared_access_key, *ca, *connect_to, *name, *acked_file;
	int64_t count, interval_ms, in_flight;
	bool retry, json;
	struct service_options service;
};

static const struct option_row rows[] = {
	{ "connection-string", 's', "TEXT", "HostName=...;DeviceId=...;SharedAccessKey=...[;GatewayHostName=...], or ...;x509=true", OPTION_TEXT, offsetof(struct options, connection_string), 0, 0 },
	{ "hub", 0, "HOST[:PORT]", "the hub's name, as it stands in tokens and user names", OPTION_TEXT, offsetof(struct options, hub), 0, 0 },
	{ "gateway", 'g', "HOST[:PORT]", "connect to this gateway instead of the hub", OPTION_TEXT, offsetof(struct options, gateway), 0, 0 },
	{ "device-id", 'd', "ID", "who it is", OPTION_TEXT, offsetof(struct options, device_id), 0, 0 },
	{ "cert", 0, "FILE", "its certificate, PEM", OPTION_TEXT, offsetof(struct options, cert), 0, 0 },
	{ "key", 0, "FILE", "the certificate's private key, PEM", OPTION_TEXT, offsetof(struct options, key), 0, 0 },
	{ "shared-access-key", 0, "BASE64", "its key, where it has no certificate", OPTION_TEXT, offsetof(struct options, shared_access_key), 0, 0 },
	{ "ca", 0, "FILE", "the root certificates to trust, PEM", OPTION_TEXT, offsetof(struct options, ca), 0, 0 },
	{ "connect-to", 0, "ADDRESS", "where TCP goes, when the name does not resolve to it", OPTION_TEXT, offsetof(struct options, connect_to), 0, 0 },
	{ "name", 0, "NAME", "the name that the server must prove, when it is another than the one connected to", OPTION_TEXT, offsetof(struct options, name), 0, 0 },
	{ "count", 'n', "N", "readings to send (10); 0: without end", OPTION_INT, offsetof(struct options, count), 0, INT64_MAX },
	{ "interval", 'i', "MS", "between readings (1000); 0: as fast as they are acknowledged", OPTION_INT, offsetof(struct options, interval_ms), 0, 86400000 },
	{ "in-flight", 0, "N", "unacknowledged readings at most (1)", OPTION_INT, offsetof(struct options, in_flight), 1, 4096 },
	{ "retry", 0, NULL, "connect again after a broken connection, until all is acknowledged", OPTION_FLAG, offsetof(struct options, retry), 0, 0 },
	{ "acked-file", 0, "FILE", "append each acknowledged sequence number", OPTION_TEXT, offsetof(struct options, acked_file), 0, 0 },
	{ "json", 0, NULL, "one line of JSON an acknowledged reading", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	SERVICE_OPTION_ROWS(struct options, service),
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge device",
	.arguments = "",
	.summary = "TempSensor: a downstream device that sends readings to a hub or a gateway.",
	.more = "It exits with 0 when all readings were acknowledged, 1 when it does not trust the server, 2 for wrong options, 3 when the server can't be reached, and 4 when the "
		"server does not let it in.",
	.rows = rows,
};

struct sensor {
	struct loop *loop;
	const struct options *options;
	struct connstr *identity;
	char *host;
	int port, acked_fd;
	struct tls_client *tls;
	struct device_client *client;
	struct timer timer;
	int64_t next, n_acked;
	double *readings; /* a ring by sequence number, for printing what was acknowledged */
	enum exit_status status;
	bool verdict_told;
};

static void try_to_connect(struct sensor *s);

static bool
all_acked(const struct sensor *s)
{
	return s->options->count > 0 && s->n_acked >= s->options->count;
}

/* A temperature that wanders between 18 and 26 degrees. */
static double
reading(int64_t seq)
{
	return round((22 + 4 * sin((double)seq / 7) + random_below(100) / 250.0) * 10) / 10;
}

static void
publish_one(struct sensor *s)
{
	double temperature = reading(s->next), humidity = 40 + random_below(200) / 10.0;
	OWN_TEXT payload = mem_textf("{\"temperature\":%.1f,\"humidity\":%.1f,\"seq\":%lld}", temperature, humidity, (long long)s->next);
	OWN_TEXT seq = mem_textf("%lld", (long long)s->next);
	struct buf bag = BUF_INIT(256);

	property_put(&bag, "$.ct", "application/json");
	property_put(&bag, "$.ce", "utf-8");
	property_put(&bag, "seq", seq);
	s->readings[s->next % 4096] = temperature;
	device_client_publish(s->client, slice_of(buf_text(&bag)), slice_of(payload), false, (uint64_t)s->next);
	s->next++;
	buf_clear(&bag);
}

static void
publish_more(struct sensor *s)
{
	bool paced = s->options->interval_ms > 0;

	while (device_client_may_publish(s->client) && (s->options->count == 0 || s->next < s->options->count)) {
		publish_one(s);
		if (paced) {
			timer_arm(&s->timer, s->options->interval_ms);
			return;
		}
	}
}

static void
on_timer(struct timer *timer)
{
	struct sensor *s = CONTAINER_OF(timer, struct sensor, timer);

	if (s->client)
		publish_more(s);
	else
		try_to_connect(s);
}

static void
on_connected(struct device_client *client, void *user)
{
	struct sensor *s = user;

	(void)client;
	log_info("connected to %s port %d as %s", s->host, s->port, s->identity->device_id);
	publish_more(s);
}

static void
note_acked(struct sensor *s, uint64_t seq)
{
	char line[32];
	int len = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)seq);

	if (s->acked_fd >= 0 && write(s->acked_fd, line, (size_t)len) != len)
		log_error("%s: %s", s->options->acked_file, strerror(errno));
	if (s->options->json)
		printf("{\"seq\":%llu,\"temperature\":%.1f,\"acknowledged\":true}\n", (unsigned long long)seq, s->readings[seq % 4096]);
	else if (s->acked_fd < 0)
		printf("reading %llu: %.1f °C, acknowledged\n", (unsigned long long)seq, s->readings[seq % 4096]);
	fflush(stdout);
}

static void
on_acked(struct device_client *client, void *user, uint64_t cookie)
{
	struct sensor *s = user;

	s->n_acked++;
	note_acked(s, cookie);
	if (all_acked(s)) {
		s->status = EXIT_ALL_ACKED;
		device_client_close(client);
	} else if (s->options->interval_ms == 0) {
		publish_more(s);
	}
}

static void
on_verdict(struct device_client *client, void *user, const struct verdict *verdict)
{
	struct sensor *s = user;

	(void)client;
	if (!s->verdict_told)
		service_log_verdict(verdict);
	s->verdict_told = true;
	if (!verdict_accepted(verdict)) {
		struct buf page = BUF_INIT(65536);

		verdict_print(verdict, &page, isatty(STDOUT_FILENO));
		fputs(buf_text(&page), stdout);
		buf_clear(&page);
	}
}

static void
on_end(struct device_client *client, void *user, enum device_client_end end, uint8_t code, const char *why)
{
	struct sensor *s = user;

	(void)client;
	s->client = NULL;
	if (all_acked(s) || end == DEVICE_CLIENT_CLOSED) {
		loop_stop(s->loop);
		return;
	}
	s->status = end == DEVICE_CLIENT_UNTRUSTED ? EXIT_UNTRUSTED : end == DEVICE_CLIENT_REFUSED ? EXIT_REFUSED : EXIT_UNREACHABLE;
	if (end == DEVICE_CLIENT_REFUSED)
		log_warn("%s does not let %s in: CONNACK %d, %s", s->host, s->identity->device_id, code, why);
	else if (end != DEVICE_CLIENT_UNTRUSTED)
		log_warn("%s port %d: %s", s->host, s->port, why);
	/* What was in flight is not known to have arrived: it is sent again under new numbers, the list has only what was acknowledged. */
	if (s->options->retry && end == DEVICE_CLIENT_UNREACHABLE)
		timer_arm(&s->timer, RETRY_MS / 2 + random_below(RETRY_MS));
	else
		loop_stop(s->loop);
}

static const struct device_client_ops client_ops = { .on_connected = on_connected, .on_acked = on_acked, .on_end = on_end, .on_verdict = on_verdict };

static void
try_to_connect(struct sensor *s)
{
	struct buf token = BUF_INIT(SAS_TOKEN_MAX);
	struct err err = ERR_INIT;
	struct device_client_config config = {
		.host = s->options->name ? s->options->name : s->host,
		.connect_to = s->options->connect_to ? s->options->connect_to : s->host,
		.port = s->port,
		.hub_host = s->identity->host,
		.device_id = s->identity->device_id,
		.tls = s->tls,
		.max_in_flight = (size_t)s->options->in_flight,
	};

	if (s->identity->has_key) {
		OWN_TEXT resource = mem_textf("%s/devices/%s", s->identity->host, s->identity->device_id);

		sas_sign(&token, resource, clock_wall() + TOKEN_LIFE_S, NULL, &s->identity->key);
		config.token = buf_text(&token);
	}
	s->client = device_client_connect(s->loop, &config, &client_ops, s, &err);
	if (!s->client) {
		log_error("%s", err.text);
		s->status = EXIT_UNREACHABLE;
		loop_stop(s->loop);
	}
	buf_wipe(&token);
}

/* -- Setting up -------------------------------------------------------------------------------------------------------------------- */

static struct connstr *
identity_of(const struct options *o, struct err *err)
{
	struct buf text = BUF_INIT(4096);
	struct connstr *identity;

	if (o->connection_string)
		return connstr_parse(o->connection_string, err);
	if (!o->hub || !o->device_id)
		return err_null(err, ERR_INVALID, "rootedge device: give --connection-string, or --hub and --device-id");
	buf_putf(&text, "HostName=%s;DeviceId=%s", o->hub, o->device_id);
	if (o->shared_access_key)
		buf_putf(&text, ";SharedAccessKey=%s", o->shared_access_key);
	if (o->gateway)
		buf_putf(&text, ";GatewayHostName=%s", o->gateway);
	identity = connstr_parse(buf_text(&text), err);
	buf_wipe(&text);
	return identity;
}

static struct anchors *
load_anchors(const char *path, struct err *err)
{
	struct certs roots = { 0 };
	struct anchors *anchors;

	if (!path)
		return err_null(err, ERR_INVALID, "rootedge device: --ca is missing, the root certificate to trust");
	if (certs_load(&roots, path, ROOTS_MAX, err) < 0)
		return NULL;
	anchors = anchors_new(&roots, err);
	certs_clear(&roots);
	return anchors;
}

static int
set_tls(struct sensor *s, struct err *err)
{
	const struct options *o = s->options;
	OWN(anchors) anchors = load_anchors(o->ca, err);
	OWN(key) key = NULL;
	struct certs chain = { 0 };

	if (!anchors)
		return -1;
	if (!o->cert != !o->key)
		return err_set(err, ERR_INVALID, "rootedge device: --cert and --key belong together");
	if (o->cert && certs_load(&chain, o->cert, CHAIN_MAX, err) < 0)
		return -1;
	key = o->key ? key_load(o->key, err) : NULL;
	if (!o->key || key)
		s->tls = tls_client_new(&(struct tls_client_config){ .anchors = anchors, .chain = &chain, .key = key }, err);
	certs_clear(&chain);
	return s->tls ? 0 : -1;
}

static int
set_up(struct sensor *s, struct err *err)
{
	const struct options *o = s->options;
	const char *target;

	s->identity = identity_of(o, err);
	if (!s->identity)
		return -1;
	if (!s->identity->device_id)
		return err_set(err, ERR_INVALID, "rootedge device: the connection string has no DeviceId");
	if (!s->identity->has_key && !o->cert)
		return err_set(err, ERR_INVALID, "rootedge device: give --cert and --key, or a shared access key");
	target = s->identity->gateway_host ? s->identity->gateway_host : s->identity->host;
	s->port = 8883;
	if (uri_parse_host(target, &s->host, &s->port, err) < 0 || set_tls(s, err) < 0)
		return -1;
	if (o->acked_file) {
		s->acked_fd = open(o->acked_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (s->acked_fd < 0)
			return err_errno(err, "%s", o->acked_file);
	}
	return 0;
}

static void
run(struct sensor *s)
{
	s->loop = loop_new("device");
	s->readings = mem_array(4096, sizeof(*s->readings));
	timer_init(&s->timer, s->loop, on_timer);
	loop_handle_signals(s->loop, NULL, NULL);
	service_ready(&s->options->service, NULL);
	try_to_connect(s);
	loop_run(s->loop);
	timer_cancel(&s->timer);
	loop_free(s->loop);
	mem_free(s->readings);
}

int
main(int argc, char **argv)
{
	struct options options = { .count = 10, .interval_ms = 1000, .in_flight = 1, .service = { .ready_fd = -1 } };
	struct sensor s = { .options = &options, .acked_fd = -1, .status = EXIT_UNREACHABLE };
	struct err err = ERR_INIT;
	int n = option_parse(&usage, &options, argc, argv, &err);

	service_start("device", &options.service);
	if (n > 0)
		n = err_set(&err, ERR_INVALID, "rootedge device: takes options only; --help lists them");
	if (n < 0 || set_up(&s, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		s.status = EXIT_USAGE;
	} else {
		run(&s);
	}
	tls_client_free(s.tls);
	connstr_free(s.identity);
	mem_free(s.host);
	if (s.acked_fd >= 0)
		close(s.acked_fd);
	return s.status;
}
