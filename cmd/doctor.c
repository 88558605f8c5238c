/* SPDX-License-Identifier: Apache-2.0 */
/* rootedge doctor: why a server is trusted, or not.  It looks (net/probe), judges as every client of ours does (pki/chain), and tells the verdict, the cause first.
 * Its own certificate is shown only to a server that was found good, on a second connection. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/text.h"
#include "cmd.h"
#include "keys/key.h"
#include "net/probe.h"
#include "page.h"
#include "pki/chain.h"
#include "server_look.h"
#include "wire/uri.h"

#define MQTT_PORT 8883
#define CHAIN_MAX 16

enum outcome { ALL_WELL = 0, UNTRUSTED = 1, CALLED_WRONGLY = 2, UNREACHABLE = 3, NOT_LET_IN = 4 };

struct options {
	const char *ca, *cert, *key, *name, *connect_to;
	int64_t timeout_s;
	bool json;
};

#define TEXT_ROW(name, value, help, member)                                                                                        \
	{                                                                                                                          \
		name, 0, value, help, OPTION_TEXT, offsetof(struct options, member), 0, 0                                          \
	}

static const struct option_row rows[] = {
	TEXT_ROW("ca", "FILE", "the root certificates to trust, PEM", ca),
	TEXT_ROW("cert", "FILE", "a device's certificate, PEM, with the intermediates that its issuer needs", cert),
	TEXT_ROW("key", "FILE", "the certificate's private key, PEM", key),
	TEXT_ROW("name", "NAME", "the name that the server must prove (HOST)", name),
	TEXT_ROW("connect-to", "ADDRESS", "where TCP goes, when the name does not resolve to it", connect_to),
	{ "timeout", 0, "S", "how long to wait for the server (10)", OPTION_INT, offsetof(struct options, timeout_s), 1, 3600 },
	{ "json", 0, NULL, "the verdict in JSON", OPTION_FLAG, offsetof(struct options, json), 0, 0 },
	{ 0 },
};

static const struct option_usage usage = {
	.command = "rootedge doctor",
	.arguments = "HOST[:PORT]",
	.summary = "Why is this server trusted, or why not?  Decided as the devices decide; PORT is 8883 unless given.",
	.more = "The first line is the answer: the cause with its reason code (rootedge explain CODE), or that all is well.\n"
		"Exit status: 0 all is well, 1 the server is not to be trusted, 2 called wrongly, 3 no TLS connection (name, "
		"address, port, TLS\n"
		"version), 4 the certificate of --cert is bad, or the server does not take it.",
	.rows = rows,
};

struct visit {
	struct options o;
	char *host;
	const char *name;
	int port;
	struct certs roots, chain;
	struct anchors *anchors;
	struct key *key;
	struct verdict *verdict;
	enum outcome outcome;
	bool is_shown; /* the server saw our certificate and took it */
};

static void
visit_clear(struct visit *visit)
{
	mem_free(visit->host);
	certs_clear(&visit->roots);
	certs_clear(&visit->chain);
	anchors_free(visit->anchors);
	key_free(visit->key);
	verdict_free(visit->verdict);
}

/* The first part that goes wrong is what the exit status tells. */
static void
conclude(struct visit *visit, enum outcome outcome)
{
	if (visit->outcome == ALL_WELL && !verdict_accepted(visit->verdict))
		visit->outcome = outcome;
}

/* -- The server ---------------------------------------------------------------------------------------------------------------------- */

static void
judge_way(struct visit *visit, const struct probe *probe)
{
	server_look_way(visit->verdict, probe);
	conclude(visit, UNREACHABLE);
}

static void
judge_server(struct visit *visit, const struct probe *probe)
{
	struct server_look look = {
		.name = visit->name, .roots = &visit->roots, .anchors = visit->anchors, .roots_name = visit->o.ca
	};

	server_look_judge(visit->verdict, &look, probe);
	conclude(visit, UNTRUSTED);
}

/* -- Our own certificate ----------------------------------------------------------------------------------------------------------------- */

static void
judge_own_key(struct visit *visit, const struct cert *own)
{
	OWN_TEXT kind = cert_key_text(own);
	OWN_TEXT wanted = mem_textf("the %s key that the certificate was issued for", kind);
	OWN_TEXT found = mem_textf("another %s key", key_describe(visit->key));

	if (!cert_matches_key(own, visit->key))
		verdict_fail(visit->verdict, KEY_MISMATCH, "key", cert_subject(own), wanted, found);
	else if (!key_is_acceptable(key_pkey(visit->key)))
		verdict_fail(visit->verdict, CERT_WEAK_KEY, "key", cert_subject(own), "", kind);
	else
		verdict_pass(visit->verdict, "key", cert_subject(own), "", kind);
}

static void
judge_own(struct visit *visit, const struct cert *own)
{
	OWN_TEXT uses = cert_uses(own);

	judge_own_key(visit, own);
	validity_check(visit->verdict, own, clock_wall());
	if (cert_may_client(own))
		verdict_pass(visit->verdict, "purpose", cert_subject(own), "", "may be used by a client");
	else
		verdict_fail(
			visit->verdict, CERT_NO_CLIENT_AUTH, "purpose", cert_subject(own), "extendedKeyUsage clientAuth", uses);
	conclude(visit, NOT_LET_IN);
}

