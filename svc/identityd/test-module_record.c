/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "identityd/module_record.h"
#include "t.h"
#include "wire/json.h"

static int
check(const char *text, const char *module_id, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text, strlen(text), err);

	CHECK(json != NULL);
	return module_record_check(json, "dev", module_id, err);
}

TEST("a module of this device with a generation is one, the hub's own too")
{
	struct err err = ERR_INIT;

	CHECK_OK(check("{\"deviceId\":\"dev\",\"moduleId\":\"m\",\"generationId\":\"637\"}", "m", &err), err);
	CHECK_OK(check("{\"deviceId\":\"dev\",\"moduleId\":\"$edgeHub\",\"generationId\":\"1\",\"authentication\":null}", NULL,
			 &err),
		err);
}

TEST("a hub that answers about another device or module, or without a generation, is not believed")
{
	static const char *const texts[] = { "{}", "[]", "{\"deviceId\":\"dev\",\"moduleId\":\"m\"}",
		"{\"deviceId\":\"dev2\",\"moduleId\":\"m\",\"generationId\":\"1\"}",
		"{\"deviceId\":\"dev\",\"moduleId\":\"n\",\"generationId\":\"1\"}",
		"{\"deviceId\":\"dev\",\"moduleId\":\"m\",\"generationId\":\"\"}",
		"{\"deviceId\":\"dev\",\"moduleId\":\"m\",\"generationId\":7}",
		"{\"deviceId\":\"dev\",\"moduleId\":\"m\",\"generationId\":\"a\\nb\"}",
		"{\"deviceId\":\"DEV\",\"moduleId\":\"m\",\"generationId\":\"1\"}" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct err err = ERR_INIT;

		CHECK(check(texts[i], "m", &err) < 0);
		CHECK_INT(err.kind, ERR_INVALID);
	}
}

TEST("of a list any module will do, but one whose name could be a path")
{
	struct err err = ERR_INIT;

	CHECK_OK(check("{\"deviceId\":\"dev\",\"moduleId\":\"any\",\"generationId\":\"1\"}", NULL, &err), err);
	CHECK(check("{\"deviceId\":\"dev\",\"moduleId\":\"../x\",\"generationId\":\"1\"}", NULL, &err) < 0);
}
