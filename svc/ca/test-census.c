/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/census.h"

#include "base/buf.h"
#include "base/mem.h"
#include "t.h"

static void
put(void *arg, const char *id)
{
	buf_putf(arg, "%s ", id);
}

static void
check_missing(struct census *c, const char *wanted)
{
	CLEAR(buf) said = BUF_INIT(1024);

	census_each_missing(c, put, &said);
	CHECK_STR(buf_text(&said), wanted);
}

TEST("who relies on a root and has not said that he holds it is missing, in the order of ids, however often and in which order he "
     "was counted")
{
	OWN(census) c = census_new();

	census_say(c, "pump-2");
	census_add(c, "pump-3");
	census_add(c, "pump-1");
	census_add(c, "pump-2");
	census_add(c, "pump-1");
	check_missing(c, "pump-1 pump-3 ");
	CHECK_INT(census_count(c).all, 3);
	CHECK_INT(census_count(c).hold, 1);
	census_say(c, "pump-1");
	census_say(c, "pump-1");
	check_missing(c, "pump-3 ");
}

TEST("who is excepted is not waited for and not counted; who holds a root and does not rely on it is none of ours")
{
	OWN(census) c = census_new();

	census_add(c, "pump-1");
	census_add(c, "old-1");
	census_add(c, "old-2");
	census_say(c, "stranger");
	census_except(c, "old-*");
	check_missing(c, "pump-1 ");
	CHECK_INT(census_count(c).all, 1);
	CHECK_INT(census_count(c).hold, 0);
	CHECK_INT(census_count(c).except, 2);
}

TEST("what an edge device was sent says nothing, what it says itself does; of others both count")
{
	OWN(census) c = census_new();

	census_add(c, "edge-1");
	census_add(c, "edge-2");
	census_add(c, "pump-1");
	census_add(c, "pump-2");
	census_send(c, "edge-1");
	census_send(c, "edge-2");
	census_send(c, "pump-1");
	census_say(c, "edge-2");
	census_believe_only_itself(c, "edge-1");
	census_believe_only_itself(c, "edge-2");
	check_missing(c, "edge-1 pump-2 ");
}

TEST("of nobody there is nobody missing")
{
	OWN(census) c = census_new();

	census_except(c, "*");
	check_missing(c, "");
	CHECK_INT(census_count(c).all, 0);
}