static void
judge_answer(struct visit *visit, const struct cert *own, const struct probe *probe)
{
	const char *obstacle = server_look_obstacle(probe->reason);
	struct verdict *v = visit->verdict;

	if (obstacle)
		verdict_fail(v, probe->reason, "second connection", "", obstacle, probe->why);
	else if (probe->reason != OK)
		verdict_fail(v, probe->reason, "client certificate", cert_subject(own), "accepted", probe->why);
	else if (!probe->asks_client_cert)
		verdict_note(v, CLIENT_CERT_NOT_ASKED, "client certificate", "", "asked for", "not asked for");
	else
		verdict_pass(
			v, "client certificate", cert_subject(own), "", "accepted in the handshake (a hub decides at CONNECT)");
	visit->is_shown = probe->reason == OK && probe->asks_client_cert;
	conclude(visit, obstacle ? UNREACHABLE : NOT_LET_IN);
}

static void
judge_none(struct visit *visit, const struct probe *probe)
{
	if (probe->reason == CLIENT_CERT_WANTED)
		verdict_fail(visit->verdict, CLIENT_CERT_WANTED, "client certificate", "", "a client certificate", probe->why);
	else if (probe->asks_client_cert)
		verdict_note(visit->verdict, CLIENT_CERT_WANTED, "client certificate", "", "", "asked for, none given");
	conclude(visit, NOT_LET_IN);
}

/* -- The visit ---------------------------------------------------------------------------------------------------------------------------- */

static void
examine(struct visit *visit)
{
	struct probe_target target = { .host = visit->name,
		.connect_to = visit->o.connect_to ? visit->o.connect_to : visit->host,
		.port = visit->port,
		.timeout_ms = visit->o.timeout_s * 1000 };
	const struct cert *own = visit->chain.n > 0 ? visit->chain.item[0] : NULL;
	CLEAR(probe) probe = { .reason = OK };
	CLEAR(probe) second = { .reason = OK };

	probe_run(&probe, &target);
	judge_way(visit, &probe);
	judge_server(visit, &probe);
	if (!own) {
		judge_none(visit, &probe);
		return;
	}
	judge_own(visit, own);
	if (visit->outcome != ALL_WELL)
		return;
	target.chain = &visit->chain;
	target.key = visit->key;
	target.only_to = probe.sent.item[0];
	probe_run(&second, &target);
	judge_answer(visit, own, &second);
}

static void
tell(const struct visit *visit)
{
	CLEAR(buf) page = BUF_INIT(PAGE_MAX);
	OWN_TEXT json = visit->o.json ? verdict_json(visit->verdict) : NULL;
	OWN_TEXT well = visit->is_shown ? mem_textf("All is well: this is %s, and %s passes its handshake.", visit->name,
						  cert_subject(visit->chain.item[0]))
					: mem_textf("All is well: this is %s.", visit->name);

	if (json) {
		puts(json);
		return;
	}
	verdict_print_finding(visit->verdict, well, &page, page_has_colour());
	page_print(&page);
}

static int
set_up(struct visit *visit, int n, char **argv, struct err *err)
{
	const struct options *o = &visit->o;

	if (n != 1)
		return err_set(err, ERR_INVALID, "one HOST[:PORT] is needed; --help tells more");
	if (!o->ca)
		return err_set(err, ERR_INVALID, "--ca FILE is needed, the root certificates to trust");
	if (!o->cert != !o->key)
		return err_set(err, ERR_INVALID, "--cert and --key belong together");
	if (uri_parse_host(argv[0], &visit->host, &visit->port, err) < 0)
		return -1;
	visit->name = o->name ? o->name : visit->host;
	if (certs_load(&visit->roots, o->ca, CERTS_MAX, err) < 0 ||
		(o->cert && certs_load(&visit->chain, o->cert, CHAIN_MAX, err) < 0))
		return -1;
	visit->key = o->key ? key_load(o->key, err) : NULL;
	if (o->key && !visit->key)
		return -1;
	visit->anchors = anchors_new(&visit->roots, err);
	return visit->anchors ? 0 : -1;
}

int
cmd_doctor(int argc, char **argv)
{
	CLEAR(visit) visit = { .port = MQTT_PORT, .o = { .timeout_s = 10 } };
	struct err err = ERR_INIT;
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	OWN_TEXT question = NULL;
	int n = option_parse(&usage, &visit.o, argc, argv, &err);

	if (n < 0 || set_up(&visit, n, argv, &err) < 0)
		return page_failure(usage.command, &err, CALLED_WRONGLY);
	question = mem_textf("Am I really talking to %s?", visit.name);
	sigaction(SIGPIPE, &ignore, NULL); /* libssl writes to servers that are gone */
	visit.verdict = verdict_new("doctor", question, visit.name);
	examine(&visit);
	tell(&visit);
	return (int)visit.outcome;
}
