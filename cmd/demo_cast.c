/* SPDX-License-Identifier: Apache-2.0 */
/* Each process is started as an operator would start it: options, a config.toml, and certificates in files. */
#include "demo_cast.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "demo_papers.h"
#include "hub/client.h"
#include "hub_tool.h"
#include "wire/codec.h"

#define START_MS 30000
#define DEVICE_MS 30000
#define CONFIG_MAX 8192
#define LOGS "logs"

char *
cast_log_path(const struct cast *cast, const char *name)
{
	return mem_textf("%s/" LOGS "/%s.log", cast->dir, name);
}

/* -- ContosoIotHub ----------------------------------------------------------------------------------------------------------- */

static char *
hub_state(const struct cast *cast)
{
	return file_join(cast->dir, "hub");
}

int
cast_start_hub(struct cast *cast, struct err *err)
{
	OWN_TEXT logs = file_join(cast->dir, LOGS);
	OWN_TEXT log = cast_log_path(cast, "hub");
	OWN_TEXT state = hub_state(cast);
	OWN_TEXT cert = paper_cert_path(cast->dir, PAPER_HUB);
	OWN_TEXT key = paper_key_path(cast->dir, PAPER_HUB);
	const char *args[] = { "--state", state, "--hostname", CAST_HUB_HOST, "--address", "127.0.0.1", "--mqtt-port", "0",
		"--https-port", "0", "--cert", cert, "--key", key, NULL };

	if (file_make_dir(logs, 0700, err) < 0)
		return -1;
	cast->hub = child_start(
		&(struct child_spec){
			.name = "hub", .args = args, .log_path = log, .stop_fd = cast->stop_fd, .timeout_ms = START_MS },
		err);
	return cast->hub ? 0 : -1;
}

int
cast_hub_mqtt_port(const struct cast *cast)
{
	return child_port(cast->hub, "mqtt_port");
}

int
cast_hub_https_port(const struct cast *cast)
{
	return child_port(cast->hub, "https_port");
}

char *
cast_service_string(const struct cast *cast, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(4096);
	CLEAR(buf) whole = BUF_INIT(4096);
	OWN_TEXT state = hub_state(cast);
	OWN(connstr) string = NULL;

	if (hub_client_policy_string(&text, state, "iothubowner", err) < 0)
		return NULL;
	string = connstr_parse(buf_text(&text), err);
	if (!string)
		return NULL;
	mem_free(string->host);
	string->host = mem_textf("%s:%d", CAST_HUB_HOST, cast_hub_https_port(cast));
	connstr_format(&whole, string);
	return buf_take_text(&whole);
}

/* -- Who is registered ------------------------------------------------------------------------------------------------------- */

/* The device's record as the hub has it now; both thumbprint slots are filled. */
static json_t *
put_device(struct hub_session *s, const struct cast *cast, const char *id, const char *const papers[2], json_t *more_take,
	struct err *err)
{
	char primary[CERT_FINGERPRINT_LEN], secondary[CERT_FINGERPRINT_LEN];
	OWN_LIB(json_t) record = more_take;
	OWN_TEXT path = hub_tool_path("devices", id, NULL, NULL);
	json_t *answer = NULL;

	if (paper_fingerprint(primary, cast->dir, papers[0], err) < 0 ||
		paper_fingerprint(secondary, cast->dir, papers[1], err) < 0)
		return NULL;
	json_object_set_new(record, "deviceId", json_string(id));
	json_object_set_new(record, "authentication",
		json_pack("{s:s, s:{s:s, s:s}}", "type", "selfSigned", "x509Thumbprint", "primaryThumbprint", primary,
			"secondaryThumbprint", secondary));
	return hub_session_request(s, "PUT", path, record, false, &answer, err) < 0 ? NULL : answer;
}

static int
register_both(struct hub_session *s, const struct cast *cast, struct err *err)
{
	static const char *const edge_papers[] = { PAPER_EDGE, PAPER_EDGE_SECOND };
	static const char *const sensor_papers[] = { PAPER_SENSOR, PAPER_SENSOR_SECOND };
	OWN_LIB(json_t) edge =
		put_device(s, cast, CAST_EDGE, edge_papers, json_pack("{s:{s:b}}", "capabilities", "iotEdge", 1), err);
	OWN_LIB(json_t) sensor = NULL;
	const char *scope;

	if (!edge || json_get_text(edge, "deviceScope", &scope, err) < 0)
		return err_wrap(err, "registering " CAST_EDGE);
	sensor = put_device(s, cast, CAST_SENSOR, sensor_papers, json_pack("{s:s}", "deviceScope", scope), err);
	return sensor ? 0 : err_wrap(err, "registering " CAST_SENSOR);
}

