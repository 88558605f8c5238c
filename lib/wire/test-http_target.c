/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "t.h"
#include "wire/http_target.h"

#define PATTERN "devices/*/modules/*"

static struct http_target
target_of(const char *text)
{
	struct http_target target;

	http_target_read(&target, mem_text(text));
	return target;
}

static bool
fits(const char *text, const char *pattern)
{
	CLEAR(http_target) target = target_of(text);
	const char *ids[4];

	return http_target_fits(&target, pattern, ids, COUNT(ids));
}

TEST("path and query are taken apart, and decoded piece by piece")
{
	CLEAR(http_target) target =
		target_of("/devices/a%2Fb/%24twin?api-version=2021-04-12&q=a%26b%3Dc&bare&=x&twice=1&twice=2&bad=%zz");

	CHECK_STR(target.path, "/devices/a%2Fb/%24twin");
	CHECK_INT(target.n_segments, 3);
	CHECK_STR(target.segments[1], "a/b");
	CHECK_STR(target.segments[2], "$twin");
	CHECK_STR(map_find_text(target.values, "api-version"), "2021-04-12");
	CHECK_STR(map_find_text(target.values, "q"), "a&b=c");
	CHECK_STR(map_find_text(target.values, "bare"), "");
	CHECK_STR(map_find_text(target.values, "twice"), "2");
	CHECK(!map_find_text(target.values, "bad"));
}

TEST("what can't be decoded, or has a NUL in it, is no segment, and fits nothing")
{
	CLEAR(http_target) target = target_of("/devices/a%00b/%4/x");
	const char *ids[4];

	CHECK(!target.segments[1] && !target.segments[2]);
	CHECK_STR(target.segments[3], "x");
	CHECK(!http_target_fits(&target, "*/*/*/*", ids, COUNT(ids)));
	CHECK(!ids[1]);
}

TEST("a route's words are compared without case, and its ids are told in their order, with nothing after them")
{
	CLEAR(http_target) target = target_of("/Devices/d%201/MODULES/$edgeHub/?x=/y/z");
	const char *ids[4] = { "a", "b", "c", "d" };

	CHECK(http_target_fits(&target, PATTERN, ids, COUNT(ids)));
	CHECK_STR(ids[0], "d 1");
	CHECK_STR(ids[1], "$edgeHub");
	CHECK(!ids[2] && !ids[3]);
	CHECK(!http_target_fits(&target, PATTERN, ids, 1));
}

TEST("a path that is shorter, longer, or has something empty in it is another one")
{
	static const char *const others[] = { "", "/", "/devices", "/devices/d/modules", "/devices/d/modules/",
		"/devices/d/modules/m/x", "/devices//modules/m/x", "//devices/d/modules/m", "/x/devices/d/modules/m",
		"/device/d/modules/m", "/devices/d/module/m", "/devices/d/modules/m//x", "/devices%2Fd/modules/m", "*",
		"/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r" };

	CHECK(fits("/devices/d/modules/m", PATTERN));
	CHECK(fits("/devices/d/modules/m/", PATTERN));
	CHECK(fits("/devices/../modules/%2e%2e", PATTERN)); /* ids like others: nothing is resolved */
	for (size_t i = 0; i < COUNT(others); i++)
		if (fits(others[i], PATTERN))
			fail_msg("'%s' fits", others[i]);
}
