/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the way up share: a hub, and the workload API that signs for the gateway, as servers on the test's loop, and the gateway's side of them. */

#include "base/file.h"
#include "base/pool.h"
#include "base/text.h"
#include "gateway/upstream/upstream.h"
#include "net/http_server.h"
#include "net/test_fixture.h"

#define SIGNATURE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct above {
	struct loop *loop;
	struct pool *workers;
	struct http_server *http;
	struct tls_holder *holder;
	struct listener *hub, *edged;
	struct upstream *upstream;
	char *trust, *socket;
	void (*ask_hub)(struct http_request *req);
	bool signs, is_slow_to_sign;
	struct http_request *unsigned_yet; /* the one that it is slow with */
};

/* -- The servers ---------------------------------------------------------------------------------------------------------------------------- */

static inline void
above_sign(struct above *a)
{
	http_respond_json(GIVE(a->unsigned_yet), 200, NULL, json_pack("{s:s}", "digest", SIGNATURE));
}

static inline void
above_handle(struct http_request *req, void *arg)
{
	struct above *a = arg;

	if (text_starts(http_path(req), "/devices/")) {
		a->ask_hub(req);
		return;
	}
	if (!a->signs) {
		http_respond_json(req, 503, NULL, json_pack("{s:s}", "message", "the key is away"));
		return;
	}
	a->unsigned_yet = req;
	if (!a->is_slow_to_sign)
		above_sign(a);
}

static inline struct listener *
above_serve(struct above *a, struct listener_config config)
{
	struct err err = ERR_INIT;
	struct listener *listener;

	config.ops = http_server_ops();
	config.on_accept = http_server_on_accept;
	config.user = a->http;
	listener = listener_open(&a->loop, 1, &config, &err);
	if (!listener)
		fail_msg("%s", err.text);
	return listener;
}

static inline struct listener *
above_serve_hub(struct above *a)
{
	return above_serve(a, (struct listener_config){ .address = "127.0.0.1", .tls = a->holder });
}

/* -- The gateway's side ---------------------------------------------------------------------------------------------------------------------- */

static inline struct upstream *
above_open_upstream(struct above *a)
{
	static char module[] = "$edgeHub", generation[] = "1";
	struct upstream_config config = {
		.workload = { .socket_path = a->socket, .module_id = module, .generation_id = generation },
		.hub_host = "localhost",
		.hub_address = "127.0.0.1",
		.edge_id = "edge1",
		.https_port = listener_port(a->hub),
		.trust_path = a->trust,
	};
	struct err err = ERR_INIT;
	struct upstream *upstream = upstream_open(&config, &err);

	if (!upstream)
		fail_msg("%s", err.text);
	return upstream;
}

/* One worker, for whom so many may wait. */
static inline void
above_begin(struct above *a, size_t max_queued, void (*ask_hub)(struct http_request *req))
{
	static int n_begun;
	OWN_TEXT pem = cert_pem(pki()->root);
	struct err err = ERR_INIT;

	*a = (struct above){
		.loop = loop_new("test"), .workers = pool_new("test", 1, max_queued), .ask_hub = ask_hub, .signs = true
	};
	a->trust = mem_textf("%s/roots.pem", T_TMPDIR);
	a->socket = mem_textf("%s/workload%d.sock", T_TMPDIR, n_begun++); /* one that failed still serves */
	CHECK_OK(file_save(a->trust, pem, strlen(pem), 0600, &err), err);
	a->http = http_server_new(&(struct http_server_config){ .handle = above_handle, .arg = a });
	a->holder = server_tls("test", NULL);
	a->hub = above_serve_hub(a);
	a->edged = above_serve(a, (struct listener_config){ .unix_path = a->socket, .unix_mode = 0600 });
	a->upstream = above_open_upstream(a);
}

/* Nothing comes any more; whoever lives on the loop is freed between this and above_clear. */
static inline void
above_end(struct above *a)
{
	pool_free(a->workers);
	listener_close(a->hub);
	listener_close(a->edged);
	loop_finish(a->loop);
}

static inline void
above_clear(struct above *a)
{
	upstream_close(a->upstream);
	loop_free(a->loop);
	tls_holder_free(a->holder);
	http_server_free(a->http);
	mem_free(a->trust);
	mem_free(a->socket);
}
