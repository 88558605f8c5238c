/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of a role. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "edge/preload.h"
#include "edge/role_args.h"

void
role_facts_clear(struct role_facts *f)
{
	mem_free(f->generation);
	mem_free(f->hub_name);
	mem_free(f->device_id);
	*f = (struct role_facts){ 0 };
}

bool
role_facts_are_same(const struct role_facts *a, const struct role_facts *b)
{
	return text_is(a->generation, b->generation) && text_is(a->hub_name, b->hub_name) && text_is(a->device_id, b->device_id);
}

char *
role_args_program(enum layout_role role)
{
	OWN_TEXT dir = file_own_dir();
	OWN_TEXT built = mem_textf("%s/../%s/rootedge-%s", dir, layout_role_name(role), layout_role_name(role));

	if (access(built, X_OK) == 0)
		return GIVE(built);
	return mem_textf("%s/rootedge-%s", dir, layout_role_name(role));
}

static void
push(struct role_args *args, const char *name, const char *value)
{
	if (!value || args->n + 2 > ROLE_ARGS_MAX)
		return;
	args->item[args->n++] = mem_text(name);
	args->item[args->n++] = mem_text(value);
}

static void
push_flag(struct role_args *args, const char *name)
{
	if (args->n + 1 <= ROLE_ARGS_MAX)
		args->item[args->n++] = mem_text(name);
}

void
role_args_push_int(struct role_args *args, const char *name, int64_t value)
{
	OWN_TEXT text = mem_textf("%lld", (long long)value);

	push(args, name, text);
}

static void
push_server_certs(struct role_args *args, const struct config *c, const struct layout *l)
{
	for (size_t i = 0; i < c->n_server_certs; i++) {
		OWN_TEXT path = preload_server_cert_path(l, &c->server_certs[i]);
		OWN_TEXT pair = mem_textf("%s=%s", c->server_certs[i].key_id, path);

		push(args, "--server-cert", pair);
	}
}

static void
push_gateway(struct role_args *args, const struct config *c, const struct layout *l, const struct role_facts *facts)
{
	push(args, "--state", l->dirs[ROLE_GATEWAY]);
	push(args, "--hostname", c->hostname);
	push(args, "--names", l->gateway_names);
	push_server_certs(args, c, l);
	for (size_t i = 0; i < c->n_offline; i++)
		push(args, "--offline", c->offline[i]);
	if (c->leave_expired)
		push_flag(args, "--leave-expired");
	role_args_push_int(args, "--max-session-age", c->max_session_age_s);
	push(args, "--address", c->gateway_address);
	push(args, "--crl-dir", c->gateway_crl_dir);
	if (c->gateway_metrics_port > 0) {
		push(args, "--metrics-address", c->gateway_metrics_address);
		role_args_push_int(args, "--metrics-port", c->gateway_metrics_port);
	}
	push(args, "--routes", c->gateway_routes);
	push(args, "--when-full", c->when_full);
	push(args, "--keyd", l->keyd[ROLE_GATEWAY]);
	push(args, "--workload", l->gateway_workload);
	push(args, "--device-id", facts->device_id ? facts->device_id : c->device_id);
	push(args, "--hub", facts->hub_name ? facts->hub_name : c->hub_name);
	push(args, "--parent", c->parent_hostname);
	push(args, "--hub-address", c->upstream_address);
	role_args_push_int(args, "--hub-mqtt-port", c->upstream_mqtt_port);
	role_args_push_int(args, "--hub-https-port", c->upstream_https_port);
	push(args, "--trust", l->gateway_bundle);
	push(args, "--root-line", c->trust_source ? l->root_line : NULL);
	role_args_push_int(args, "--max-queue-mib", c->max_queue_mib);
	role_args_push_int(args, "--audit-mib", c->audit_mib);
	role_args_push_int(args, "--max-clients", c->max_clients);
	role_args_push_int(args, "--accepts-per-second", c->accepts_per_second);
	role_args_push_int(args, "--connects-per-second", c->connects_per_second);
}

void
role_args_fill(struct role_args *args, const struct config *c, const struct layout *l, enum layout_role role,
	const struct role_facts *facts, const struct role_ports *found)
{
	*args = (struct role_args){ .item = { role_args_program(role) }, .n = 1 };
	if (role != ROLE_GATEWAY) {
		push(args, "--config", l->configs[role]);
		return;
	}
	push_gateway(args, c, l, facts);
	push(args, "--generation-id", facts->generation);
	push(args, "--management", facts->generation ? NULL : l->management);
	role_args_push_int(args, "--mqtt-port", found->mqtt ? found->mqtt : c->gateway_mqtt_port);
	if (c->https_port_is_given)
		role_args_push_int(args, "--https-port", found->https ? found->https : c->gateway_https_port);
}

char *
role_args_line(const struct role_args *args, struct err *err)
{
	CLEAR(buf) line = BUF_INIT(65536);

	for (size_t i = 1; i < args->n; i++) {
		if (strpbrk(args->item[i], " \t\r\n\"'\\$"))
			return err_null(err, ERR_INVALID,
				"'%s' can't be given to a unit: white space, quotes and $ have a meaning there", args->item[i]);
		buf_putf(&line, "%s%s", i > 1 ? " " : "", args->item[i]);
	}
	return buf_take_text(&line);
}

void
role_args_clear(struct role_args *args)
{
	for (size_t i = 0; i < args->n; i++)
		mem_free(args->item[i]);
	args->n = 0;
}
