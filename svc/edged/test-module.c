/* SPDX-License-Identifier: Apache-2.0 */
/* What a module is configured to be. */
#include <string.h>

#include "base/mem.h"
#include "edged/module.h"
#include "t.h"
#include "wire/json.h"

static int
take(struct module *m, const char *text, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text, strlen(text), err);

	return json ? module_take(m, json, err) : -1;
}

TEST("a module has an id, a socket, names and a rule about its process; P-256 where no key is named")
{
	struct err err = ERR_INIT;
	struct module m;

	CHECK_OK(take(&m, "{\"id\":\"$edgeHub\",\"socket\":\"/s\",\"uid\":7,\"names\":[\"gw.local\",\"10.0.0.1\"]}", &err), err);
	CHECK(m.caller.has_uid && m.caller.uid == 7 && !m.caller.has_gid && !m.caller.unit);
	CHECK(m.key_alg == KEY_EC_P256);
	CHECK(module_may_have_name(&m, "edgehub") && module_may_have_name(&m, "GW.local") && module_may_have_name(&m, "10.0.0.1"));
	CHECK(!module_may_have_name(&m, "$edgeHub") && !module_may_have_name(&m, "gw.local.evil") && !module_may_have_name(&m, ""));
	module_clear(&m);
}

TEST("a module that any process could be is refused, and so is a kind of key that does not exist")
{
	struct err err = ERR_INIT;
	struct module m;

	CHECK(take(&m, "{\"id\":\"m\",\"socket\":\"/s\"}", &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "nothing says which process it is");
	module_clear(&m);
	err = (struct err)ERR_INIT;
	CHECK(take(&m, "{\"id\":\"m\",\"socket\":\"/s\",\"uid\":1,\"key\":\"rsa-512\"}", &err) < 0);
	CHECK_ERR(err, ERR_INVALID, "rsa-512");
	module_clear(&m);
	err = (struct err)ERR_INIT;
	CHECK(take(&m, "{\"id\":\"m\",\"socket\":\"/s\",\"uid\":4294967295}", &err) < 0);
	module_clear(&m);
}

TEST("an identity is what was set last, and there is none before")
{
	struct err err = ERR_INIT;
	CLEAR(module_identity) identity = { 0 };
	struct module m;

	CHECK_OK(take(&m, "{\"id\":\"m\",\"socket\":\"/s\",\"gid\":1}", &err), err);
	CHECK(module_get_identity(&m, &identity, &err) < 0);
	CHECK_ERR(err, ERR_UNAVAILABLE, "has no identity");
	module_set_identity(&m, "1", "h1");
	module_set_identity(&m, "2", "h2");
	CHECK_OK(module_get_identity(&m, &identity, &err), err);
	CHECK_STR(identity.generation_id, "2");
	CHECK_STR(identity.sign_handle, "h2");
	CHECK_INT(module_n_forgotten(&m), 0);
	module_forget_identity(&m);
	CHECK_INT(module_n_forgotten(&m), 1);
	module_identity_clear(&identity);
	CHECK(module_get_identity(&m, &identity, &err) < 0);
	module_clear(&m);
}
