/* SPDX-License-Identifier: Apache-2.0 */
/* Which roots a gateway trusts: it says so with what it asks about its scope (x-rootedge-roots: SHA-256 fingerprints in hex, with commas between), and here that gets into the reported properties
 * of its $edgeHub, "trust": {"roots": [...]}, where a device that speaks MQTT says it by itself (docs/trust.md).  Written when it is another than what stands there: a twin has versions. */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rd.h"
#include "hub/rest/rest.h"
#include "wire/codec.h"
#include "wire/json.h"

#define ROOTS_MAX 16
#define HEX_LEN (2 * DIGEST_SHA256_LEN)

struct noting {
	struct twin_call twin;
	struct twins *twins;
	struct owner *owner;
	json_t *roots;
	bool writing;
};

static void
noting_free(struct noting *n)
{
	twin_call_clear(&n->twin);
	json_decref(n->roots);
	mem_free(n);
}

/* All of them or nothing. */
static json_t *
parse(const char *header)
{
	OWN_LIB(json_t) roots = json_array();
	struct slice rest = slice_of(header), one;
	bool more = true;

	while (more) {
		uint8_t digest[DIGEST_SHA256_LEN];
		CLEAR(buf) hex = BUF_INIT(HEX_LEN + 1);

		more = slice_cut(&rest, ',', &one);
		if (!hex_decode(digest, sizeof(digest), one.text, one.len) || json_array_size(roots) == ROOTS_MAX)
			return NULL;
		hex_encode(&hex, digest, sizeof(digest), true);
		json_array_append_new(roots, json_string(buf_text(&hex)));
	}
	return GIVE(roots);
}

static void
submit(struct noting *n)
{
	if (!twins_submit(n->twins, &n->twin, n->owner))
		noting_free(n); /* it asks again in a while */
}

static bool
stands_there(const struct noting *n)
{
	const json_t *trust = json_object_get(n->twin.twin->reported.values, "trust");

	return json_equal(json_object_get(trust, "roots"), n->roots);
}

static void
write_down(struct noting *n)
{
	char *device_id = GIVE(n->twin.device_id), *module_id = GIVE(n->twin.module_id);
	void (*done)(struct twin_call *) = n->twin.done;

	twin_call_clear(&n->twin);
	n->twin = (struct twin_call){ .device_id = device_id, .module_id = module_id, .done = done };
	n->twin.reported = json_pack("{s:{s:O}}", "trust", "roots", n->roots);
	n->writing = true;
	submit(n);
}

static void
on_done(struct twin_call *twin)
{
	struct noting *n = CONTAINER_OF(twin, struct noting, twin);

	if (twin->answer != TWIN_OK)
		log_warn("which roots the gateway %s trusts was not written down: %s", twin->device_id, twin->err.text);
	if (twin->answer == TWIN_OK && !n->writing && !stands_there(n))
		write_down(n);
	else
		noting_free(n);
}

void
rest_note_roots(struct rest *rest, struct http_request *req, const char *const *ids)
{
	const char *header = http_header(req, "x-rootedge-roots");
	struct conn *conn = http_conn(req);
	json_t *roots = header && conn ? parse(header) : NULL;
	struct noting *n;

	if (!roots)
		return;
	n = NEW(noting);
	n->twins = rest->twins;
	n->owner = loop_owner(conn_loop(conn));
	n->roots = roots;
	n->twin = (struct twin_call){ .device_id = mem_text(ids[0]), .module_id = mem_text(ids[1]), .done = on_done };
	submit(n);
}
