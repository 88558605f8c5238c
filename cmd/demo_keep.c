/* SPDX-License-Identifier: Apache-2.0 */
/* What to try while it runs: commands to paste, with the ports of this run.  They work in its folder and with its `env`. */
#include <poll.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "demo.h"
#include "demo_papers.h"
#include "page.h"

#define ROOT_FILE PAPER_ROOT ".cert.pem"

static int
write_env(const struct demo *d, struct err *err)
{
	CLEAR(buf) text = BUF_INIT(8192);
	OWN_TEXT path = file_join(d->dir, "env");
	OWN_TEXT own = file_own_dir();
	OWN_TEXT hub = cast_service_string(&d->cast, err);

	if (!hub)
		return -1;
	buf_puts(&text, "# . ./env\nexport PATH=");
	page_put_quoted(&text, own);
	buf_puts(&text, ":\"$PATH\"\nexport ROOTEDGE_HUB=");
	page_put_quoted(&text, hub);
	buf_putc(&text, '\n');
	return file_save(path, text.data, text.len, 0600, err);
}

/* Of each command what it is for, and the command itself, with the gateway's port where it has a %d. */
static const char *const commands[] = {
	"question 3, asked by openssl: depth 3 to 0, as TempSensor sees it",
	"openssl s_client -connect 127.0.0.1:%d -CAfile " ROOT_FILE " -showcerts -servername " CAST_EDGE_HOST
	" -verify_hostname " CAST_EDGE_HOST " </dev/null",
	"the same, told by our doctor",
	"rootedge doctor " CAST_EDGE_HOST ":%d --ca " ROOT_FILE " --connect-to 127.0.0.1",
	"question 4: the fingerprint of TempSensor's certificate",
	"openssl x509 -noout -fingerprint -sha256 -in " PAPER_SENSOR ".cert.pem",
	"and what the hub has on record",
	"rootedge hub device show --device-id " CAST_SENSOR " --ca " ROOT_FILE " --connect-to 127.0.0.1",
	"a reading of your own",
	"mosquitto_pub -h 127.0.0.1 -p %d --cafile " ROOT_FILE " --cert " PAPER_SENSOR ".cert.pem --key " PAPER_SENSOR
	".key.pem -i " CAST_SENSOR " -u '" CAST_HUB_HOST "/" CAST_SENSOR "/?api-version=2021-04-12' -t devices/" CAST_SENSOR
	"/messages/events/ -q 1 -m '{\"temperature\":19.5}'",
	"all that arrives at the hub",
	"rootedge hub events --state hub --follow",
};

static void
put_command(struct buf *out, const char *command, int port)
{
	const char *at = strstr(command, "%d");

	if (at)
		buf_putf(out, "%.*s%d%s\n", (int)(at - command), command, port, at + 2);
	else
		buf_putf(out, "%s\n", command);
}

static void
put_commands(struct demo *d)
{
	demo_page_heading(&d->page, "It goes on until Ctrl-C.  In another shell:");
	buf_puts(&d->out, "\ncd ");
	page_put_quoted(&d->out, d->dir);
	buf_puts(&d->out, " && . ./env\n");
	for (size_t i = 0; i < COUNT(commands); i += 2) {
		buf_putf(&d->out, "\n# %s\n", commands[i]);
		put_command(&d->out, commands[i + 1], cast_gateway_port(&d->cast));
	}
}

static int
put_connection_strings(struct demo *d, struct err *err)
{
	OWN_TEXT service = cast_service_string(&d->cast, err);

	if (!service)
		return -1;
	demo_page_heading(&d->page, "Connection strings");
	demo_page_row(&d->page, "service", "%s", service);
	demo_page_row(&d->page, "device",
		"HostName=" CAST_HUB_HOST ";DeviceId=" CAST_SENSOR ";x509=true;GatewayHostName=" CAST_EDGE_HOST);
	return 0;
}

int
demo_keep(struct demo *d, struct err *err)
{
	struct pollfd p[] = { { .fd = d->cast.stop_fd, .events = POLLIN }, { .fd = d->cast.hub->pid_fd, .events = POLLIN },
		{ .fd = d->cast.edge->pid_fd, .events = POLLIN } };

	if (write_env(d, err) < 0)
		return -1;
	put_commands(d);
	if (put_connection_strings(d, err) < 0)
		return -1;
	page_print(&d->out);
	while (poll(p, COUNT(p), -1) < 0 && errno == EINTR)
		;
	return 0;
}
