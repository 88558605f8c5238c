/* SPDX-License-Identifier: Apache-2.0 */
/* Where the edge device of this box is asked. */
#include "edge_box.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/process_memory.h"
#include "pipe_command.h"
#include "unit_show.h"
#include "wire/json.h"

#define ANSWER_MAX (256 * 1024)
#define TIMEOUT_S 10

const char *const edge_roles[] = { "keyd", "certd", "identityd", "edged", "gateway", NULL };

int
edge_check_role(const char *name, struct err *err)
{
	size_t n = 0;
	const char *near;

	for (; edge_roles[n]; n++)
		if (text_is(edge_roles[n], name))
			return 0;
	near = text_nearest(name, edge_roles, n);
	return err_set(err, ERR_INVALID, "there is no role '%s'%s%s%s", name, near ? ", did you mean '" : "", near ? near : "",
		near ? "'?" : "");
}

char *
edge_unit_name(const char *role, const char *kind)
{
	return mem_textf("rootedge-%s.%s", role, kind);
}

/* -- The supervisor --------------------------------------------------------------------------------------------------------------------- */

static int
connect_to(const char *path, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = TIMEOUT_S };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID, "%s: no path of a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(err, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno == ECONNREFUSED || errno == ENOENT)
		(void)err_set(err, ERR_MISSING, "`rootedge edge` does not run");
	else
		(void)err_errno(err, "%s", path);
	close(fd);
	return -1;
}

/* STATE/run/control says where; it is for the supervisor's user alone. */
static int
connect_to_supervisor(const char *state, struct err *err)
{
	OWN_TEXT where = mem_textf("%s/run/control", state);
	CLEAR(buf) path = BUF_INIT(4096);

	if (file_load(&path, where, err) < 0)
		return -1;
	while (path.len > 0 && path.data[path.len - 1] == '\n')
		path.data[--path.len] = '\0';
	return connect_to(buf_text(&path), err);
}

static json_t *
exchange(int fd, const json_t *request, struct err *err)
{
	CLEAR(buf) answer = BUF_INIT(ANSWER_MAX);
	OWN_TEXT text = json_line(request);
	OWN_TEXT line = mem_textf("%s\n", text);
	char piece[4096];
	ssize_t got;

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		return err_errno_null(err, "asking the supervisor");
	while ((got = recv(fd, piece, sizeof(piece), 0)) > 0)
		buf_put(&answer, piece, (size_t)got);
	if (got < 0)
		return err_errno_null(err, "the supervisor's answer");
	if (answer.len == 0)
		return err_null(err, ERR_DENIED, "the supervisor listens to root and its own user only");
	return json_parse(answer.data, answer.len, err);
}

json_t *
edge_box_ask(const struct edge_box *box, json_t *request_take, struct err *err)
{
	OWN_LIB(json_t) request = request_take;
	OWN_LIB(json_t) answer = NULL;
	const char *error;
	int fd = connect_to_supervisor(box->state, err);

	if (fd < 0)
		return NULL;
	answer = exchange(fd, request, err);
	close(fd);
	error = json_string_value(json_object_get(answer, "error"));
	return error ? err_null(err, ERR_CONFLICT, "%s", error) : GIVE(answer);
}

/* -- systemd ---------------------------------------------------------------------------------------------------------------------------- */

static const struct unit_show *
find(const struct unit_show *units, size_t n, const char *role, const char *kind)
{
	OWN_TEXT name = edge_unit_name(role, kind);

	for (size_t i = 0; i < n; i++)
		if (text_is(units[i].value[UNIT_ID], name))
			return &units[i];
	return NULL;
}

static void
put_number(json_t *json, const char *name, const char *text, int64_t divisor)
{
	int64_t value;

	if (text_to_i64(text, 0, INT64_MAX, &value))
		json_object_set_new(json, name, json_integer(value / divisor));
}

