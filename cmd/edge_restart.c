/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge restart: one daemon, or all of them from config.toml on; and rootedge reprovision. */
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "edge.h"
#include "edge_box.h"
#include "net/http_client.h"
#include "page.h"
#include "pipe_command.h"
#include "wire/json.h"

#define WAIT_MS 60000
#define LOOK_MS 50
#define IDENTITYD_OF_SYSTEMD "/run/aziot/identityd.sock"

struct options {
	const char *state;
};

static const struct option_row rows[] = { EDGE_STATE_ROW(struct options), { 0 } };

/* -- Restarting ------------------------------------------------------------------------------------------------------------------------ */

static int
restart_unit(const char *role, struct err *err)
{
	OWN_TEXT unit = role ? edge_unit_name(role, "service") : mem_text("rootedge-edge.target");
	CLEAR(buf) said = BUF_INIT(65536);
	int status = pipe_command((const char *[]){ "systemctl", "restart", unit, NULL }, &said, err);

	return status <= 0 ? status : err_set(err, ERR_UNAVAILABLE, "systemctl restart %s ended with status %d", unit, status);
}

/* Does the role (NULL: each of them) serve, having been started again so often? */
static bool
serves(const json_t *status, const char *name, int64_t restarts)
{
	const json_t *role;
	size_t i, n = 0;

	if (json_is_true(json_object_get(status, "stopping")))
		return false;
	json_array_foreach(json_object_get(status, "roles"), i, role) {
		if (name && !text_is(json_string_value(json_object_get(role, "name")), name))
			continue;
		if (!text_is(json_string_value(json_object_get(role, "state")), "Running") ||
			json_integer_value(json_object_get(role, "restarts")) < restarts)
			return false;
		n++;
	}
	return n > 0;
}

/* The supervisor answers at once; between two questions there is a moment. */
int
edge_restart_wait(const struct edge_box *box, const char *role, int64_t restarts, struct err *err)
{
	int64_t until = clock_boot_ms() + WAIT_MS;

	while (clock_boot_ms() < until) {
		struct err not_yet = ERR_INIT;
		OWN_LIB(json_t) status = edge_box_status(box, &not_yet);

		if (status && serves(status, role, restarts))
			return 0;
		poll(NULL, 0, LOOK_MS);
	}
	return err_set(err, ERR_UNAVAILABLE, "%s does not serve after %d s; rootedge status says more", role ? role : "one of them",
		WAIT_MS / 1000);
}

static int
restart(const struct edge_box *box, const char *role, struct err *err)
{
	OWN_LIB(json_t) answer = NULL;

	if (box->by_systemd)
		return restart_unit(role, err);
	answer = edge_box_ask(box, json_pack("{s:s, s:s*}", "verb", "restart", "role", role), err);
	return answer ? edge_restart_wait(box, role, json_integer_value(json_object_get(answer, "restarts")), err) : -1;
}

int
edge_restart_role(const struct edge_box *box, const char *role, struct err *err)
{
	return restart(box, role, err);
}

static const struct option_usage restart_usage = {
	.command = "rootedge restart",
	.arguments = "[ROLE...]",
	.summary = "Start daemons of the edge device again: keyd, certd, identityd, edged, gateway; without one, all, with what "
		   "config.toml says now.",
	.more = "A configuration with mistakes is not started with: then everything goes on as it was.\n"
		"Exit status: 0 they serve again, 1 they do not, 2 called wrongly.",
	.rows = rows,
};

int
edge_restart(int argc, char **argv)
{
	struct options o = { .state = EDGE_STATE_DEFAULT };
	struct err err = ERR_INIT;
	struct edge_box box;
	int n = option_parse(&restart_usage, &o, argc, argv, &err), status = n < 0 ? -1 : 0;

	for (int i = 0; status == 0 && i < n; i++)
		status = edge_check_role(argv[i], &err);
	if (status < 0)
		return page_failure(restart_usage.command, &err, 2);
	status = edge_box_find(&box, o.state, &err);
	for (int i = 0; status == 0 && i < n; i++)
		status = restart(&box, argv[i], &err);
	if (status == 0 && n == 0)
		status = restart(&box, NULL, &err);
	return status < 0 ? page_failure(restart_usage.command, &err, 1) : 0;
}

/* -- Reprovisioning --------------------------------------------------------------------------------------------------------------------- */

static const struct option_usage reprovision_usage = {
	.command = "rootedge reprovision",
	.arguments = "",
	.summary = "Have identityd ask anew who this device is, and start edged again with what comes of it.",
	.more = "Exit status: 0 done, 1 not, 2 called wrongly.",
	.rows = rows,
};

static int
ask_identityd(const char *path, struct err *err)
{
	struct http_answer answer = { 0 };
	struct http_call call = { .method = "POST",
		.url = "http://identityd/identities/device/reprovision?api-version=2020-09-01",
		.unix_path = path,
		.timeout_ms = 120000 };
	json_t *nothing = NULL;
	int status = http_fetch_json(&nothing, &answer, &call, NULL, err);

	json_decref(nothing);
	http_answer_clear(&answer);
	return status < 0 ? err_wrap(err, "identityd") : 0;
}

static int
reprovision(const struct edge_box *box, struct err *err)
{
	OWN_LIB(json_t) status = box->by_systemd ? NULL : edge_box_status(box, err);
	const char *path = box->by_systemd ? IDENTITYD_OF_SYSTEMD : json_string_value(json_object_get(status, "identityd"));

	if (!path)
		return -1;
	return ask_identityd(path, err) < 0 ? -1 : restart(box, "edged", err);
}

int
edge_reprovision(int argc, char **argv)
{
	struct options o = { .state = EDGE_STATE_DEFAULT };
	struct err err = ERR_INIT;
	struct edge_box box;
	int status = page_options(&reprovision_usage, &o, argc, argv);

	if (status != 0)
		return status;
	if (edge_box_find(&box, o.state, &err) < 0 || reprovision(&box, &err) < 0)
		return page_failure(reprovision_usage.command, &err, 1);
	puts("this device has asked anew who it is");
	return 0;
}
