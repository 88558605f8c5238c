/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at a server. */
#include "server_look.h"

#include "base/clock.h"
#include "base/mem.h"

#define ROOTS_SHOWN 3

/* -- The way there ---------------------------------------------------------------------------------------------------------------------- */

struct obstacle {
	enum reason reason;
	const char *what, *wanted;
};

static const struct obstacle obstacles[] = {
	{ NAME_NOT_RESOLVED, "address", "an address for the name" },
	{ CONNECT_FAILED, "connection", "a server that listens there" },
	{ TLS_PLAIN_TEXT, "TLS", "TLS 1.2 or 1.3" },
	{ TLS_FAILED, "TLS", "TLS 1.2 or 1.3, with the key exchange and ciphers of today" },
	{ TLS_OLD_VERSION, "TLS", "TLS 1.2 or 1.3" },
	{ TLS_NO_CERTIFICATE, "TLS", "the server's certificate" },
};

static const struct obstacle *
find_obstacle(enum reason reason)
{
	for (size_t i = 0; i < COUNT(obstacles); i++)
		if (obstacles[i].reason == reason)
			return &obstacles[i];
	return NULL;
}

const char *
server_look_obstacle(enum reason reason)
{
	const struct obstacle *obstacle = find_obstacle(reason);

	return obstacle ? obstacle->wanted : NULL;
}

void
server_look_way(struct verdict *v, const struct probe *probe)
{
	const struct obstacle *obstacle = find_obstacle(probe->reason);
	OWN_TEXT agreed = probe->version ? mem_textf("%s, %s", probe->version, probe->cipher) : NULL;

	if (probe->address)
		verdict_pass(v, "connection", "", "", probe->address);
	if (obstacle)
		verdict_fail(v, obstacle->reason, obstacle->what, "", obstacle->wanted, probe->why);
	else if (agreed)
		verdict_pass(v, "TLS", "", "", agreed);
}

/* -- The server ------------------------------------------------------------------------------------------------------------------------ */

/* What is trusted is worth seeing where trust is missing: it may be the wrong file. */
static void
tell_roots(struct verdict *v, const struct server_look *look)
{
	CLEAR(buf) list = BUF_INIT(65536);
	enum reason cause = verdict_cause(v);

	if (cause != TRUST_UNKNOWN_ISSUER && cause != TRUST_SELF_SIGNED)
		return;
	for (size_t i = 0; i < look->roots->n && i < ROOTS_SHOWN; i++)
		buf_putf(&list, "%s%s", i > 0 ? "; " : "", cert_subject(look->roots->item[i]));
	if (look->roots->n > ROOTS_SHOWN)
		buf_putf(&list, "; and %zu more", look->roots->n - ROOTS_SHOWN);
	verdict_pass(v, look->roots_name, "", "", buf_text(&list));
}

void
server_look_judge(struct verdict *v, const struct server_look *look, const struct probe *probe)
{
	if (probe->sent.n == 0)
		return;
	chain_verify(v, look->anchors,
		&(struct chain_query){ .leaf = probe->sent.item[0],
			.untrusted = &probe->sent,
			.purpose = CHAIN_SERVER,
			.host = look->name,
			.now = clock_wall(),
			.anchors_name = look->roots_name });
	tell_roots(v, look);
}

void
server_look(struct verdict *v, const struct server_look *look, struct probe *probe)
{
	struct probe_target target = { .host = look->name,
		.connect_to = look->connect_to,
		.port = look->port,
		.timeout_ms = look->timeout_ms,
		.asks_mqtt = look->is_mqtt };

	probe_run(probe, &target);
	server_look_way(v, probe);
	server_look_judge(v, look, probe);
	if (probe->no_mqtt)
		verdict_fail(v, NOT_MQTT, "MQTT", "", "a CONNACK to a CONNECT without a name", probe->no_mqtt);
}
