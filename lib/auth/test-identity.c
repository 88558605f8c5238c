/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/trial.h"
#include "base/text.h"
#include "wire/json.h"

static struct identity *
parsed(const char *text, struct err *err)
{
	OWN_LIB(json_t) json = json_parse(text, strlen(text), err);

	if (!json)
		fail_msg("%s", err->text);
	return identity_from_json(json, err);
}

static struct identity *
good(const char *text)
{
	struct err err = ERR_INIT;
	struct identity *identity = parsed(text, &err);

	if (!identity)
		fail_msg("%s: %s", text, err.text);
	return identity;
}

static void
bad(const char *text, enum err_kind kind, const char *part)
{
	struct err err = ERR_INIT;
	OWN(identity) identity = parsed(text, &err);

	CHECK(!identity);
	CHECK_ERR(err, kind, part);
}

#define THUMB "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF"

TEST("an id has 1 to 128 characters of the hub's alphabet")
{
	char longest[IDENTITY_ID_MAX + 2];

	memset(longest, 'a', sizeof(longest));
	longest[IDENTITY_ID_MAX + 1] = '\0';
	CHECK(!identity_id_is_valid(longest));
	longest[IDENTITY_ID_MAX] = '\0';
	CHECK(identity_id_is_valid(longest));
	CHECK(identity_id_is_valid("aZ09-:.+%_#*?!(),=@;$'"));
}

TEST("atk-04, atk-15: empty, dots alone, slashes, blanks, control characters and other alphabets are no ids")
{
	static const char *const not [] = { "", ".", "..", "a/b", "../x", "a b", "a\n", "a\x7f", "d\xc3\xa9", "a\\b", "a\"b", "a&b",
		"a<b" };

	for (size_t i = 0; i < COUNT(not ); i++)
		CHECK(!identity_id_is_valid(not [i]));
	CHECK(!identity_id_is_valid(NULL));
}

TEST("the name of a module is device/module")
{
	OWN_TEXT device = identity_name("dev", NULL);
	OWN_TEXT module = identity_name("dev", "mod");

	CHECK_STR(device, "dev");
	CHECK_STR(module, "dev/mod");
}

TEST("a record lives as long as its last reference; a copy is another record")
{
	struct identity *first = identity_new("dev", "mod"), *second = identity_ref(first);
	OWN(identity) copy = NULL;

	second->generation_id = mem_text("g");
	second->parents[second->n_parents++] = mem_text("p");
	second->thumbprints[1] = mem_text(THUMB);
	trial_key(&second->keys[1], "0123456789abcdef");
	identity_free(first);
	CHECK_STR(second->device_id, "dev");
	copy = identity_copy(second);
	identity_free(second);
	CHECK_STR(copy->module_id, "mod");
	CHECK_STR(copy->generation_id, "g");
	CHECK_STR(copy->parents[0], "p");
	CHECK_STR(copy->thumbprints[1], THUMB);
	CHECK_INT(copy->keys[1].len, 16);
	CHECK(!identity_ref(NULL));
}

TEST("what the service SDK sends for a new device: empty keys stay empty, for the registry to make")
{
	OWN(identity) i = good("{\"deviceId\":\"dev1\",\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"\","
			       "\"secondaryKey\":\"\"}}}");

	CHECK_STR(i->device_id, "dev1");
	CHECK_INT(i->auth, IDENTITY_AUTH_SAS);
	CHECK_INT(i->keys[0].len, 0);
	CHECK(i->enabled && !i->is_edge && !i->module_id);
}

TEST("thumbprints are normalised, and without a type they say that the device is self-signed")
{
	OWN(identity) i = good(
		"{\"deviceId\":\"dev1\",\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":\"01:23:45:67:89:ab:cd:ef:"
		"01:23:45:67:89:ab:cd:ef:"
		"01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef\",\"secondaryThumbprint\":null}}}");

	CHECK_INT(i->auth, IDENTITY_AUTH_THUMBPRINT);
	CHECK_STR(i->thumbprints[0], THUMB);
	CHECK(!i->thumbprints[1]);
}

TEST("no authentication at all is a key; an explicit type counts in any case of letters")
{
	OWN(identity) nothing = good("{\"deviceId\":\"dev1\"}");
	OWN(identity) ca = good("{\"deviceId\":\"dev1\",\"authentication\":{\"type\":\"CertificateAuthority\"}}");
	OWN(identity) none = good("{\"deviceId\":\"dev1\",\"moduleId\":\"$edgeAgent\",\"authentication\":{\"type\":\"none\"}}");

	CHECK_INT(nothing->auth, IDENTITY_AUTH_SAS);
	CHECK_INT(ca->auth, IDENTITY_AUTH_CA);
	CHECK_INT(none->auth, IDENTITY_AUTH_NONE);
	CHECK_STR(none->module_id, "$edgeAgent");
}

