/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"
#include "identityd/reconcile_plan.h"
#include "t.h"
#include "wire/json.h"

static const char *const deeds[] = { "keep", "create", "recreate", "delete" };

/* "create a, delete b" */
static char *
plan(const char *hub_text, const char *before_text, const char *const *configured, size_t n)
{
	struct err err = ERR_INIT;
	OWN_LIB(json_t) hub = json_parse(hub_text, strlen(hub_text), &err);
	OWN_LIB(json_t) before = json_parse(before_text, strlen(before_text), &err);
	struct reconcile_step steps[RECONCILE_MAX];
	struct buf out = BUF_INIT(4096);
	size_t n_steps;

	CHECK(hub && before);
	n_steps = reconcile_plan(steps, hub, before, configured, n);
	for (size_t i = 0; i < n_steps; i++)
		buf_putf(&out, "%s%s %s", i ? ", " : "", deeds[steps[i].deed], steps[i].module_id);
	return buf_take_text(&out);
}

#define HUB "[{\"moduleId\":\"$edgeAgent\"},{\"moduleId\":\"a\"},{\"moduleId\":\"b\"},{\"moduleId\":\"deployed\"}]"

TEST("what is configured is made, kept when it was ours, made anew when somebody else has made it; what was ours and is not "
     "configured goes")
{
	static const char *const configured[] = { "a", "b", "c" };
	OWN_TEXT first = plan("[]", "[]", configured, 3);
	OWN_TEXT again = plan(HUB, "[\"a\",\"b\"]", configured, 3);
	OWN_TEXT foreign = plan(HUB, "[\"a\"]", configured, 2);
	OWN_TEXT fewer = plan(HUB, "[\"a\",\"b\",\"gone\"]", configured, 1);
	OWN_TEXT none = plan(HUB, "[]", configured, 0);

	CHECK_STR(first, "create a, create b, create c");
	CHECK_STR(again, "keep a, keep b, create c");
	CHECK_STR(foreign, "keep a, recreate b");
	CHECK_STR(fewer, "keep a, delete b");
	CHECK_STR(none, "");
}

TEST("modules that are not of host processes are nobody's business here")
{
	static const char *const configured[] = { "a" };
	OWN_TEXT steps = plan(HUB, "[\"a\"]", configured, 1);

	CHECK_STR(steps, "keep a");
}

TEST("a state file that holds nonsense deletes nothing")
{
	OWN_TEXT steps = plan(HUB, "[7,null,{},\"\",\"../a\"]", NULL, 0);

	CHECK_STR(steps, "");
}
