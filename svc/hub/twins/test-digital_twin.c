/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/twins/digital_twin.h"

#include "base/mem.h"
#include "t.h"
#include "wire/json.h"

static void
check_patch(const char *patch, const char *expected)
{
	OWN_LIB(json_t) wanted = json_loads(expected, 0, NULL);
	OWN_LIB(json_t) operations = json_loads(patch, 0, NULL);
	struct err err = ERR_INIT;
	OWN_LIB(json_t) desired = digital_twin_patch(operations, &err);

	if (!json_equal(wanted, desired))
		printf("# %s: %s\n", patch, desired ? json_dumps(desired, 0) : err.text);
	CHECK(json_equal(wanted, desired));
}

TEST("operations become desired properties: of the model, of a component, of a whole component, and null for what is removed")
{
	check_patch("[{\"op\":\"add\",\"path\":\"/rate\",\"value\":5}]", "{\"rate\":5}");
	check_patch("[{\"op\":\"replace\",\"path\":\"/t1/target\",\"value\":20.5},{\"op\":\"remove\",\"path\":\"/t1/old\"}]",
		"{\"t1\":{\"__t\":\"c\",\"target\":20.5,\"old\":null}}");
	check_patch("[{\"op\":\"add\",\"path\":\"/t1\",\"value\":{\"target\":1,\"$metadata\":{}}}]",
		"{\"t1\":{\"__t\":\"c\",\"target\":1}}");
	check_patch("[{\"op\":\"add\",\"path\":\"/map\",\"value\":{\"a\":1}},{\"op\":\"remove\",\"path\":\"/t2\"}]",
		"{\"map\":{\"a\":1},\"t2\":null}");
	check_patch("[{\"op\":\"add\",\"path\":\"/a~1b~0c\",\"value\":1}]", "{\"a/b~c\":1}");
}

TEST("what can't be meant is refused with a sentence")
{
	static const char *const bad[] = { "[]", "{}", "[5]", "[{}]", "[{\"op\":\"add\",\"path\":\"/a\"}]",
		"[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", "[{\"op\":\"add\",\"path\":\"/\",\"value\":1}]",
		"[{\"op\":\"add\",\"path\":\"/a/b/c\",\"value\":1}]", "[{\"op\":\"add\",\"path\":\"/a/\",\"value\":1}]",
		"[{\"op\":\"move\",\"path\":\"/a\",\"from\":\"/b\"}]", "[{\"op\":5,\"path\":\"/a\"}]",
		"[{\"op\":\"remove\",\"path\":\"\"}]" };

	for (size_t i = 0; i < COUNT(bad); i++) {
		OWN_LIB(json_t) patch = json_loads(bad[i], 0, NULL);
		struct err err = ERR_INIT;

		CHECK(!digital_twin_patch(patch, &err));
		CHECK(err.text[0]);
	}
}

TEST("the view has a property once: as reported, with what is desired of it and how it was acknowledged beside it, components "
     "inside")
{
	struct twin_change change = {
		.desired = json_loads("{\"t1\":{\"__t\":\"c\",\"target\":20},\"rate\":5}", 0, NULL),
		.reported = json_loads("{\"t1\":{\"__t\":\"c\",\"target\":{\"value\":19,\"ac\":200,\"av\":2,\"ad\":\"ok\"},\"now\":"
				       "18.5},\"serial\":\"x\"}",
			0, NULL),
	};
	OWN(twin) twin = twin_new();
	struct err err = ERR_INIT;
	OWN_LIB(json_t) view = NULL;
	json_t *t1, *metadata;

	twin->model_id = mem_text("dtmi:com:example:T;1");
	CHECK_OK(twin_apply(twin, &change, 1000, &err), err);
	view = digital_twin_view(twin, "dev1");
	CHECK_STR(json_string_value(json_object_get(view, "$dtId")), "dev1");
	CHECK_STR(json_string_value(json_object_get(json_object_get(view, "$metadata"), "$model")), "dtmi:com:example:T;1");
	CHECK_STR(json_string_value(json_object_get(view, "serial")), "x");
	CHECK(!json_object_get(view, "rate"));
	CHECK_INT(json_integer_value(json_object_get(json_object_get(json_object_get(view, "$metadata"), "rate"), "desiredValue")),
		5);
	t1 = json_object_get(view, "t1");
	CHECK_INT(json_integer_value(json_object_get(t1, "target")), 19);
	CHECK(!json_object_get(t1, "__t"));
	metadata = json_object_get(json_object_get(t1, "$metadata"), "target");
	CHECK_INT(json_integer_value(json_object_get(metadata, "desiredValue")), 20);
	CHECK_INT(json_integer_value(json_object_get(metadata, "ackCode")), 200);
	CHECK_INT(json_integer_value(json_object_get(metadata, "ackVersion")), 2);
	CHECK(json_object_get(metadata, "lastUpdateTime"));
	json_decref(change.desired);
	json_decref(change.reported);
}
