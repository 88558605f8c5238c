/* SPDX-License-Identifier: Apache-2.0 */
/* What answers about one device, and lists that come one after the other, make of a device that has moved from the gateway "line" to the gateway "side", both below this one, edge1. */
#include "gateway/scope/scope_inside.h"
#include "gateway/upstream/test_upstream.h"

static struct above above;
static struct scope scope;
static const struct confirmation now = { .wall = 1000, .boot_ms = 1000 };

static void
no_question(struct http_request *req)
{
	http_respond(req, 404, NULL, "", 0);
}

static struct identity *
identity(const char *id, const char *module_id, bool is_edge, const char *parent)
{
	struct identity *i = identity_new(id, module_id);

	i->enabled = true;
	i->is_edge = is_edge;
	if (!module_id)
		i->scope = mem_textf(IDENTITY_SCOPE_PREFIX "%s-1a", is_edge ? id : parent);
	if (is_edge && parent)
		i->parents[i->n_parents++] = mem_textf(IDENTITY_SCOPE_PREFIX "%s-1a", parent);
	return i;
}

static void
hear(const char *id, const char *module_id, bool is_edge, const char *parent, const char *list)
{
	OWN(identity) i = identity(id, module_id, is_edge, parent);
	OWN_TEXT name = identity_name(id, module_id);

	scope_take(&scope, name, i, list ? scope_list_need(scope.lists, list) : NULL, &now);
}

static void
begin(void)
{
	above_begin(&above, 1, no_question);
	scope = (struct scope){ .upstream = above.upstream, .records = map_new(), .lists = map_new() };
	pthread_mutex_init(&scope.lock, NULL);
	hear("edge1", NULL, true, NULL, "edge1");
	hear("line", NULL, true, "edge1", "edge1");
	hear("side", NULL, true, "edge1", "edge1");
	scope_list_need(scope.lists, "side");
	hear("dev", NULL, false, "line", "line");
	hear("dev", "m", false, NULL, "line");
}

static void
end(void)
{
	size_t at = 0;
	void *record;

	scope_tell(&scope);
	while (map_next(scope.records, &at, NULL, NULL, &record))
		scope_record_free(record);
	map_free(scope.records);
	scope_lists_free(scope.lists);
	pthread_mutex_destroy(&scope.lock);
	above_end(&above);
	above_clear(&above);
}

static void
list_without(const char *gateway, const char *name)
{
	struct scope_listed listed = { .what = SCOPE_DIFFERENCE, .records = map_new(), .removed = map_new() };

	map_put_text(listed.removed, name, &listed);
	scope_take_list(&scope, scope_list_need(scope.lists, gateway), &listed, &now);
	scope_listed_clear(&listed);
}

static bool
is_known(const char *name)
{
	return map_find_text(scope.records, name) != NULL;
}

TEST("a device that the hub says has moved stays known, and its modules, when its old gateway's list comes without it and no other "
     "list follows")
{
	begin();
	hear("dev", NULL, false, "side", NULL);
	scope_move(&scope, "dev");
	list_without("line", "dev");
	CHECK(is_known("dev") && is_known("dev/m"));
	list_without("side", "dev");
	CHECK(!is_known("dev") && !is_known("dev/m"));
	end();
}

TEST("one that is where it was is gone with its list, and so is one that has moved to a gateway that is not below this one")
{
	begin();
	hear("dev", NULL, false, "line", NULL);
	scope_move(&scope, "dev");
	list_without("line", "dev");
	CHECK(!is_known("dev") && !is_known("dev/m"));
	hear("dev", NULL, false, "line", "line");
	hear("dev", NULL, false, "elsewhere", NULL);
	scope_move(&scope, "dev");
	list_without("line", "dev");
	CHECK(!is_known("dev"));
	end();
}