static json_t *
describe(const char *role, const struct unit_show *service, const struct unit_show *socket)
{
	char state[160];
	struct timespec now;
	int64_t entered, kib;
	bool is_pss;
	json_t *json = json_pack("{s:s, s:s}", "name", role, "state", unit_show_state(service, socket, state, sizeof(state)));

	json_object_set_new(json, "failed", json_boolean(text_starts(state, "Down")));
	json_object_set_new(json, "unit", json_string(service->value[UNIT_ID]));
	put_number(json, "restarts", service->value[UNIT_RESTARTS], 1);
	if (!text_is(state, "Running"))
		return json;
	clock_until(0, &now);
	if (text_to_i64(service->value[UNIT_ENTERED], 1, INT64_MAX, &entered))
		json_object_set_new(json, "for_s", json_integer((json_int_t)now.tv_sec - entered / 1000000));
	put_number(json, "pid", service->value[UNIT_PID], 1);
	kib = process_memory_kib((pid_t)json_integer_value(json_object_get(json, "pid")), &is_pss);
	json_object_set_new(json, is_pss ? "pss_kib" : "rss_kib", json_integer(kib));
	return json;
}

/* The daemons, and what tells them what config.toml says. */
static const char *const unit_names[] = { "config", "keyd", "certd", "identityd", "edged", "gateway" };

static int
show_units(struct buf *out, struct err *err)
{
	OWN_TEXT properties = unit_show_properties();
	OWN_TEXT option = mem_textf("--property=%s", properties);
	const char *args[32] = { "systemctl", "show", option };
	char *names[16];
	size_t n = 0;
	int status;

	for (size_t i = 0; i < COUNT(unit_names); i++) {
		names[n++] = edge_unit_name(unit_names[i], "service");
		names[n++] = edge_unit_name(unit_names[i], "socket");
	}
	for (size_t i = 0; i < n; i++)
		args[3 + i] = names[i];
	status = pipe_command(args, out, err);
	for (size_t i = 0; i < n; i++)
		mem_free(names[i]);
	return status <= 0 ? status : err_set(err, ERR_UNAVAILABLE, "systemctl show ended with status %d", status);
}

static json_t *
units_status(struct err *err)
{
	struct unit_show units[16];
	CLEAR(buf) text = BUF_INIT(ANSWER_MAX);
	json_t *roles;
	size_t n;

	if (show_units(&text, err) < 0)
		return NULL;
	n = unit_show_parse(units, COUNT(units), buf_text(&text));
	roles = json_array();
	for (size_t i = 0; i < COUNT(unit_names); i++) {
		const struct unit_show *service = find(units, n, unit_names[i], "service"),
				       *socket = find(units, n, unit_names[i], "socket");
		bool has_socket = socket && !text_is(socket->value[UNIT_LOAD], "not-found");

		if (service)
			json_array_append_new(roles, describe(unit_names[i], service, has_socket ? socket : NULL));
	}
	return json_pack("{s:s, s:o}", "keeper", "systemd", "roles", roles);
}

/* -- Which it is ------------------------------------------------------------------------------------------------------------------------ */

static bool
units_are_installed(void)
{
	const char *args[] = { "systemctl", "show", "--property=LoadState", "--value", "rootedge-edged.service", NULL };
	CLEAR(buf) text = BUF_INIT(ANSWER_MAX);
	struct err ignored = ERR_INIT;

	return file_exists("/run/systemd/system") && pipe_command(args, &text, &ignored) == 0 &&
	       text_starts(buf_text(&text), "loaded");
}

int
edge_box_find(struct edge_box *out, const char *state, struct err *err)
{
	struct err why = ERR_INIT;
	int fd = connect_to_supervisor(state, &why);

	*out = (struct edge_box){ .state = state };
	if (fd >= 0) {
		close(fd);
		return 0;
	}
	out->by_systemd = units_are_installed();
	if (out->by_systemd)
		return 0;
	if (why.kind != ERR_MISSING)
		return err_set(err, why.kind, "%s", why.text);
	return err_set(err, ERR_MISSING,
		"no edge device runs with the state folder %s; `rootedge edge` starts one, --state names another folder", state);
}

json_t *
edge_box_status(const struct edge_box *box, struct err *err)
{
	json_t *status;

	if (box->by_systemd)
		return units_status(err);
	status = edge_box_ask(box, json_pack("{s:s}", "verb", "status"), err);
	if (status)
		json_object_set_new(status, "keeper", json_string("rootedge edge"));
	return status;
}