int
cast_register(struct cast *cast, struct err *err)
{
	OWN_TEXT string = cast_service_string(cast, err);
	OWN_TEXT ca = paper_cert_path(cast->dir, PAPER_ROOT);
	CLEAR(hub_session) session = { 0 };

	if (!string || hub_session_open(&session, string, ca, "127.0.0.1", err) < 0)
		return -1;
	return register_both(&session, cast, err);
}

/* -- EdgeGateway ------------------------------------------------------------------------------------------------------------- */

static void
put_file(struct buf *out, const char *key, char *path_take)
{
	OWN_TEXT path = path_take;

	buf_putf(out, "%s = \"file://", key);
	for (const char *at = path; *at; at++)
		if (*at == '/')
			buf_putc(out, '/');
		else
			percent_encode(out, at, 1);
	buf_puts(out, "\"\n");
}

static void
put_config(struct buf *out, const struct cast *cast)
{
	buf_puts(out, "# EdgeGateway, as rootedge demo runs it.\n");
	buf_puts(out, "hostname = \"" CAST_EDGE_HOST "\"\n");
	put_file(out, "trust_bundle_cert", paper_cert_path(cast->dir, PAPER_ROOT));
	buf_puts(out, "\n[provisioning]\nsource = \"manual\"\niothub_hostname = \"" CAST_HUB_HOST "\"\ndevice_id = \"" CAST_EDGE
		      "\"\n\n[provisioning.authentication]\nmethod = \"x509\"\n");
	put_file(out, "identity_cert", paper_cert_path(cast->dir, PAPER_EDGE));
	put_file(out, "identity_pk", paper_key_path(cast->dir, PAPER_EDGE));
	buf_puts(out, "\n[edge_ca]\n");
	put_file(out, "cert", paper_cert_path(cast->dir, PAPER_EDGE_CA));
	put_file(out, "pk", paper_key_path(cast->dir, PAPER_EDGE_CA));
	buf_puts(out, "\n# The names that clients on this machine use, when they can't resolve the hostname.\n[gateway]\n"
		      "address = \"127.0.0.1\"\nmqtt_port = 0\nhttps_port = 0\nnames = [\"localhost\", \"127.0.0.1\"]\n");
	buf_putf(out, "\n[upstream]\naddress = \"127.0.0.1\"\nmqtt_port = %d\nhttps_port = %d\n", cast_hub_mqtt_port(cast),
		cast_hub_https_port(cast));
}

int
cast_start_edge(struct cast *cast, struct err *err)
{
	CLEAR(buf) config = BUF_INIT(CONFIG_MAX);
	OWN_TEXT path = file_join(cast->dir, "config.toml");
	OWN_TEXT state = file_join(cast->dir, "edge");
	OWN_TEXT log = cast_log_path(cast, "edge");
	const char *args[] = { "--config", path, "--state", state, NULL };

	put_config(&config, cast);
	if (file_save(path, config.data, config.len, 0644, err) < 0)
		return -1;
	cast->edge = child_start(
		&(struct child_spec){
			.name = "edge", .args = args, .log_path = log, .stop_fd = cast->stop_fd, .timeout_ms = START_MS },
		err);
	return cast->edge ? 0 : -1;
}

int
cast_gateway_port(const struct cast *cast)
{
	return child_port(cast->edge, "mqtt_port");
}

/* -- TempSensor, and who says so --------------------------------------------------------------------------------------------- */

int
cast_run_device(struct cast *cast, const struct cast_device *d, struct err *err)
{
	OWN_TEXT log = cast_log_path(cast, d->log);
	OWN_TEXT cert = paper_cert_path(cast->dir, d->paper);
	OWN_TEXT key = paper_key_path(cast->dir, d->paper);
	OWN_TEXT ca = paper_cert_path(cast->dir, d->ca);
	OWN_TEXT gateway = mem_textf("%s:%d", d->gateway, cast_gateway_port(cast));
	char count[16];
	const char *args[] = { "--device-id", CAST_SENSOR, "--hub", CAST_HUB_HOST, "--gateway", gateway, "--connect-to",
		"127.0.0.1", "--cert", cert, "--key", key, "--ca", ca, "--count", count, "--interval", "0", "--json", NULL };

	snprintf(count, sizeof(count), "%d", d->count);
	return child_run(
		&(struct child_spec){
			.name = "device", .args = args, .log_path = log, .stop_fd = cast->stop_fd, .timeout_ms = DEVICE_MS },
		err);
}

/* -- The end ----------------------------------------------------------------------------------------------------------------- */

const struct child *
cast_find_ended(const struct cast *cast)
{
	if (cast->hub && child_has_ended(cast->hub))
		return cast->hub;
	return cast->edge && child_has_ended(cast->edge) ? cast->edge : NULL;
}

void
cast_clear(struct cast *cast)
{
	child_free(cast->edge);
	child_free(cast->hub);
	cast->edge = cast->hub = NULL;
}
