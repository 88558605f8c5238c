/* SPDX-License-Identifier: Apache-2.0 */
/* Asked on the loop of the twins, and answered on that of the request. */
#include "gateway/local/local_twin.h"

#include <string.h>

#include "base/mem.h"
#include "wire/json.h"

struct looking {
	struct twin_ask ask;
	struct http_request *req;
	struct loop *loop;
	struct post back;
};

static void
fail(struct http_request *req, int status, const char *message)
{
	http_respond_json(req, status, NULL, json_pack("{s:s}", "message", message));
}

static void
on_back(struct post *post)
{
	static const char *const headers[] = { "Content-Type: application/json; charset=utf-8", NULL };
	struct looking *l = CONTAINER_OF(post, struct looking, back);

	http_respond(l->req, l->ask.status, headers, l->ask.body, strlen(l->ask.body));
	twin_ask_clear(&l->ask);
	mem_free(l);
}

static void
on_done(struct twin_ask *ask)
{
	struct looking *l = CONTAINER_OF(ask, struct looking, ask);

	l->back.run = on_back;
	loop_post(l->loop, &l->back);
}

static void
begin(const struct local_api *api, struct http_request *req, const char *const *ids, enum twin_question question,
	json_t *patch_take)
{
	struct conn *conn = http_conn(req);
	int64_t confirmed;
	OWN(identity) identity = scope_find(api->sources.scope, ids[0], ids[1], &confirmed);
	struct looking *l;

	if (!identity || !conn) {
		json_decref(patch_take);
		fail(req, 404, "it is not below this gateway");
		return;
	}
	l = NEW(looking);
	l->req = req;
	l->loop = conn_loop(conn);
	l->ask.device_id = mem_text(ids[0]);
	l->ask.module_id = mem_text(ids[1]);
	l->ask.generation_id = mem_text(identity->generation_id ? identity->generation_id : "");
	l->ask.question = question;
	l->ask.patch = patch_take;
	l->ask.done = on_done;
	twins_ask(api->twins, &l->ask);
}

void
local_twin_show(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	begin(api, req, ids, TWIN_INSPECT, NULL);
}

void
local_twin_set(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	struct err err = ERR_INIT;
	size_t len;
	const char *text = http_body(req, &len);
	json_t *patch = json_parse(text, len, &err);

	if (patch)
		begin(api, req, ids, TWIN_DESIRE, patch);
	else
		fail(req, 400, err.text);
}

void
local_twin_reset(const struct local_api *api, struct http_request *req, const char *const *ids)
{
	begin(api, req, ids, TWIN_YIELD, NULL);
}