TEST("a record goes out as JSON and comes back the same, keys only where they are asked for")
{
	struct err err = ERR_INIT;
	OWN(identity) i =
		good("{\"deviceId\":\"dev1\",\"generationId\":\"638\",\"etag\":\"AAA=\",\"status\":\"disabled\",\"statusReason\":"
		     "\"lost\","
		     "\"deviceScope\":\"ms-azure-iot-edge://gw-1\",\"parentScopes\":[\"ms-azure-iot-edge://"
		     "gw-1\"],\"capabilities\":{\"iotEdge\":true},"
		     "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"MDEyMzQ1Njc4OWFiY2RlZg==\","
		     "\"secondaryKey\":\"\"}}}");
	OWN_LIB(json_t) with = identity_to_json(i, true, true);
	OWN_LIB(json_t) without = identity_to_json(i, false, false);
	OWN_TEXT text = json_line(without);
	OWN(identity) back = identity_from_json(with, &err);

	CHECK(back != NULL);
	CHECK(!back->enabled && back->is_edge);
	CHECK_STR(back->status_reason, "lost");
	CHECK_STR(back->etag, "AAA=");
	CHECK_STR(back->scope, "ms-azure-iot-edge://gw-1");
	CHECK_STR(back->parents[0], "ms-azure-iot-edge://gw-1");
	CHECK_INT(back->keys[0].len, 16);
	CHECK_INT(back->keys[1].len, 0);
	CHECK(!strstr(text, "MDEyMzQ1"));
	CHECK_CONTAINS(text, "\"connectionState\":\"Disconnected\"");
}

TEST("a module's JSON has its own members and none of the device's")
{
	OWN(identity) i = identity_new("dev1", "mod");
	OWN_LIB(json_t) json = identity_to_json(i, false, true);

	CHECK_STR(json_string_value(json_object_get(json, "moduleId")), "mod");
	CHECK(json_object_get(json, "managedBy") != NULL);
	CHECK(!json_object_get(json, "status") && !json_object_get(json, "capabilities"));
}

TEST("what is wrong in a service's JSON is refused with a sentence that names it")
{
	bad("{}", ERR_INVALID, "deviceId");
	bad("{\"deviceId\":1}", ERR_INVALID, "deviceId");
	bad("{\"deviceId\":\"a/b\"}", ERR_INVALID, "128 characters");
	bad("{\"deviceId\":\"a\",\"moduleId\":\"b c\"}", ERR_INVALID, "128 characters");
	bad("{\"deviceId\":\"a\",\"status\":\"off\"}", ERR_INVALID, "enabled or disabled");
	bad("{\"deviceId\":\"a\",\"capabilities\":{\"iotEdge\":1}}", ERR_INVALID, "iotEdge");
	bad("{\"deviceId\":\"a\",\"authentication\":{\"type\":\"magic\"}}", ERR_INVALID, "authentication.type");
	bad("{\"deviceId\":\"a\",\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"c2hvcnQ=\"}}}", ERR_INVALID,
		"16 to 64 bytes");
	bad("{\"deviceId\":\"a\",\"authentication\":{\"x509Thumbprint\":{\"secondaryThumbprint\":\"ABCD\"}}}", ERR_INVALID,
		"secondaryThumbprint");
	bad("{\"deviceId\":\"a\",\"parentScopes\":[1]}", ERR_INVALID, "parentScopes");
	bad("{\"deviceId\":\"a\",\"parentScopes\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", ERR_LIMIT, "parentScopes");
}

TEST("atk-02: a registration with zeros for a thumbprint is refused")
{
	bad("{\"deviceId\":\"a\",\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":"
	    "\"0000000000000000000000000000000000000000000000000000000000000000\"}}}",
		ERR_INVALID, "primaryThumbprint");
}

TEST("a session outlives what changes nothing about its trust, and no other change")
{
	OWN(identity) was = identity_new("dev", NULL);
	OWN(identity) now = NULL;

	was->auth = IDENTITY_AUTH_THUMBPRINT;
	was->enabled = true;
	was->generation_id = mem_text("1");
	was->thumbprints[0] = mem_text("AA");
	now = identity_copy(was);
	now->etag = mem_text("other");
	CHECK(identity_same_trust(was, now));
	now->thumbprints[1] = mem_text("BB");
	CHECK(!identity_same_trust(was, now));
	identity_free(now);
	now = identity_copy(was);
	now->enabled = false;
	CHECK(!identity_same_trust(was, now));
	identity_free(now);
	now = identity_copy(was);
	mem_free(now->generation_id);
	now->generation_id = mem_text("2"); /* deleted and made again */
	CHECK(!identity_same_trust(was, now));
}

TEST("a module is judged as disabled when its device is disabled or gone")
{
	OWN(identity) device = identity_new("dev", NULL);
	OWN(identity) module = identity_new("dev", "mod");
	OWN(identity) below = NULL;

	module->enabled = device->enabled = true;
	below = identity_under(identity_ref(module), device);
	CHECK(below == module);
	identity_free(below);
	device->enabled = false;
	below = identity_under(identity_ref(module), device);
	CHECK(!below->enabled && module->enabled);
	identity_free(below);
	below = identity_under(identity_ref(module), NULL);
	CHECK(!below->enabled);
}

TEST("a copy of a subject stands by itself, with a module or without")
{
	char device[] = "dev1", module[] = "cam", generation[] = "638";
	struct subject of_device = subject_copy(&(struct subject){ device, NULL, generation });
	struct subject of_module = subject_copy(&(struct subject){ device, module, generation });

	memset(device, 'x', 4);
	memset(module, 'x', 3);
	memset(generation, 'x', 3);
	CHECK_STR(of_device.device_id, "dev1");
	CHECK(!of_device.module_id);
	CHECK_STR(of_device.generation_id, "638");
	CHECK_STR(of_module.device_id, "dev1");
	CHECK_STR(of_module.module_id, "cam");
	CHECK_STR(of_module.generation_id, "638");
	subject_clear(&of_device);
	subject_clear(&of_module);
}
