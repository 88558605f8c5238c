/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge edge bundle: the certificates that devices and gateways below this edge device need to trust it by, as certd has them. */
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "certd/client.h"
#include "edge.h"
#include "edge_box.h"
#include "page.h"
#include "wire/json.h"

#define COMMAND "rootedge edge bundle"
#define BUNDLE_ID "aziot-edged-trust-bundle"
#define BUNDLE_MAX (4 * 1024 * 1024)
#define CERTD_OF_SYSTEMD "/run/aziot/certd.sock"

struct options {
	const char *state, *out;
};

static const struct option_row rows[] = {
	EDGE_STATE_ROW(struct options),
	{ "out", 'o', "FILE", "write it there instead of to standard output", OPTION_TEXT, offsetof(struct options, out), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = COMMAND,
	.arguments = "",
	.summary = "The trust bundle of this edge device, PEM: what devices and gateways below it know it by (docs/nested.md).",
	.more = "There is no secret in it, but it must come to them unchanged.  It has the roots of trust_bundle_cert and the Edge "
		"CA, also the one that is being "
		"replaced.\n"
		"Exit status: 0 written, 1 certd does not answer, or has none, 2 called wrongly.",
	.rows = rows,
};

/* The caller owns it. */
static char *
find_socket(const char *state, struct err *err)
{
	OWN_LIB(json_t) status = NULL;
	struct edge_box box;
	const json_t *role;
	size_t i;

	if (edge_box_find(&box, state, err) < 0)
		return NULL;
	if (box.by_systemd)
		return mem_text(CERTD_OF_SYSTEMD);
	status = edge_box_status(&box, err);
	json_array_foreach(json_object_get(status, "roles"), i, role) {
		const char *path = json_string_value(json_object_get(role, "socket"));

		if (text_is(json_string_value(json_object_get(role, "name")), "certd") && path)
			return mem_text(path);
	}
	return status ? err_null(err, ERR_MISSING, "certd has no socket") : NULL;
}

static int
put(const struct options *o, const struct buf *pem, struct err *err)
{
	if (o->out)
		return file_save(o->out, pem->data, pem->len, 0644, err);
	return fwrite(pem->data, 1, pem->len, stdout) == pem->len && fflush(stdout) == 0 ? 0 : err_errno(err, "standard output");
}

int
edge_bundle(int argc, char **argv)
{
	struct options o = { .state = EDGE_STATE_DEFAULT };
	CLEAR(buf) pem = BUF_INIT(BUNDLE_MAX);
	OWN_TEXT path = NULL;
	struct err err = ERR_INIT;
	int status = page_options(&usage, &o, argc, argv);

	if (status != 0)
		return status;
	path = find_socket(o.state, &err);
	if (!path || certd_client_get(path, BUNDLE_ID, &pem, &err) < 0 || put(&o, &pem, &err) < 0)
		return page_failure(COMMAND, &err, 1);
	return 0;
}
